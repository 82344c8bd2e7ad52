"""What is known of one tenant's answers: who made them, and the conversations no upstream keeps.

Three kinds of entries, each for a day and as long as there is room: a response and an item by their ids, and what only
its issuer can read by its digest, because clients that keep conversations themselves leave out ids. A conversation is
kept as a chain: each link has its own items and the name of the link before, so that a long one takes no more room than
what was said. Going on from a link makes the whole chain young again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from tollhouse.dialects.openai_responses.state import Answer, Item, answer_marks, output_items
from tollhouse.ports.recall import Recall

LIFE_S: Final = 86_400.0
"""A day. OpenAI keeps thirty; what is in memory cannot be promised for so long."""
_MOST_ITEMS: Final = 1_000
"""Of one answer: whatever an upstream sends, it does not push out everything else that is remembered."""
_LONGEST_ID: Final = 500
_NOBODY: Final = ""
"""No tenant has this name: what stands under it is only that somebody has it."""


class Made(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who made an answer or an item of one."""

    route: str
    """Its public name: only keys that may use it may use the answer."""
    provider: str
    deployment: str
    kept_in: str | None = None
    """The id of the response whose conversation the house keeps; None where the provider keeps it."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange of a conversation the house keeps."""

    answer: bytes
    """The response object as the caller got it, in JSON."""
    input: tuple[bytes, ...] = ()
    """The items of the request in JSON, without those of the exchanges before."""
    previous: str | None = None
    """The id of the response it went on from."""


_MADE: Final = msgspec.json.Decoder(Made)
_KEPT: Final = msgspec.msgpack.Decoder(Kept)
"""JSON inside JSON would be read again and again, and not all that callers may send can be."""


class Memory:
    """One tenant's part of what the house remembers."""

    __slots__ = ("_recall", "_tenant")

    def __init__(self, recall: Recall, tenant: str) -> None:
        self._recall = recall
        self._tenant = tenant

    # -- asking

    def response(self, response_id: str) -> Made | None:
        return self._made(f"response:{response_id}")

    def item(self, item_id: str) -> Made | None:
        return self._made(f"item:{item_id}")

    def issuer(self, item: Item) -> Made | None:
        """Who made an item that only its maker can read."""
        made = None
        if isinstance(item.encrypted_content, str) and item.encrypted_content:
            made = self._made(_cipher(item.encrypted_content))
        if made is None and isinstance(item.id, str):
            made = self.item(item.id)
        return made

    def is_anothers(self, name: str) -> bool:
        """Whether a response or an item that is not known here was made for another tenant, and marked so."""
        return len(name) <= _LONGEST_ID and self._recall.recall(_NOBODY, name) is not None

    def kept(self, response_id: str) -> Kept | None:
        """The last exchange of a conversation."""
        found = self._recall.recall(self._tenant, f"kept:{response_id}")
        return _KEPT.decode(found) if found is not None else None

    def history(self, response_id: str) -> list[msgspec.Raw] | None:
        """A conversation's items up to an answer and with it; None where a part of it is not known any more."""
        links: list[Kept] = []
        names: list[str] = []
        name: str | None = response_id
        while name is not None:
            link = self.kept(name)
            if link is None:
                return None
            links.append(link)
            names.append(name)
            name = link.previous
        for known in reversed(names):
            self._renew(f"response:{known}")
            self._renew(f"kept:{known}")
        return [
            item
            for link in reversed(links)
            for item in (*map(msgspec.Raw, link.input), *output_items(link.answer))
        ]

    def item_of(self, response_id: str, item_id: str) -> msgspec.Raw | None:
        """One item of an answer the house keeps."""
        kept = self.kept(response_id)
        if kept is None:
            return None
        for item, mark in zip(output_items(kept.answer), _marks_of(kept.answer), strict=True):
            if mark.id == item_id:
                return item
        return None

    def _made(self, key: str) -> Made | None:
        if len(key) > _LONGEST_ID:
            return None
        found = self._recall.recall(self._tenant, key)
        return _MADE.decode(found) if found is not None else None

    # -- remembering

    def remember(self, made: Made, response_id: str) -> None:
        """A response its provider keeps."""
        self._keep(f"response:{response_id}", msgspec.json.encode(made))

    def mark(self, answer: Answer) -> None:
        """An answer at a provider whose unknown ids are let through: these are known, and nobody else's."""
        for name in (answer.id, *[item.id for item in _some(answer.output)]):
            if isinstance(name, str) and 0 < len(name) <= _LONGEST_ID:
                self._recall.keep(_NOBODY, name, b"", life_s=LIFE_S)

    def remember_items(self, made: Made, items: Iterable[Item]) -> None:
        """Items their provider knows by id, or can read."""
        value = msgspec.json.encode(made)
        for item in _some(items):
            if isinstance(item.id, str) and item.id:
                self._keep(f"item:{item.id}", value)
            if isinstance(item.encrypted_content, str) and item.encrypted_content:
                self._keep(_cipher(item.encrypted_content), value)

    def remember_exchange(self, made: Made, answer: Answer, kept: Kept) -> None:
        """An exchange its provider does not keep."""
        mine = msgspec.structs.replace(made, kept_in=answer.id)
        self._keep(f"kept:{answer.id}", msgspec.msgpack.encode(kept))
        self.remember(mine, answer.id)
        value = msgspec.json.encode(mine)
        for item in _some(answer.output):
            if isinstance(item.id, str) and item.id:
                self._keep(f"item:{item.id}", value)

    def forget(self, response_id: str) -> None:
        """A response, and what the house keeps for it. What went on from it cannot be gone on from any more."""
        kept = self.kept(response_id)
        if kept is not None:
            for item in _marks_of(kept.answer):
                self._recall.forget(self._tenant, f"item:{item.id}")
        self._recall.forget(self._tenant, f"kept:{response_id}")
        self._recall.forget(self._tenant, f"response:{response_id}")

    def _keep(self, key: str, value: bytes) -> None:
        if len(key) <= _LONGEST_ID:
            self._recall.keep(self._tenant, key, value, life_s=LIFE_S)

    def _renew(self, key: str) -> None:
        value = self._recall.recall(self._tenant, key)
        if value is not None:
            self._keep(key, value)


def _marks_of(answer: bytes) -> tuple[Item, ...]:
    marks = answer_marks(answer)
    return marks.output if marks is not None else ()


def _some(items: Iterable[Item]) -> list[Item]:
    return list(items)[:_MOST_ITEMS]


def _cipher(text: str) -> str:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
    return f"cipher:{digest.hexdigest()}"
