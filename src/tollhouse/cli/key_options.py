"""What `keys create` and `keys edit` can say of a key, and the fields it stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final, Literal

from cyclopts import Parameter
from msgspec.structs import replace

from tollhouse.config.address import parse_network
from tollhouse.config.keys import MOST_NOTES, check_door, check_hours
from tollhouse.config.periods import check_timezone
from tollhouse.core.identity import VirtualKey
from tollhouse.core.instants import parse_instant
from tollhouse.core.limits import Budget, Limits, OnLow, Period

from .exit_status import CommandFailed, ExitStatus

_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NANO: Final = 1_000_000_000
_MOST_USD: Final = 1_000_000_000
_LIMITS: Final = tuple(Limits.__struct_fields__)
_PLAIN: Final[Mapping[str, tuple[str, object]]] = {
    "route": ("routes", ()),
    "team": ("team", None),
    "project": ("project", None),
    "account": ("account", None),
    "expires": ("expires_at", None),
    "budget": ("budget", None),
    "max-output-tokens": ("max_output_tokens", None),
    "network": ("networks", ()),
    "hours": ("hours", ()),
    "door": ("doors", ()),
    "tag": ("tags", ()),
    "metadata": ("metadata", {}),
}
"""The field of each and what it is without it, by what the options call it."""
REMOVABLE: Final = (*_PLAIN, *[name.replace("_", "-") for name in _LIMITS])
"""What `--without` takes."""

_Several = Parameter(negative="")
_Switch = Parameter(negative="")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class KeyOptions:
    """Everything of a key that can be chosen; None where nothing was said.

    Parameters
    ----------
    route
        A route the key may use, or a glob such as `gpt-*`; may be given several times. Without any, it may use none.
    team
        Whose limits and budget it shares; the books can be read by it.
    project
        The id of the team's project that it is for, whose limits and budget it shares as well.
    account
        The id of the user or service account whose it is, and whose limits and budget it shares as well.
    expires
        When it stops: after a number with m, h, d or w, such as 30d, or at a date such as 2026-12-31 (UTC).
    budget_usd
        How much may be spent with it in a period, in USD.
    budget_period
        What the budget is for: a day, week, month, all time, or the last 30 days.
    budget_timezone
        Where the days of the budget begin.
    soft_budget
        Count the budget and report it, but stop nobody by it.
    on_low_budget
        What becomes of a call that could cost more than is left: refuse it, or clamp its answer.
    requests_per_minute
        Calls in any sixty seconds.
    tokens_per_minute
        Tokens in any sixty seconds, input and output together.
    input_tokens_per_minute
        Tokens of input in any sixty seconds.
    output_tokens_per_minute
        Tokens of output in any sixty seconds.
    concurrency
        Calls at once.
    max_body_bytes
        The largest body of one request.
    max_output_tokens
        The longest answer that one call may ask for.
    network
        Where calls may come from, such as 10.0.0.0/8; may be given several times.
    hours
        When calls may come, such as "Mon-Fri 08:00-18:00 Europe/Berlin"; may be given several times.
    door
        What may be asked for, such as chat or embeddings; may be given several times.
    tag
        A label of every call; may be given several times.
    metadata
        A note, NAME=TEXT; may be given several times.
    """

    route: Annotated[list[str] | None, _Several] = None
    team: str | None = None
    project: str | None = None
    account: str | None = None
    expires: str | None = None
    budget_usd: str | None = None
    budget_period: Literal["day", "week", "month", "total", "rolling_30d"] | None = None
    budget_timezone: str | None = None
    soft_budget: Annotated[bool, _Switch] = False
    on_low_budget: Literal["refuse", "clamp"] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    concurrency: int | None = None
    max_body_bytes: int | None = None
    max_output_tokens: int | None = None
    network: Annotated[list[str] | None, _Several] = None
    hours: Annotated[list[str] | None, _Several] = None
    door: Annotated[list[str] | None, _Several] = None
    tag: Annotated[list[str] | None, _Several] = None
    metadata: Annotated[list[str] | None, _Several] = None

    def changes(self, now: float) -> Callable[[VirtualKey], VirtualKey]:
        """What makes of a key what was said; all of it has been checked. Raises: CommandFailed."""
        fields: dict[str, object] = {
            "routes": _each("--route", self.route, _check_glob),
            "team": _name("--team", self.team),
            "project": _name("--project", self.project),
            "account": _name("--account", self.account),
            "expires_at": _moment(self.expires, now),
            "max_output_tokens": _counted("--max-output-tokens", self.max_output_tokens),
            "networks": _each("--network", self.network, parse_network),
            "hours": _each("--hours", self.hours, check_hours),
            "doors": _each("--door", self.door, check_door),
            "tags": _each("--tag", self.tag, _check_name),
            "metadata": _notes(self.metadata),
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        limits = {
            name: _counted(f"--{name.replace('_', '-')}", value)
            for name in _LIMITS
            if (value := getattr(self, name)) is not None
        }
        budget = self._budget()
        return lambda key: replace(
            key,
            limits=replace(key.limits, **limits),
            budget=budget(key.budget) if budget is not None else key.budget,
            **fields,
        )

    def _budget(self) -> Callable[[Budget | None], Budget] | None:
        """What makes a budget of the one there is; None where nothing was said of it."""
        said: dict[str, object] = {}
        if self.budget_usd is not None:
            said["nanousd"] = _nanousd(self.budget_usd)
        if self.budget_period is not None:
            said["period"] = Period(self.budget_period)
        if self.budget_timezone is not None:
            said["timezone"] = _checked("--budget-timezone", self.budget_timezone, check_timezone)
        if self.soft_budget:
            said["is_hard"] = False
        if self.on_low_budget is not None:
            said["on_low"] = OnLow(self.on_low_budget)
        if not said:
            return None

        def made(before: Budget | None) -> Budget:
            if before is None and "nanousd" not in said:
                raise _usage("There is no budget that this could be said of.", "Give --budget-usd as well.")
            return replace(before or Budget(nanousd=0), **said)

        return made


def without(names: Iterable[str]) -> Callable[[VirtualKey], VirtualKey]:
    """What takes from a key what is named. Raises: CommandFailed for what cannot be."""
    fields: dict[str, object] = {}
    limits: dict[str, None] = {}
    for name in names:
        if name in _PLAIN:
            field, plain = _PLAIN[name]
            fields[field] = plain
        elif name.replace("-", "_") in _LIMITS:
            limits[name.replace("-", "_")] = None
        else:
            raise _usage(
                f"{name!r} is nothing that a key can be without.", f"Write one of: {', '.join(REMOVABLE)}."
            )
    return lambda key: replace(key, limits=replace(key.limits, **limits), **fields)


def key_name(text: str) -> str:
    """Raises: CommandFailed for a name that nobody could read."""
    if not text.strip() or len(text) > 100 or not text.isprintable():
        raise CommandFailed(ExitStatus.USAGE, "A key's name is 1 to 100 printable letters.")
    return text


def duration_s(text: str) -> float:
    """`45m`, `12h`, `30d` or `8w` in seconds. Raises: CommandFailed."""
    match = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if match is None or int(match[1]) == 0:
        raise _usage(f"{text!r} is not a duration.", "Write 45m, 12h, 30d or 8w.")
    return float(int(match[1]) * _UNITS[match[2]])


def _usage(message: str, hint: str = "") -> CommandFailed:
    return CommandFailed(ExitStatus.USAGE, message, hint)


def _moment(text: str | None, now: float) -> float | None:
    if text is None:
        return None
    if text[:1].isdigit() and "-" in text:
        try:
            return parse_instant(text)
        except ValueError as error:
            raise _usage(f"--expires: {error}") from error
    return now + duration_s(text)


def _nanousd(text: str) -> int:
    try:
        usd = Decimal(text)
        nanousd = usd * _NANO
        if not 0 <= usd <= _MOST_USD or nanousd != nanousd.to_integral_value():
            raise InvalidOperation
    except InvalidOperation:
        raise _usage(
            f"{text!r} is no amount of money.", "Write USD such as 25 or 0.5, to the billionth."
        ) from None
    return int(nanousd)


def _counted(option: str, value: int | None) -> int | None:
    if value is not None and not 1 <= value <= 1_000_000_000_000:
        raise _usage(
            f"{option} is a number of at least 1.", "To take a limit away, use `keys edit --without`."
        )
    return value


def _each(option: str, texts: list[str] | None, check: Callable[[str], object]) -> tuple[str, ...] | None:
    return tuple([_checked(option, text, check) for text in texts]) if texts is not None else None


def _checked(option: str, text: str, check: Callable[[str], object]) -> str:
    try:
        check(text)
    except ValueError as error:
        raise _usage(f"{option}: {error}") from error
    return text


def _name(option: str, text: str | None) -> str | None:
    return _checked(option, text, _check_name) if text is not None else None


def _check_name(text: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", text) is None:
        raise ValueError(f"{text!r} is no name. Write letters, digits and . _ @ -, at most 64.")


def _check_glob(text: str) -> None:
    if re.fullmatch(r"[!-~]{1,200}", text) is None:
        raise ValueError(f"{text!r} is no route or glob. Write visible letters without spaces.")


def _notes(texts: list[str] | None) -> dict[str, str] | None:
    if texts is None:
        return None
    notes: dict[str, str] = {}
    for text in texts:
        name, sign, note = text.partition("=")
        if not sign or not 1 <= len(name) <= 64 or len(note) > 500:
            raise _usage(f"{text[:80]!r} is no note.", "Write NAME=TEXT, with at most 64 and 500 letters.")
        notes[name] = note
    if len(notes) > MOST_NOTES:
        raise _usage(f"A key has at most {MOST_NOTES} notes.")
    return notes
