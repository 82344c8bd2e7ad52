"""YAML text to a tree of nodes that know their lines, by the core schema of YAML 1.2 (yaml.org/spec/1.2.2, 10.3).

PyYAML's C parser gives the events; what they mean is decided here, because PyYAML itself speaks YAML 1.1: there `no`
is false, `12:30` is 750 and `0o17` is text. Aliases are followed, but what they expand to counts, so that no file can
grow beyond its bound. Messages never repeat what was written where a value stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Never

import msgspec
import yaml

from tollhouse.core.problem import ConfigInvalid

from .findings import Findings, Parts, quoted

MOST_BYTES: Final = 4 << 20
MOST_NODES: Final = 500_000
DEEPEST: Final = 32
_LONGEST_NUMBER: Final = 100

_NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL: Final = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TAG: Final = "tag:yaml.org,2002:"
_TAG_DIRECTIVE: Final = re.compile(r"^%TAG\b", re.MULTILINE)

Value = str | int | float | bool | None


class Scalar(msgspec.Struct, frozen=True):
    """One value."""

    line: int
    value: Value


class Sequence(msgspec.Struct, frozen=True):
    """A list."""

    line: int
    items: tuple[Node, ...]
    size: int
    """Nodes in it, itself included, aliases expanded."""
    depth: int


class Entry(msgspec.Struct, frozen=True):
    """A key with its value."""

    line: int
    key: str
    node: Node


class Mapping(msgspec.Struct, frozen=True):
    """Keys with values, each key once."""

    line: int
    entries: tuple[Entry, ...]
    size: int
    depth: int


Node = Scalar | Sequence | Mapping


def compose(text: str, findings: Findings) -> Node:
    """The one document in `text`. What is wrong but can be read past is added to `findings`.

    Raises: ConfigInvalid with everything found so far, where nothing sensible can be read any more.
    """
    return _Composer(text, findings).document()


def core_value(text: str) -> Value:
    """What a plain scalar means."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    for shape, base in ((_INT, 10), (_OCTAL, 8), (_HEX, 16)):
        if shape.fullmatch(text):
            return int(text, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _SPECIAL_FLOAT.fullmatch(text) else text


class _Composer:
    """Follows the parser's events down the tree, once."""

    def __init__(self, text: str, findings: Findings) -> None:
        self._findings = findings
        self._anchors: dict[str, Node] = {}
        self._nodes = 0
        self._text = text

    def document(self) -> Node:
        self._check_text()
        events = self._events()
        next(events)  # the stream begins
        if isinstance(next(events), yaml.StreamEndEvent):
            return Scalar(1, None)
        node = self._node(next(events), events, ())
        next(events)  # the document ends
        event = next(events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._give_up(
                (),
                _line(event),
                "There is a second document in this file.",
                "Keep everything above the line `---`.",
            )
        return node

    def _check_text(self) -> None:
        try:
            size = len(self._text.encode())
        except UnicodeEncodeError as error:
            self._give_up(
                (), self._text.count("\n", 0, error.start) + 1, "The file is not valid Unicode text."
            )
        if size > MOST_BYTES:
            self._give_up((), 1, f"The file has {size} bytes; at most {MOST_BYTES} are read.")
        if directive := _TAG_DIRECTIVE.search(self._text):
            self._give_up(
                (), self._text.count("\n", 0, directive.start()) + 1, "Tag directives are not supported."
            )

    def _events(self) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(self._text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            context = f"{error.context}: " if error.context else ""
            self._give_up(
                (),
                mark.line + 1 if mark else 1,
                f"This is not YAML: {context}{error.problem}.",
                "Look at the indentation and the quotes around this line.",
            )
        except yaml.reader.ReaderError as error:
            line = self._text.encode()[: error.position].count(b"\n") + 1
            self._give_up((), line, f"This is not YAML: {error.reason}.")

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], parts: Parts) -> Node:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, parts, line)
        self._count(1, parts, line)
        if len(parts) > DEEPEST:
            self._too_deep(parts, line)
        assert isinstance(event, yaml.NodeEvent)
        anchor = event.anchor
        if anchor is not None:
            self._anchors.pop(anchor, None)  # inside its own node the name stands for nothing
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(line, self._scalar(event, parts, line))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, events, parts, line)
        else:
            assert isinstance(event, yaml.MappingStartEvent)
            node = self._mapping(event, events, parts, line)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, parts: Parts, line: int) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            self._give_up(
                parts,
                line,
                "An alias (`*…`) names an anchor (`&…`) that is not complete before it.",
                "Put the value in quotes if it is meant to begin with a star.",
            )
        self._count(_size(node), parts, line)
        if len(parts) + _depth(node) > DEEPEST:
            self._too_deep(parts, line)
        return node

    def _scalar(self, event: yaml.ScalarEvent, parts: Parts, line: int) -> Value:  # noqa: PLR0911 - a table
        text: str = event.value
        tag: str | None = event.tag
        if tag is None:
            return core_value(text) if event.implicit[0] else text
        value = core_value(text)
        match tag.removeprefix(_TAG):
            case "str" | "!":
                return text
            case "int" if isinstance(value, int) and not isinstance(value, bool):
                return value
            case "float" if isinstance(value, (int, float)) and not isinstance(value, bool):
                return float(value)
            case "bool" if isinstance(value, bool):
                return value
            case "null" if value is None:
                return None
        self._findings.add(
            parts, line, "This tag (`!…`) is not supported here.", "Write the value without a tag."
        )
        return text

    def _sequence(
        self, event: yaml.SequenceStartEvent, events: Iterator[yaml.Event], parts: Parts, line: int
    ) -> Sequence:
        self._check_tag(event, "seq", parts, line)
        items: list[Node] = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(self._node(item, events, (*parts, len(items))))
        return Sequence(
            line, tuple(items), 1 + sum(map(_size, items)), 1 + max(map(_depth, items), default=0)
        )

    def _mapping(
        self, event: yaml.MappingStartEvent, events: Iterator[yaml.Event], parts: Parts, line: int
    ) -> Mapping:
        self._check_tag(event, "map", parts, line)
        entries: dict[str, Entry] = {}
        while not isinstance(key_event := next(events), yaml.MappingEndEvent):
            key_line = _line(key_event)
            key = self._key(key_event, events, parts, key_line)
            node = self._node(next(events), events, (*parts, key))
            if key in entries:
                self._findings.add(
                    (*parts, key),
                    key_line,
                    f"This key is already there, in line {entries[key].line}.",
                    "Keep one of the two.",
                )
            else:
                entries[key] = Entry(key_line, key, node)
        nodes = [entry.node for entry in entries.values()]
        return Mapping(
            line, tuple(entries.values()), 1 + sum(map(_size, nodes)), 1 + max(map(_depth, nodes), default=0)
        )

    def _key(self, event: yaml.Event, events: Iterator[yaml.Event], parts: Parts, line: int) -> str:
        """The text of a key. One that is not text is a problem, and read as the text it is written as."""
        node = self._node(event, events, (*parts, ""))
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == "<<":
            self._findings.add(
                parts,
                line,
                "YAML 1.2 has no merge keys (`<<`).",
                "Write the keys out, or use an alias as a value.",
            )
        if not isinstance(node, Scalar):
            self._give_up(parts, line, "A key must be text, not a list or a mapping.")
        if isinstance(node.value, str):
            return node.value
        written: str = event.value if isinstance(event, yaml.ScalarEvent) else str(node.value)
        self._findings.add(parts, line, f"The key {quoted(written)} is not text.", "Put it in quotes.")
        return written

    def _check_tag(self, event: yaml.CollectionStartEvent, kind: str, parts: Parts, line: int) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            self._findings.add(
                parts, line, "This tag (`!…`) is not supported here.", "Write the value without a tag."
            )

    def _count(self, nodes: int, parts: Parts, line: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            self._give_up(
                parts, line, f"There are more than {MOST_NODES} values in this file, aliases written out."
            )

    def _too_deep(self, parts: Parts, line: int) -> Never:
        self._give_up(parts, line, f"This is nested more than {DEEPEST} levels deep.")

    def _give_up(self, parts: Parts, line: int, message: str, hint: str = "") -> Never:
        self._findings.add(parts, line, message, hint)
        raise ConfigInvalid(self._findings.problems())


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1


def _size(node: Node) -> int:
    return 1 if isinstance(node, Scalar) else node.size


def _depth(node: Node) -> int:
    return 0 if isinstance(node, Scalar) else node.depth
