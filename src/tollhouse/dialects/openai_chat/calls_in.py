"""Tool calls while they come.

Whom a fragment belongs to, its `index` and `id` are to tell. Some servers leave one of them out, count every call as 0,
repeat names, send a new id with every fragment, or whole calls at once: see `Calls._owner` for what is believed.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tollhouse.core.content import Signature, ToolCall, ToolKind
from tollhouse.core.events import PartDelta, PartEnded, PartStarted, StreamEvent
from tollhouse.dialects.ground_family.call_ids import made_id

from .reasoning import call_signature
from .response_in import arguments_of, call_kind, text_of

_TOKEN: Final = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)
_EMPTY: Final = "{}"


class JsonCourse:
    """Whether a JSON object that comes in pieces is whole. Pieces are looked at once, and only if somebody asks."""

    __slots__ = ("_depth", "_in_string", "_is_escaped", "_is_whole", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        self._is_whole = False

    def add(self, piece: str) -> None:
        self._pieces.append(piece)

    @property
    def is_whole(self) -> bool:
        for piece in self._pieces:
            self._scan(piece)
        self._pieces.clear()
        return self._is_whole

    def _scan(self, piece: str) -> None:
        start = 1 if self._is_escaped and piece else 0
        self._is_escaped = self._is_escaped and not piece
        for match in _TOKEN.finditer(piece, start):
            token = match[0]
            if token[0] == "\\":
                self._is_escaped = self._in_string and len(token) == 1
            elif token == '"':
                self._in_string = not self._in_string
            elif not self._in_string:
                self._depth += 1 if token in "{[" else -1
                self._is_whole = self._depth == 0


class _Call:
    """One call in the making. It starts as soon as its name is known; fragments before that are held."""

    __slots__ = (
        "_held", "_signature", "_wrote", "arguments", "has_ended", "has_started", "id", "index", "kind", "name",
        "number",
    )  # fmt: skip

    def __init__(self, *, index: int, number: int | None) -> None:
        self.index = index
        """Of the part."""
        self.number = number
        """As the upstream counts."""
        self.id = ""
        self.name = ""
        self.kind = ToolKind.FUNCTION
        self.arguments = JsonCourse()
        self.has_started = False
        self.has_ended = False
        self._held: list[str] = []
        self._wrote = False
        self._signature: Signature | None = None

    def sign(self, signature: Signature | None) -> None:
        self._signature = signature or self._signature

    def start(self, choice: int, out: list[StreamEvent]) -> None:
        self.has_started = True
        part = ToolCall(id=self.id, name=self.name, arguments="", kind=self.kind, signature=self._signature)
        out.append(PartStarted(index=self.index, part=part, choice=choice))
        self._release(choice, out)

    def write(self, text: str, choice: int, out: list[StreamEvent]) -> None:
        if not text or self.has_ended:
            return
        if self.kind is ToolKind.FUNCTION:
            has_begun = self._wrote or bool(self._held)
            if has_begun and self.arguments.is_whole:
                return  # what is whole cannot go on
            self.arguments.add(text)
            if not has_begun and text.strip() in ("", _EMPTY):
                return  # space, or the `{}` that gateways before Claude send ahead of the real arguments
        self._held.append(text)
        if self.has_started:
            self._release(choice, out)

    def _release(self, choice: int, out: list[StreamEvent]) -> None:
        for text in self._held:
            self._wrote = True
            out.append(PartDelta(index=self.index, text=text, choice=choice))
        self._held.clear()

    def end(self, choice: int, out: list[StreamEvent]) -> None:
        if self.has_ended:
            return
        if not self.has_started:
            self.start(choice, out)
        if not self._wrote and self.kind is ToolKind.FUNCTION:
            out.append(PartDelta(index=self.index, text=_EMPTY, choice=choice))
        self.has_ended = True
        out.append(PartEnded(index=self.index, choice=choice, signature=self._signature))


class Calls:
    """The calls of one choice. `names` make ids where the upstream has none."""

    __slots__ = ("_by_id", "_by_number", "_calls", "_choice", "_names")

    def __init__(self, choice: int, names: tuple[object, ...]) -> None:
        self._choice = choice
        self._names = names
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_number: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, entry: dict[str, Any], free: int, out: list[StreamEvent]) -> bool:
        """One fragment. `free` is the index of the next part; whether it was used for a new call."""
        kind, inner = call_kind(entry)
        call_id, name = text_of(entry.get("id")), text_of(inner.get("name"))
        text = arguments_of(inner.get("input" if kind is ToolKind.CUSTOM else "arguments"))
        number = entry.get("index")
        number = number if isinstance(number, int) and not isinstance(number, bool) else None
        call = self._owner(call_id, name, number, text)
        is_new = call is None
        if call is None:
            if not (call_id or name or text.strip()):
                return False
            call = self._new(free, number, kind, out)
        self._know(call, call_id, number)
        call.sign(call_signature(entry))
        call.name = call.name or name
        if call.name and not call.has_started:
            call.id = call.id or made_id(*self._names, self._choice, len(self._calls))
            call.start(self._choice, out)
        call.write(text, self._choice, out)
        return is_new

    def end(self, out: list[StreamEvent]) -> None:
        for position, call in enumerate(self._calls, 1):
            call.id = call.id or made_id(*self._names, self._choice, position)
            call.end(self._choice, out)

    def _owner(self, call_id: str, name: str, number: int | None, text: str) -> _Call | None:
        """The call a fragment goes on with; None where it begins one.

        An id that is known is believed before the index. An id that is not begins a call if a name comes with it, or
        if the call of its index is whole. Without an id the index is believed, unless the name says otherwise.
        """
        known = self._by_id.get(call_id) if call_id else None
        counted = self._by_number.get(number) if number is not None else None
        if known is not None:
            is_another = bool(name) and number not in (None, known.number) and known.arguments.is_whole
            return None if is_another else known
        if counted is None and (call_id or (number is not None and name)):
            return self._nameless(name)
        call = counted or (self._calls[-1] if self._calls else None)
        if call is None or self._is_another(call, call_id, name, text):
            return None
        return call

    def _is_another(self, call: _Call, call_id: str, name: str, text: str) -> bool:
        """Whether a fragment whose id is not known, if it has one, begins a call other than that of its index."""
        is_late = bool(text.strip()) and call.arguments.is_whole
        if call_id and call.id:
            return bool(name) or is_late
        return bool(name and call.name) and (name != call.name or is_late)

    def _nameless(self, name: str) -> _Call | None:
        """A call that lacks its name and its count, if what came now can only be its name."""
        last = self._calls[-1] if self._calls else None
        return last if last is not None and name and not last.name and last.number is None else None

    def _new(self, index: int, number: int | None, kind: ToolKind, out: list[StreamEvent]) -> _Call:
        earlier = self._calls[-1] if self._calls else None
        if earlier is not None and earlier.has_started and earlier.arguments.is_whole:
            earlier.end(self._choice, out)
        call = _Call(index=index, number=number)
        call.kind = kind
        self._calls.append(call)
        return call

    def _know(self, call: _Call, call_id: str, number: int | None) -> None:
        if call_id and call_id not in self._by_id:
            self._by_id[call_id] = call
            if not call.has_started:
                call.id = call.id or call_id
        if number is not None:
            call.number = number if call.number is None else call.number
            self._by_number[number] = call
