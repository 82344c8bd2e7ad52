from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.config.clocks import clock_problems, longest_timeouts
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.tree import Config, Route, Server
from tollhouse.core.problem import ConfigInvalid, ConfigProblem, Severity
from tollhouse.core.routing import Timeouts
from tollhouse.ports.provider import Provider

MOCK = Provider(kind="mock", title="Mock", docs_url="", endpoints=(), needs_credential=False)
CLOCKS = Timeouts.__struct_fields__


def route(**keys: Any) -> Route:
    return msgspec.convert({"deployments": [{"provider": "m", "model": "m"}], **keys}, Route)


def tree(**keys: Any) -> Config:
    written = {
        "version": 1,
        "providers": {"m": {"kind": "mock"}},
        "routes": {"r": msgspec.to_builtins(route(**keys))},
    }
    return msgspec.convert(written, Config)


def told(server: dict[str, Any] | None = None, **keys: Any) -> list[tuple[str, Severity]]:
    found = clock_problems("routes.r", route(**keys), msgspec.convert(server or {}, Server))
    return [(each.path.removeprefix("routes.r."), each.severity) for each in found]


def only(server: dict[str, Any] | None = None, **keys: Any) -> ConfigProblem:
    (found,) = clock_problems("routes.r", route(**keys), msgspec.convert(server or {}, Server))
    return found


# -- how far callers may go


def test_clock_may_only_be_shortened_where_no_longest_is_written() -> None:
    assert longest_timeouts(route()) == Timeouts()
    assert longest_timeouts(route(timeouts={"total_s": 20})).total_s == 20.0


def test_clock_may_be_moved_as_far_as_is_written() -> None:
    found = longest_timeouts(route(timeouts={"total_s": 20}, longest_timeouts={"total_s": 90}))
    assert (found.total_s, found.idle_s) == (90.0, Timeouts().idle_s)


def test_compiled_route_knows_how_far_callers_may_go() -> None:
    config = tree(timeouts={"idle_s": 5}, longest_timeouts={"idle_s": 9, "total_s": 700})
    found = compile_config(config, {"mock": MOCK}).routes["r"]
    assert (found.timeouts.idle_s, found.longest_timeouts.idle_s) == (5.0, 9.0)
    assert (found.longest_timeouts.total_s, found.longest_timeouts.tls_s) == (700.0, 5.0)


# -- what makes no sense


def test_defaults_are_fine() -> None:
    assert told() == []


@pytest.mark.parametrize("name", CLOCKS)
def test_longest_that_is_less_than_the_clock_is_an_error(name: str) -> None:
    found = only(timeouts={name: 2}, longest_timeouts={name: 1.5})
    assert (found.path, found.severity) == (f"routes.r.longest_timeouts.{name}", Severity.ERROR)
    assert found.message == "1.5 is less than the clock itself, which is set to 2."


@pytest.mark.parametrize("name", CLOCKS)
def test_longest_that_is_less_than_the_default_of_the_clock_is_an_error(name: str) -> None:
    assert told(longest_timeouts={name: 0.1}) == [(f"longest_timeouts.{name}", Severity.ERROR)]


@pytest.mark.parametrize("name", CLOCKS)
def test_longest_may_be_what_the_clock_is_set_to(name: str) -> None:
    assert told(timeouts={name: 2}, longest_timeouts={name: 2}) == (
        [] if name != "total_s" else told(timeouts={"total_s": 2})
    )


def test_longest_below_the_clock_is_refused_by_the_compiler() -> None:
    config = tree(longest_timeouts={"total_s": 60, "idle_s": 60})
    with pytest.raises(ConfigInvalid) as caught:
        compile_config(config, {"mock": MOCK})
    assert [each.path for each in caught.value.problems] == ["routes.r.longest_timeouts.total_s"]


@pytest.mark.parametrize("name", [name for name in CLOCKS if name != "total_s"])
def test_clock_that_the_total_always_ends_first_is_a_warning(name: str) -> None:
    found = only(timeouts={name: 31, "total_s": 30})
    assert (found.path, found.severity) == (f"routes.r.timeouts.{name}", Severity.WARNING)
    assert found.message == "This clock can never run out: `total_s` ends a call after 30 s."
    assert told(timeouts={name: 30, "total_s": 30}) == [(f"timeouts.{name}", Severity.WARNING)]
    assert told(timeouts={name: 29, "total_s": 30}) == []


def test_short_total_is_fine_beside_clocks_that_nobody_has_set() -> None:
    assert told(timeouts={"total_s": 1}) == []


def test_sign_of_life_that_never_comes_is_a_warning() -> None:
    found = only(timeouts={"total_s": 30}, heartbeat_after_s=40)
    assert (found.path, found.severity) == ("routes.r.heartbeat_after_s", Severity.WARNING)
    assert found.message == "No sign of life is ever sent: `total_s` ends a call after 30 s."
    assert told(timeouts={"total_s": 30}, heartbeat_after_s=29) == []
    assert told(timeouts={"total_s": 30}, heartbeat_after_s=0) == []


def test_sign_of_life_that_is_set_for_the_server_and_never_comes_is_a_warning() -> None:
    found = only({"heartbeat_after_s": 40}, timeouts={"total_s": 30})
    assert found.path == "routes.r.timeouts.total_s"
    assert "`server.heartbeat_after_s`, 40 s: `total_s` ends a call after 30 s." in found.message
    assert told({"heartbeat_after_s": 40}, timeouts={"total_s": 30}, heartbeat_after_s=5) == []
    assert told({"heartbeat_after_s": 0}, timeouts={"total_s": 30}) == []


def test_short_total_is_fine_beside_signs_of_life_that_nobody_has_set() -> None:
    assert told(timeouts={"total_s": 10}) == []


CLOCK = st.floats(0.5, 900)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(CLOCKS, CLOCK)))
def test_longest_is_never_less_than_the_clock_unless_that_is_told(written: dict[str, float]) -> None:
    clocks = {"connect_s": 100.0, "idle_s": 100.0, "total_s": 800.0}
    given_route = route(timeouts=clocks, longest_timeouts=written)
    bounds, set_to = longest_timeouts(given_route), given_route.timeouts
    below = [name for name in CLOCKS if getattr(bounds, name) < getattr(set_to, name)]
    errors = [
        path
        for path, severity in told(timeouts=clocks, longest_timeouts=written)
        if severity is Severity.ERROR
    ]
    assert errors == [f"longest_timeouts.{name}" for name in below]
