"""The output items of a stream while they come, found however its events name them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tollhouse.core.content import Citation

from .response_in import text_of


class OpenPart:
    """A part that has begun. It is told of once there is something to tell."""

    __slots__ = ("citations", "has_text", "index", "is_ended")

    def __init__(self, index: int) -> None:
        self.index = index
        self.has_text = False
        self.is_ended = False
        self.citations: list[Citation] = []


class OpenItem:
    """An output item: its parts by their place in it. Reasoning and calls are one part, at place 0."""

    __slots__ = ("first", "id", "is_ended", "kind", "last_place", "parts")

    def __init__(self, first: dict[str, Any]) -> None:
        self.first = first
        """As it was when it was announced."""
        self.kind = text_of(first, "type")
        self.id = text_of(first, "id")
        self.is_ended = False
        self.parts: dict[int, OpenPart] = {}
        self.last_place: object = None
        """Of reasoning: which of several summaries the last text belonged to."""


class OpenItems:
    """All of them, in the order they were announced."""

    __slots__ = ("_by_id", "_by_place", "_listed")

    def __init__(self) -> None:
        self._listed: list[OpenItem] = []
        self._by_id: dict[str, OpenItem] = {}
        self._by_place: dict[int, OpenItem] = {}

    def __iter__(self) -> Iterator[OpenItem]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)

    def add(self, first: dict[str, Any], place: object) -> OpenItem:
        item = OpenItem(first)
        self._listed.append(item)
        if item.id:
            self._by_id[item.id] = item
        if isinstance(place, int):
            self._by_place[place] = item
        return item

    def known(self, item_id: str, place: object) -> OpenItem | None:
        """The item of that id, else the one at that place."""
        item = self._by_id.get(item_id)
        if item is None and isinstance(place, int):
            item = self._by_place.get(place)
        return item

    def meant(self, event: dict[str, Any], kinds: tuple[str, ...]) -> OpenItem:
        """The item an event is about: by its id, else by its place, else the last of the kind, else a new one."""
        item = self._by_id.get(text_of(event, "item_id"))
        if item is not None:
            return item
        place = event.get("output_index")
        item = self._by_place.get(place) if isinstance(place, int) else None
        if item is not None and item.kind in kinds:
            return item
        if not isinstance(place, int):
            item = next((one for one in reversed(self._listed) if one.kind in kinds), None)
            if item is not None:
                return item
        return self.add({"type": kinds[0], "id": text_of(event, "item_id")}, place)
