"""Overlapping parts, one after the other: for writers whose wire API has one part open at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .events import Finished, PartDelta, PartEnded, PartStarted, StreamEvent


class InOrder:
    """Lets the events of the part that is open pass and holds those of others back until it has ended.

    One choice only. A part's events come out in the order the parts began; what is held is bounded by what the
    upstream sends before it ends the open part.
    """

    __slots__ = ("_held", "_open")

    def __init__(self) -> None:
        self._open: int | None = None
        self._held: dict[int, list[StreamEvent]] = {}
        """By part, in order of their beginnings."""

    def pass_on(self, events: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
        """What may go out now."""
        for event in events:
            match event:
                case PartStarted() | PartDelta() | PartEnded():
                    yield from self._part(event)
                case Finished():
                    yield from self._release()
                    yield event
                case _:
                    yield event

    def _part(self, event: PartStarted | PartDelta | PartEnded) -> Iterator[StreamEvent]:
        if self._open is None and isinstance(event, PartStarted):
            self._open = event.index
        if event.index != self._open:
            self._held.setdefault(event.index, []).append(event)
            return
        yield event
        if isinstance(event, PartEnded):
            self._open = None
            yield from self._release()

    def _release(self) -> Iterator[StreamEvent]:
        """Everything held of the parts that have ended, and of the first that has not what there is."""
        while self._open is None and self._held:
            index = next(iter(self._held))
            events = self._held.pop(index)
            yield from events
            if not isinstance(events[-1], PartEnded):
                self._open = index
