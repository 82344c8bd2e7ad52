"""How a provider is to be looked at, and what cannot be meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.health import HealthCheck
from tollhouse.config.load import load
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.problem import ConfigInvalid
from tollhouse.plugins import load_plugins

ROUTES = {"r": {"deployments": [{"provider": "p", "model": "m"}]}}


def compiled(check: Any, **provider: Any) -> Snapshot:
    written = {"kind": "vllm", "base_url": "http://127.0.0.1:9/v1", "health_check": check, **provider}
    tree = {"version": 1, "providers": {"p": written}, "routes": ROUTES}
    return compile_config(load(json.dumps(tree)), load_plugins().providers)


def refused(check: Any) -> tuple[str, str]:
    with pytest.raises(ConfigInvalid) as caught:
        compiled(check)
    (problem,) = caught.value.problems
    return problem.path, problem.message


def test_nobody_is_looked_at_unless_it_is_written() -> None:
    tree = {"version": 1, "providers": {"p": {"kind": "mock"}}, "routes": ROUTES}
    snapshot = compile_config(load(json.dumps(tree)), load_plugins().providers)
    assert snapshot.providers["p"].health_check is None


@pytest.mark.parametrize(
    ("written", "check"),
    [
        ({}, HealthCheck(path=None, every_s=10.0, timeout_s=2.0)),
        ({"path": "/health"}, HealthCheck(path="/health")),
        ({"path": "/a%20b?deep=1&x=~", "every_s": 1, "timeout_s": 1}, HealthCheck(
            path="/a%20b?deep=1&x=~", every_s=1.0, timeout_s=1.0)),
    ],
    ids=["a connection", "a path", "everything"],
)  # fmt: skip
def test_check_of_every_account_is_as_written(written: dict[str, Any], check: HealthCheck) -> None:
    providers = compiled(written, credential=["env:A", "env:B"]).providers
    assert {name: upstream.health_check for name, upstream in providers.items()} == {"p": check, "p#2": check}


def test_check_without_keys_has_no_warnings() -> None:
    assert compiled({}).warnings == ()


@pytest.mark.parametrize(
    "path", ["", "health", "//x#y", "/a b", "/a\nb", "/a\x7f", "/ä", "http://h/", "/" + 1000 * "a"]
)
def test_path_that_could_not_be_asked_for_is_refused(path: str) -> None:
    place, _ = refused({"path": path})
    assert place == "providers.p.health_check.path"


@pytest.mark.parametrize(
    ("key", "value"),
    [("every_s", 0.5), ("every_s", 3601), ("timeout_s", 0), ("timeout_s", 61), ("evry_s", 5)],
)
def test_figures_have_bounds_and_keys_are_known(key: str, value: float) -> None:
    assert refused({"path": "/health", key: value})[0] == f"providers.p.health_check.{key}"


def test_check_has_to_be_over_before_the_next_is_due() -> None:
    assert refused({"every_s": 3, "timeout_s": 3.5}) == (
        "providers.p.health_check.timeout_s",
        "3.5 is more than `every_s`, which is 3.",
    )
