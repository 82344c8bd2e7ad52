"""Nobody grants more than they hold: what a holding covers, and by what another one exceeds it.

The one function for keys, client tokens, projects, accounts and roles. It errs on the strict side: what it cannot prove
to be within the holding exceeds it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from .hours import parse_window
from .limits import Budget, Limits, Period


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody or something may use at most.

    Limits and a budget that are not there are inherited: whoever is charged beside it still bounds them. Everything
    else that is not there is not bounded at all, and exceeds a holding that bounds it.
    """

    routes: tuple[str, ...] | None = None
    """Globs over route names; None covers every route, () none."""
    limits: Limits = Limits()
    budget: Budget | None = None
    doors: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()
    max_output_tokens: int | None = None
    expires_at: float | None = None


def excess(wanted: Holding, held: Holding) -> tuple[str, ...]:
    """The names of the fields by which `wanted` goes beyond `held`; none where all of it is covered."""
    found = []
    if not _covers_routes(held.routes, wanted.routes):
        found.append("routes")
    found += [
        f"limits.{name}"
        for name in Limits.__struct_fields__
        if _is_more(getattr(wanted.limits, name), getattr(held.limits, name))
    ]
    if (
        wanted.budget is not None
        and held.budget is not None
        and not covers_budget(held.budget, wanted.budget)
    ):
        found.append("budget")
    if held.doors and not (wanted.doors and set(wanted.doors) <= set(held.doors)):
        found.append("doors")
    if held.networks and not (
        wanted.networks and all(_in_networks(one, held.networks) for one in wanted.networks)
    ):
        found.append("networks")
    if held.hours and not (wanted.hours and all(_in_hours(one, held.hours) for one in wanted.hours)):
        found.append("hours")
    found += [
        name
        for name in ("max_output_tokens", "expires_at")
        if (bound := getattr(held, name)) is not None
        and ((value := getattr(wanted, name)) is None or value > bound)
    ]
    return tuple(found)


def excess_of_all(wanted: Holding, held: Sequence[Holding]) -> tuple[str, ...]:
    """Like `excess`, where several holdings bound one another: each field is named once."""
    return tuple(dict.fromkeys([field for one in held for field in excess(wanted, one)]))


def _is_more(wanted: int | None, held: int | None) -> bool:
    return wanted is not None and held is not None and wanted > held


# -- money


def covers_budget(held: Budget, wanted: Budget) -> bool:
    """Whether keeping the wanted budget keeps the held one: the same or less money, in periods that cannot be
    overlapped so that one of the held ones has the money of two."""
    if wanted.nanousd > held.nanousd:
        return False
    if wanted.period is Period.TOTAL:
        return True
    is_same_calendar = wanted.timezone == held.timezone
    return is_same_calendar and (wanted.period is held.period or held.period is Period.DAY)


# -- routes


def _covers_routes(held: tuple[str, ...] | None, wanted: tuple[str, ...] | None) -> bool:
    if held is None:
        return True
    return wanted is not None and all(any(covers_glob(one, glob) for one in held) for glob in wanted)


def covers_glob(held: str, wanted: str) -> bool:
    """Whether every name that the wanted glob matches is matched by the held one, as far as that can be seen by laying
    one over the other. Never true where it is not so. Takes time in the product of the lengths, whatever they say."""
    ours, theirs = _pieces(held), _pieces(wanted)
    reached = {0}
    """How many of our pieces may stand for what has been read of theirs."""
    reached = _past_stars(ours, reached)
    for piece in theirs:
        stepped = set()
        for place in reached:
            if place == len(ours):
                continue
            if ours[place] == "*":
                stepped.add(place)
            elif _stands_for(ours[place], piece):
                stepped.add(place + 1)
        reached = _past_stars(ours, stepped)
        if not reached:
            return False
    return len(ours) in reached


def _past_stars(pieces: Sequence[str], places: set[int]) -> set[int]:
    found = set(places)
    for place in places:
        onward = place
        while onward < len(pieces) and pieces[onward] == "*":
            onward += 1
            found.add(onward)
    return found


def _stands_for(ours: str, theirs: str) -> bool:
    """Whether one piece that is no star matches whatever another one matches."""
    if theirs == "*":
        return False
    if ours in ("?", theirs):
        return True
    is_letter = len(theirs) == 1 and theirs != "?"
    return is_letter and ours.startswith("[") and len(ours) > 1 and fnmatchcase(theirs, ours)


def _pieces(glob: str) -> list[str]:
    """A glob as `fnmatch` reads it: letters, `?`, `*`, and classes such as `[a-z]`. A bracket that is never closed is
    a letter."""
    pieces, at = [], 0
    while at < len(glob):
        end = at + 1
        if glob[at] == "[":
            close = end + 1 if glob[end : end + 1] == "!" else end
            close = close + 1 if glob[close : close + 1] == "]" else close
            close = glob.find("]", close)
            end = close + 1 if close >= 0 else end
        pieces.append(glob[at:end])
        at = end
    return pieces


# -- networks and hours


def _in_networks(wanted: str, held: Sequence[str]) -> bool:
    try:
        inner = ipaddress.ip_network(wanted, strict=False)
        outers = [ipaddress.ip_network(one, strict=False) for one in held]
    except ValueError:
        return False
    return any(
        inner.version == outer.version
        and int(outer.network_address) <= int(inner.network_address)
        and int(inner.broadcast_address) <= int(outer.broadcast_address)
        for outer in outers
    )


def _in_hours(wanted: str, held: Sequence[str]) -> bool:
    return wanted in held or any(_is_within(wanted, one) for one in held)


def _is_within(inner: str, outer: str) -> bool:
    """Whether a window of the week lies within another one by the same clocks. Those of different zones are not
    compared."""
    try:
        theirs, ours = parse_window(inner), parse_window(outer)
    except ValueError:
        return False
    if ours.zone != theirs.zone:
        return False
    return theirs.days <= ours.days and ours.opens <= theirs.opens and theirs.closes <= ours.closes
