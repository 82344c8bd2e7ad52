"""A virtual key as it is written, in the configuration or in a file that is imported, and the key it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct

from tollhouse.core.hours import parse_window
from tollhouse.core.identity import VirtualKey
from tollhouse.core.instants import parse_instant
from tollhouse.core.operation import Operation

from .address import parse_network
from .allowances import Budget, Limits, budget_of, limits_of
from .periods import check_timezone
from .values import Glob, Name, Network, Tokens

DOORS: Final = tuple(operation.value for operation in Operation if operation is not Operation.UNKNOWN)
"""What a key can be narrowed to."""
MOST_NOTES: Final = 50


def check_hours(text: str) -> None:
    """Raises: ValueError for what is no window of the week, or in a time zone that is not known here."""
    check_timezone(parse_window(text).zone)


def check_door(text: str) -> None:
    """Raises: ValueError for what nobody can ask for."""
    if text not in DOORS:
        raise ValueError(f"{text!r} is nothing that can be asked for. Write one of: {', '.join(DOORS)}.")


def _check_instant(text: str) -> None:
    parse_instant(text)


Hours = Annotated[
    str,
    Meta(
        max_length=120,
        extra={"check": check_hours, "expected": "a window such as Mon-Fri 08:00-18:00 Europe/Berlin"},
    ),
]
Door = Annotated[
    str, Meta(max_length=40, extra={"check": check_door, "expected": "an operation such as chat"})
]
Instant = Annotated[
    str, Meta(max_length=40, extra={"check": _check_instant, "expected": "a date such as 2026-12-31"})
]
Note = Annotated[str, Meta(max_length=500)]
NoteName = Annotated[str, Meta(min_length=1, max_length=64)]


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A virtual key declared by its hash. All others are made by `tollhouse keys create`."""

    name: Annotated[Name, Meta(description="What the books call it; unique.")]
    sha256: Annotated[
        str,
        Meta(
            pattern="^[0-9a-fA-F]{64}$",
            max_length=64,
            description="SHA-256 of the key's text, 64 hex digits. The text itself never stands here.",
            extra={
                "expected": "a SHA-256 hash of 64 hex digits, never the key itself",
                "hint": "printf %s KEY | sha256sum prints it. Quote it if it has digits only.",
            },
        ),
    ]
    routes: Annotated[
        tuple[Glob, ...],
        Meta(max_length=1000, description="Globs over route names it may use. Without any it may use none."),
    ] = ()
    team: Annotated[
        Name | None,
        Meta(
            description="Whose limits and budget it shares, where the team has any; a label in the books in any case."
        ),
    ] = None
    limits: Annotated[Limits, Meta(description="How much may be used with it.")] = Limits()
    budget: Annotated[Budget | None, Meta(description="How much money may be spent with it.")] = None
    expires: Annotated[
        Instant | None,
        Meta(
            description="When it stops to open: a date, at whose beginning in UTC it does, or a moment such as "
            "`2026-12-31T18:00:00Z`. Never, if not written."
        ),
    ] = None
    networks: Annotated[
        tuple[Network, ...],
        Meta(
            max_length=1000,
            description="Where calls with it may come from, such as `10.0.0.0/8`: the address of the connection. "
            "Anywhere, if not written.",
        ),
    ] = ()
    hours: Annotated[
        tuple[Hours, ...],
        Meta(
            max_length=50,
            description="When calls with it may come, such as `Mon-Fri 08:00-18:00 Europe/Berlin`. Always, if not "
            "written.",
        ),
    ] = ()
    doors: Annotated[
        tuple[Door, ...],
        Meta(
            max_length=20, description="What may be asked for with it, such as `chat`. All, if not written."
        ),
    ] = ()
    tags: Annotated[
        tuple[Name, ...],
        Meta(max_length=50, description="Labels of every call with it; tags can have limits and budgets."),
    ] = ()
    max_output_tokens: Annotated[
        Tokens | None, Meta(description="The longest answer that one call with it may ask for, in tokens.")
    ] = None
    metadata: Annotated[
        Mapping[NoteName, Note], Meta(max_length=MOST_NOTES, description="Notes; nothing goes by them.")
    ] = {}


def virtual_key(written: Key, *, id: str, created_at: float = 0.0) -> VirtualKey:  # noqa: A002 - the field's name
    """The key that was written. Raises: ValueError for what the checks of its fields would have told."""
    for check, texts in (
        (parse_network, written.networks),
        (check_hours, written.hours),
        (check_door, written.doors),
    ):
        for text in texts:
            check(text)
    return VirtualKey(
        id=id,
        name=written.name,
        digest=written.sha256.lower(),
        scheme="sha256",
        team=written.team,
        routes=written.routes,
        created_at=created_at,
        expires_at=parse_instant(written.expires) if written.expires is not None else None,
        limits=limits_of(written.limits),
        budget=budget_of(written.budget),
        doors=written.doors,
        networks=written.networks,
        hours=written.hours,
        tags=written.tags,
        max_output_tokens=written.max_output_tokens,
        metadata=written.metadata,
    )
