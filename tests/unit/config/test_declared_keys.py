"""Declared keys have the fields of every other key, and what is wrong with them is told with its place."""

from __future__ import annotations

import pytest

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.core.identity import VirtualKey
from tollhouse.core.problem import ConfigInvalid
from tollhouse.plugins import load_plugins

PLUGINS = load_plugins([]).providers


def text(fields: str) -> str:
    return f"""
version: 1
providers: {{mock: {{kind: mock}}}}
routes: {{gpt: {{deployments: [{{provider: mock, model: mock-chat}}]}}}}
keys:
  - name: ci
    sha256: {"5D" * 32}
    routes: [gpt]
    {fields}
"""


def declared(fields: str) -> VirtualKey:
    (key,) = compile_config(load(text(fields)), PLUGINS).declared_keys
    return key


def problems(fields: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigInvalid) as caught:
        compile_config(load(text(fields)), PLUGINS)
    return [(problem.path, problem.message + problem.hint) for problem in caught.value.problems]


def test_declared_key_has_what_is_written() -> None:
    key = declared(
        "expires: 2027-01-01\n    networks: [10.0.0.0/8]\n    hours: [Mon 08:00-18:00 Europe/Berlin]\n"
        "    doors: [chat]\n    tags: [a]\n    max_output_tokens: 5\n    metadata: {owner: me}"
    )
    assert (key.id, key.scheme, key.digest) == ("cfg-ci", "sha256", "5d" * 32)
    assert (key.expires_at, key.networks, key.doors, key.tags) == (
        1_798_761_600.0,
        ("10.0.0.0/8",),
        ("chat",),
        ("a",),
    )
    assert (key.hours, key.max_output_tokens) == (("Mon 08:00-18:00 Europe/Berlin",), 5)
    assert dict(key.metadata) == {"owner": "me"}


def test_declared_key_without_more_is_not_restricted() -> None:
    key = declared("team: search")
    assert (key.expires_at, key.networks, key.hours, key.doors, key.tags) == (None, (), (), (), ())
    assert (key.limits.requests_per_minute, key.budget, key.max_output_tokens) == (None, None, None)


@pytest.mark.parametrize(
    ("fields", "path", "expected"),
    [
        ("networks: [10.0.0.1/8]", "keys[0].networks[0]", "10.0.0.0/8"),
        ("hours: [whenever]", "keys[0].hours[0]", "time zone"),
        ("hours: [Mon-Fri 8-18]", "keys[0].hours[0]", "08:00-18:00"),
        ("hours: [Mon Europe/Atlantis]", "keys[0].hours[0]", "not a time zone"),
        ("doors: [cellar]", "keys[0].doors[0]", "chat"),
        ("expires: soon", "keys[0].expires", "2026-12-31"),
        ("max_output_tokens: 0", "keys[0].max_output_tokens", "1"),
        ("tags: [two words]", "keys[0].tags[0]", "letters, digits"),
        ("network: [10.0.0.0/8]", "keys[0].network", "networks"),
    ],
)
def test_what_is_wrong_with_a_declared_key_is_told_with_its_place(
    fields: str, path: str, expected: str
) -> None:
    found = problems(fields)
    assert [place for place, _ in found] == [path]
    assert expected in found[0][1]
