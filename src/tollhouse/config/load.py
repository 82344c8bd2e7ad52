"""The text of a configuration file to the typed tree, or everything that is wrong with it at once.

One walk over the nodes of the YAML beside the types of `tree.py`: a wrong value does not stop it, so that a person
mends a file in one go. What a key of the tree means is not known here; bounds, patterns and checks stand with the key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from tollhouse.core.problem import ConfigInvalid, ConfigProblem

from . import yaml_text
from .findings import Findings, Parts, path_of, quoted
from .tree import Config
from .yaml_text import Node, Scalar, Value

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_KEY_SHOWN: Final = 24

Notes = Mapping[str, Any]
"""The `extra` of a field, see tree.py."""


def load(text: str) -> Config:
    """The tree of a configuration file. Raises: ConfigInvalid with every problem, its path, line and a hint."""
    findings = Findings()
    node = yaml_text.compose(text, findings)
    tree = _Walk(findings).read(node, _config_type(), (), node.line, {})
    if problems := findings.problems():
        raise ConfigInvalid(problems)
    return msgspec.convert(tree, Config)


def locate(text: str, problems: Iterable[ConfigProblem]) -> tuple[ConfigProblem, ...]:
    """The same problems with the lines of their paths in `text`, which has been loaded before."""
    lines = {path_of(parts): line for parts, line in _lines(yaml_text.compose(text, Findings()), (), 1)}
    return tuple(
        problem
        if problem.line is not None
        else msgspec.structs.replace(problem, line=_nearest(problem.path, lines))
        for problem in problems
    )


def _lines(node: Node, parts: Parts, line: int) -> Iterator[tuple[Parts, int]]:
    yield parts, line
    if isinstance(node, yaml_text.Mapping):
        for entry in node.entries:
            yield from _lines(entry.node, (*parts, entry.key), entry.line)
    elif isinstance(node, yaml_text.Sequence):
        for position, item in enumerate(node.items):
            yield from _lines(item, (*parts, position), item.line)


def _nearest(path: str, lines: Mapping[str, int]) -> int | None:
    """The line of the path, or of what it would stand in."""
    while path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines[path]


@cache
def _config_type() -> inspect.Type:
    return inspect.type_info(Config)


class _Walk:
    """Reads nodes as the types demand. Where something is wrong, what is returned means nothing."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def read(self, node: Node, kind: inspect.Type, parts: Parts, line: int, notes: Notes) -> object:
        match kind:
            case inspect.Metadata():
                return self.read(node, kind.type, parts, line, kind.extra or notes)
            case inspect.UnionType():
                return self._union(node, kind, parts, line, notes)
            case inspect.StructType():
                return self._struct(node, kind, parts, line)
            case inspect.DictType():
                return self._dict(node, kind, parts, line)
            case inspect.VarTupleType():
                return self._list(node, kind, parts, line)
            case _:
                return self._scalar(node, kind, parts, line, notes)

    def _union(self, node: Node, kind: inspect.UnionType, parts: Parts, line: int, notes: Notes) -> object:
        """Read as what it looks like; as the first of the types where it looks like none of them."""
        if isinstance(node, Scalar) and node.value is None and kind.includes_none:
            return None
        forms = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        meant = next((each for each in forms if _has_form(node, each)), None)
        if meant is None and isinstance(node, Scalar) and len(forms) > 1:
            message = f"Expected a list or keys with values, found {_kind(node)}."
            self._findings.add(parts, line, message, "A list of one is written in brackets.")
            return None
        return self.read(node, meant or forms[0], parts, line, notes)

    def _struct(self, node: Node, kind: inspect.StructType, parts: Parts, line: int) -> object:
        if not isinstance(node, yaml_text.Mapping):
            self._not_a_mapping(node, parts, line)
            return None
        fields = {field.name: field for field in kind.fields}
        values = {}
        for entry in node.entries:
            if field := fields.get(entry.key):
                values[entry.key] = self.read(entry.node, field.type, (*parts, entry.key), entry.line, {})
            else:
                self._unknown_key(entry.key, list(fields), parts, entry.line)
        for field in kind.fields:
            if field.required and field.name not in values:
                self._findings.add((*parts, field.name), line, "This key is required and missing.")
        return values

    def _unknown_key(self, key: str, known: list[str], parts: Parts, line: int) -> None:
        name, colon, _ = key.partition(":")
        if (
            colon
        ):  # `credential:sk-…` in braces is one long key: what stands behind the colon is not ours to show
            shown, hint = name + ":…", "A colon is followed by a space."
        else:
            shown = key if len(key) <= _LONGEST_KEY_SHOWN else key[: _LONGEST_KEY_SHOWN // 2] + "…"
            near = get_close_matches(key[:_LONGEST_KEY_SHOWN], known, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}."
        self._findings.add((*parts, shown), line, f"There is no key {quoted(shown)} here.", hint)

    def _dict(self, node: Node, kind: inspect.DictType, parts: Parts, line: int) -> object:
        if not isinstance(node, yaml_text.Mapping):
            self._not_a_mapping(node, parts, line)
            return None
        self._check_count(len(node.entries), kind, parts, line)
        values = {}
        for entry in node.entries:
            place = (*parts, entry.key)
            self._scalar(Scalar(entry.line, entry.key), kind.key_type, place, entry.line, {})
            values[entry.key] = self.read(entry.node, kind.value_type, place, entry.line, {})
        return values

    def _not_a_mapping(self, node: Node, parts: Parts, line: int) -> None:
        if not parts:
            hint = "Begin the file with `version: 1`."
        elif isinstance(node, Scalar) and node.value is None:
            hint = "Write something under the key, or remove it."
        else:
            hint = "Write `key: value` lines, indented under it."
        self._findings.add(parts, line, f"Expected keys with values, found {_kind(node)}.", hint)

    def _list(self, node: Node, kind: inspect.VarTupleType, parts: Parts, line: int) -> object:
        if not isinstance(node, yaml_text.Sequence):
            hint = "Write it in brackets, or as lines that begin with `- `."
            self._findings.add(parts, line, f"Expected a list, found {_kind(node)}.", hint)
            return None
        self._check_count(len(node.items), kind, parts, line)
        return [
            self.read(item, kind.item_type, (*parts, position), item.line, {})
            for position, item in enumerate(node.items)
        ]

    def _check_count(
        self, count: int, kind: inspect.DictType | inspect.VarTupleType, parts: Parts, line: int
    ) -> None:
        if kind.min_length is not None and count < kind.min_length:
            self._findings.add(parts, line, f"Expected at least {kind.min_length} here, found {count}.")
        if kind.max_length is not None and count > kind.max_length:
            self._findings.add(parts, line, f"Expected at most {kind.max_length} here, found {count}.")

    def _scalar(self, node: Node, kind: inspect.Type, parts: Parts, line: int, notes: Notes) -> Value:
        if isinstance(kind, inspect.Metadata):
            return self._scalar(node, kind.type, parts, line, kind.extra or notes)
        if not isinstance(node, Scalar):
            expected = notes.get("expected") or _expected(kind)
            self._findings.add(
                parts, line, f"Expected {expected}, found {_kind(node)}.", notes.get("hint", "")
            )
            return None
        if fault := _fault(node, kind, notes):
            message, hint = fault
            self._findings.add(parts, line, message, notes.get("hint", "") or hint)
        return node.value


def _has_form(node: Node, kind: inspect.Type) -> bool:
    """Whether a node looks like this type from afar."""
    match kind:
        case inspect.Metadata():
            return _has_form(node, kind.type)
        case inspect.StructType() | inspect.DictType():
            return isinstance(node, yaml_text.Mapping)
        case inspect.VarTupleType():
            return isinstance(node, yaml_text.Sequence)
    return isinstance(node, Scalar)


def _fault(  # noqa: PLR0911 - one line a kind is the table
    node: Scalar, kind: inspect.Type, notes: Notes
) -> tuple[str, str] | None:
    """What is wrong with a value, and what to do."""
    value = node.value
    match kind:
        case inspect.StrType():
            return _text_fault(node, kind, notes)
        case inspect.IntType() if isinstance(value, int) and not isinstance(value, bool):
            return _bounds_fault(value, kind)
        case inspect.FloatType() if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _bounds_fault(value, kind) if math.isfinite(value) else ("Expected a finite number.", "")
        case inspect.BoolType() if isinstance(value, bool):
            return None
        case inspect.EnumType() | inspect.LiteralType():
            options = _options(kind)
            if any(value == option and type(value) is type(option) for option in options):
                return None
            near = get_close_matches(str(value)[:40], [str(option) for option in options], n=1)
            return (
                f"Expected {_expected(kind)}, found {_found(node)}.",
                f"Did you mean `{near[0]}`?" if near else "",
            )
    return f"Expected {_expected(kind)}, found {_found(node)}.", ""


def _text_fault(node: Scalar, kind: inspect.StrType, notes: Notes) -> tuple[str, str] | None:
    text, expected = node.value, notes.get("expected") or "text"
    if not isinstance(text, str):
        may_be_quoted = text is not None and "check" not in notes
        return f"Expected {expected}, found {_kind(node)}.", "Put it in quotes." if may_be_quoted else ""
    if kind.max_length is not None and len(text) > kind.max_length:
        return f"Expected at most {kind.max_length} letters, found {len(text)}.", ""
    if _CONTROL.search(text):
        return "There is a line break or another control character in this text.", "Keep it on one line."
    if kind.pattern is not None and not re.search(kind.pattern, text):
        return f"Expected {expected}.", ""
    if check := notes.get("check"):
        try:
            check(text)
        except ValueError as error:
            return str(error), ""
    return None


def _bounds_fault(number: float, kind: inspect.IntType | inspect.FloatType) -> tuple[str, str] | None:
    if kind.gt is not None and number <= kind.gt:
        return f"Expected more than {kind.gt}, found {number}.", ""
    if kind.ge is not None and number < kind.ge:
        return f"Expected at least {kind.ge}, found {number}.", ""
    if kind.le is not None and number > kind.le:
        return f"Expected at most {kind.le}, found {number}.", ""
    return None


def _options(kind: inspect.EnumType | inspect.LiteralType) -> list[Value]:
    return [member.value for member in kind.cls] if isinstance(kind, inspect.EnumType) else list(kind.values)


def _expected(kind: inspect.Type) -> str:
    match kind:
        case inspect.EnumType() | inspect.LiteralType():
            return " or ".join(str(option) for option in _options(kind))
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case inspect.BoolType():
            return "true or false"
    return "text"


def _kind(node: Node) -> str:
    """What stands there, without saying it: it may be a secret in the wrong place."""
    if not isinstance(node, Scalar):
        return "a list" if isinstance(node, yaml_text.Sequence) else "keys with values"
    match node.value:
        case None:
            return "nothing"
        case bool():
            return "true" if node.value else "false"
        case str():
            return "text"
    return "a number"


def _found(node: Scalar) -> str:
    """What stands where a number or one of a few words belongs."""
    match node.value:
        case str():
            return f"the text {quoted(node.value)}"
        case None | bool():
            return _kind(node)
    return f"the number {node.value}"
