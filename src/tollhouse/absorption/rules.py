"""What a rule is, and how rules are applied to a body. Pure; costs next to nothing where none applies.

A rule changes requests that the upstream would refuse as they are, and no others: what it would answer goes out byte
for byte. Members that no rule has changed stay the bytes they were, in the order they had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final

import msgspec

from tollhouse.wire import json_scan

Fields = dict[str, Any]
"""The top-level members of a body, in order: decoded where the rule says it reads them, raw JSON elsewhere."""

_CACHED: Final = 4096
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one provider's API, absorbed."""

    name: str
    """Stable: it stands in records."""
    since: str
    """The day the change took effect, or was first seen where nobody announced it, as `2025-04-16`."""
    source: str
    """The page that says so."""
    providers: tuple[str, ...]
    """Globs over kinds of providers."""
    dialects: tuple[str, ...]
    models: tuple[str, ...] = ("*",)
    """Globs over the upstream's model names in lower case."""
    except_models: tuple[str, ...] = ()
    when: tuple[str, ...]
    """Top-level members without which there is nothing to do: looked for before anything is decoded. Those that
    `apply` gets decoded, with `reads`."""
    reads: tuple[str, ...] = ()
    apply: Callable[[Fields], Fields | None]
    """The members as they must be, in order; None where they are well as they are. Must not change what it is given."""
    loses: tuple[str, ...] = ()
    """Members of the caller's that the upstream is not told any more."""
    example: tuple[Fields, Fields]
    """A body before and after, but for the model's name."""

    def is_for(self, kind: str, dialect: str, model: str) -> bool:
        """Whether the rule can ever apply there. `model` in lower case."""
        return (
            dialect in self.dialects
            and _matches(kind, self.providers)
            and _matches(model, self.models)
            and not _matches(model, self.except_models)
        )


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one provider's API, wherever it is served."""

    name: str
    rules: tuple[Rule, ...]
    """Applied in this order."""


class Absorber:
    """Applies packs. Holds what it has found out about models, within a bound."""

    __slots__ = ("_rules_for",)

    def __init__(self, packs: Iterable[Pack]) -> None:
        rules = tuple(rule for pack in packs for rule in pack.rules)

        def rules_for(kind: str, dialect: str, model: str) -> tuple[Rule, ...]:
            name = model.lower()
            return tuple(rule for rule in rules if rule.is_for(kind, dialect, name))

        self._rules_for = lru_cache(maxsize=_CACHED)(rules_for)

    def absorb(self, kind: str, dialect: str, model: str, body: bytes) -> tuple[bytes, tuple[str, ...]]:
        """The body as the upstream takes it, and the names of the rules it took; the same object where it took none.

        `body` is the JSON of a request that has been judged: a body that is none comes back as it is.
        """
        rules = self._rules_for(kind, dialect, model)
        if not rules:
            return body, ()
        try:
            present = json_scan.top_level(body).members.keys()
        except json_scan.JsonFault:
            return body, ()
        candidates = [rule for rule in rules if present >= set(rule.when)]
        return _apply(candidates, body) if candidates else (body, ())


def _apply(rules: list[Rule], body: bytes) -> tuple[bytes, tuple[str, ...]]:
    fields: Fields = dict(_OBJECT.decode(body))
    applied = []
    for rule in rules:
        if not all(name in fields for name in rule.when):
            continue  # another rule has taken it away
        for name in (*rule.when, *rule.reads):
            if isinstance(fields.get(name), msgspec.Raw):
                fields[name] = msgspec.json.decode(fields[name])
        changed = rule.apply(fields)
        if changed is not None:
            fields = changed
            applied.append(rule.name)
    return (msgspec.json.encode(fields), tuple(applied)) if applied else (body, ())


def _matches(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


# -- what packs are made of


def without(fields: Fields, *names: str) -> Fields:
    """The members but for some."""
    return {name: value for name, value in fields.items() if name not in names}


def renamed(fields: Fields, old: str, new: str) -> Fields:
    """The same members, one under another name in the same place."""
    return {new if name == old else name: value for name, value in fields.items()}


def with_value(fields: Fields, name: str, value: Any) -> Fields:
    """The same members, one with another value in the same place, or at the end if it was not there."""
    return fields | {name: value}
