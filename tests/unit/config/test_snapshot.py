from __future__ import annotations

import msgspec
import pytest

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.config.schema import EXAMPLE
from tollhouse.config.snapshot import Snapshot, from_wire, hash_of, to_wire
from tollhouse.ports.provider import Provider

MOCK = Provider(kind="mock", title="Mock", docs_url="", endpoints=(), needs_credential=False)


def snapshot(*names: str) -> Snapshot:
    routes = "".join(f"  '{name}': {{deployments: [{{provider: m, model: m}}]}}\n" for name in names)
    return compile_config(
        load(f"version: 1\nproviders: {{m: {{kind: mock}}}}\nroutes:\n{routes}"), {"mock": MOCK}
    )


@pytest.mark.parametrize(
    ("model", "route", "star"),
    [
        ("gpt-4o", "gpt-4o", None),
        ("gpt-4o-mini", "gpt-4o-*", "mini"),
        ("gpt-5", "*", "gpt-5"),
        ("openai/gpt-5", "openai/*", "gpt-5"),
        ("openai/o1", "openai/o1", None),
        ("openai/o1-pro", "openai/*", "o1-pro"),
        ("openai/", "*", "openai/"),
        ("openai/*", "openai/*", "*"),
        ("a/b/c", "a/b/*", "c"),
        ("a/b", "a/*", "b"),
        ("*", "*", "*"),
    ],
)
def test_exact_name_beats_a_star_and_the_longest_star_wins(model: str, route: str, star: str | None) -> None:
    names = ("*", "openai/*", "gpt-4o-*", "gpt-4o", "openai/o1", "a/*", "a/b/*")
    found = snapshot(*names).find(model)
    assert found is not None
    assert (found[0].name, found[1]) == (route, star)


@pytest.mark.parametrize("model", ["", "gpt", "gpt-4o-", "GPT-4O", "x" * 100_000])
def test_nothing_is_found_for_other_names(model: str) -> None:
    assert snapshot("gpt-4o", "gpt-4o-*").find(model) is None


def test_star_stands_for_at_least_one_letter() -> None:
    assert snapshot("*").find("") is None


def test_look_ups_grow_with_the_different_lengths_of_stars_alone() -> None:
    many = snapshot(*(f"team-{number:04}/*" for number in range(1000)))
    assert many.star_lengths == (10,)
    found = many.find("team-0777/gpt")
    assert found is not None
    assert (found[0].name, found[1]) == ("team-0777/*", "gpt")


def test_routes_stand_in_the_order_of_the_file() -> None:
    assert list(snapshot("b", "a", "c*").routes) == ["b", "a", "c*"]


def test_snapshot_cannot_be_changed() -> None:
    one = snapshot("a")
    with pytest.raises(AttributeError):
        one.hash = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        one.routes["b"] = one.routes["a"]  # type: ignore[index]


def test_tree_comes_over_the_wire_as_it_was() -> None:
    config = load(EXAMPLE)
    received = from_wire(to_wire(config))
    assert received == config
    assert hash_of(received) == hash_of(config)


def test_wire_is_refused_when_it_is_not_a_tree() -> None:
    with pytest.raises(msgspec.ValidationError):
        from_wire(b'{"version": 1, "wrokers": 2}')
