"""The clocks of a route: how far callers may move them, and which of them make no sense beside one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tollhouse.core import routing
from tollhouse.core.problem import ConfigProblem, Severity

from . import conduct, tree

_DEFAULTS: Final = conduct.Timeouts()
_WITHIN_THE_TOTAL: Final = ("connect_s", "tls_s", "first_header_s", "first_token_s", "idle_s")


def longest_timeouts(route: tree.Route) -> routing.Timeouts:
    """How far each clock may be moved: as far as is written, else it may only be shortened."""
    bounds: dict[str, float] = {}
    for name in routing.Timeouts.__struct_fields__:
        longest = getattr(route.longest_timeouts, name)
        bounds[name] = getattr(route.timeouts, name) if longest is None else longest
    return routing.Timeouts(**bounds)


def clock_problems(path: str, route: tree.Route, server: tree.Server) -> Iterator[ConfigProblem]:
    """What is wrong with the clocks of the route at `path`. Those that have their defaults may be longer than the
    total: nobody has to look after what they have not set."""
    for name in routing.Timeouts.__struct_fields__:
        clock, longest = getattr(route.timeouts, name), getattr(route.longest_timeouts, name)
        if longest is not None and longest < clock:
            yield ConfigProblem(
                path=f"{path}.longest_timeouts.{name}",
                message=f"{longest:g} is less than the clock itself, which is set to {clock:g}.",
                hint="Raise it, or leave it out: callers may shorten a clock in any case.",
            )
    total_s = route.timeouts.total_s
    for name in _WITHIN_THE_TOTAL:
        clock = getattr(route.timeouts, name)
        if clock >= total_s and clock != getattr(_DEFAULTS, name):
            yield _never(f"{path}.timeouts.{name}", "This clock can never run out", total_s)
    if route.heartbeat_after_s is not None:
        if route.heartbeat_after_s >= total_s:
            yield _never(f"{path}.heartbeat_after_s", "No sign of life is ever sent", total_s)
    elif server.heartbeat_after_s >= total_s and server.heartbeat_after_s != tree.Server().heartbeat_after_s:
        message = (
            f"No sign of life is ever sent within `server.heartbeat_after_s`, {server.heartbeat_after_s:g} s"
        )
        yield _never(f"{path}.timeouts.total_s", message, total_s)


def _never(path: str, message: str, total_s: float) -> ConfigProblem:
    return ConfigProblem(
        path=path,
        message=f"{message}: `total_s` ends a call after {total_s:g} s.",
        hint="Lower it, or raise `total_s`.",
        severity=Severity.WARNING,
    )
