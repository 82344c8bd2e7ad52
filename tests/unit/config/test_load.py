from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.config.findings import MOST_PROBLEMS
from tollhouse.config.load import load, locate
from tollhouse.config.schema import EXAMPLE
from tollhouse.config.snapshot import hash_of
from tollhouse.config.tree import Config, Fallbacks, references
from tollhouse.core.problem import ConfigInvalid, ConfigProblem
from tollhouse.core.routing import OnDisconnect, Replay, Strategy

HASH = "5d0c3c1f2c7b8f0e6a1d4b9e8f7a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a"

TREE: dict[str, Any] = {
    "version": 1,
    "server": {"listen": "127.0.0.1:8080", "workers": 1, "drain_s": 30, "max_body_bytes": 33554432},
    "store": "sqlite:///tollhouse.db",
    "shared": "memory",
    "journal": {"folder": "tollhouse-journal", "durability": "process", "max_bytes": 1073741824},
    "providers": {
        "openai": {
            "kind": "openai",
            "credential": "env:OPENAI_API_KEY",
            "base_url": "https://api.openai.com/v1",
            "dialects": ["openai_chat"],
            "proxy": "http://proxy.internal:3128",
            "ca_file": "ca.pem",
            "breaker": {"consecutive_failures": 5, "failure_percent": 50, "window_s": 30},
        }
    },
    "routes": {
        "gpt-4.1": {
            "deployments": [
                {
                    "provider": "openai",
                    "model": "gpt-4.1-2025-04-14",
                    "weight": 3,
                    "credential": "env:SECOND_KEY",
                }
            ],
            "strategy": "weighted",
            "fallbacks": {"outage": ["openai/gpt-4o"], "context_overflow": ["openai/gpt-5"]},
            "retry": {"max_attempts": 3, "replay": "never"},
            "longest_timeouts": {"total_s": 900},
            "heartbeat_after_s": 5,
            "on_disconnect": "drain",
            "queue": {"length": 0, "age_s": 1},
            "mirror": {"route": "openai/gpt-4o", "share": 0.5, "max_concurrency": 2},
            "timeouts": {"connect_s": 3, "tls_s": 5, "first_header_s": 60, "idle_s": 60, "total_s": 600},
        },
        "openai/*": {"deployments": [{"provider": "openai", "model": "*"}]},
    },
    "keys": [{"name": "ci", "sha256": HASH, "routes": ["gpt-*"], "team": "search"}],
    "observability": {"log": "json", "content": "none", "prometheus": True},
}


def problems(text: str) -> tuple[ConfigProblem, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        load(text)
    return caught.value.problems


def problem(text: str) -> ConfigProblem:
    (only,) = problems(text)
    return only


def read(text: str) -> Config | tuple[ConfigProblem, ...]:
    try:
        return load(text)
    except ConfigInvalid as invalid:
        return invalid.problems


def changed(path: tuple[str | int, ...], value: object) -> str:
    """The valid tree with one value planted."""
    tree = copy.deepcopy(TREE)
    place: Any = tree
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return json.dumps(tree)


def dotted(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def test_everything_but_the_version_has_a_default() -> None:
    config = load("version: 1")
    assert config.server.listen == "127.0.0.1:8080"
    assert config.server.workers == 1
    assert config.store == "sqlite:///tollhouse.db"
    assert config.journal.durability == "process"
    assert (config.providers, config.routes, config.keys) == ({}, {}, ())
    assert config.observability.prometheus is True


def test_tree_is_read_as_written() -> None:
    config = load(json.dumps(TREE))
    route = config.routes["gpt-4.1"]
    assert route.strategy is Strategy.WEIGHTED
    assert route.retry.replay is Replay.NEVER
    assert route.timeouts.connect_s == 3.0
    assert route.timeouts.first_token_s == 60.0
    assert route.deployments[0].weight == 3
    assert config.providers["openai"].dialects == ("openai_chat",)
    assert config.keys[0].team == "search"
    assert route.on_disconnect is OnDisconnect.DRAIN
    assert (route.queue.length, route.queue.age_s) == (0, 1.0)
    assert (route.longest_timeouts.total_s, route.longest_timeouts.idle_s) == (900.0, None)
    assert references(config) == [
        ("providers.openai.credential", "env:OPENAI_API_KEY"),
        ("routes.gpt-4.1.deployments[0].credential", "env:SECOND_KEY"),
    ]


def test_example_is_valid_and_has_every_key() -> None:
    config = load(EXAMPLE)
    assert config.providers["openai-eu"].ca_file == "proxy-ca.pem"
    assert config.keys[0].name == "ci"


ROUTE = "version: 1\nroutes: {a: {deployments: [{provider: p, model: m}], fallbacks: %s}}"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("[b, c]", ("b", "c")),
        ("[]", ()),
        ("{}", Fallbacks()),
        ("{outage: [b], content_filter: [c]}", Fallbacks(outage=("b",), content_filter=("c",))),
    ],
)
def test_fallbacks_are_a_list_or_lists_by_cause(written: str, meant: object) -> None:
    assert load(ROUTE % written).routes["a"].fallbacks == meant


@pytest.mark.parametrize(
    ("written", "path", "word"),
    [
        ("b", "routes.a.fallbacks", "Expected a list or keys with values, found text"),
        ("5", "routes.a.fallbacks", "Expected a list or keys with values, found a number"),
        ("", "routes.a.fallbacks", "Expected a list or keys with values, found nothing"),
        ("null", "routes.a.fallbacks", "Expected a list or keys with values, found nothing"),
        ("[b, [c]]", "routes.a.fallbacks[1]", "found a list"),
        ("[b, ~]", "routes.a.fallbacks[1]", "Expected a name"),
        ("{outage: b}", "routes.a.fallbacks.outage", "Expected a list, found text"),
        ("{outage: [b c]}", "routes.a.fallbacks.outage[0]", "Expected a name"),
        ("{outages: [b]}", "routes.a.fallbacks.outages", "no key"),
        (
            f"[{', '.join(f'r{n}' for n in range(21))}]",
            "routes.a.fallbacks",
            "Expected at most 20 here, found 21",
        ),
    ],
)
def test_mistake_in_fallbacks_is_told_with_its_exact_path(written: str, path: str, word: str) -> None:
    found = problem(ROUTE % written)
    assert found.path == path
    assert word in found.message
    assert found.line == 2


PROVIDER = "version: 1\nproviders: {a: {kind: openai, credential: %s}}"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("env:A", "env:A"),
        ("[env:A]", ("env:A",)),
        ("[env:A, file:b]", ("env:A", "file:b")),
        ("", None),
    ],
)
def test_credential_is_one_reference_or_a_list_of_them(written: str, meant: object) -> None:
    assert load(PROVIDER % written).providers["a"].credential == meant


@pytest.mark.parametrize(
    ("written", "path", "word"),
    [
        ("[]", "providers.a.credential", "Expected at least 1 here, found 0"),
        ("[env:A, sk-abc]", "providers.a.credential[1]", "Expected a reference to a secret"),
        ("[env:A, ~]", "providers.a.credential[1]", "Expected a reference to a secret"),
        ("[[env:A]]", "providers.a.credential[0]", "Expected a reference to a secret"),
        ("{env: A}", "providers.a.credential", "Expected a reference to a secret"),
    ],
)
def test_mistake_in_a_list_of_credentials_is_told_with_its_exact_path(
    written: str, path: str, word: str
) -> None:
    found = problem(PROVIDER % written)
    assert (found.path, found.hint[:8]) == (path, "Write en" if "reference" in word else "")
    assert word in found.message


def test_key_left_empty_means_none_where_none_is_a_default() -> None:
    config = load("version: 1\nproviders: {openai: {kind: openai, base_url: , proxy: null}}")
    assert config.providers["openai"].base_url is None


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    found = problems(
        "version: 2\n"
        "server: {listen: 8080, worker: 1}\n"
        "providers:\n"
        "  openai: {kind: openai, credential: sk-abc}\n"
        "routes:\n"
        "  gpt-4o:\n"
        "    strategy: orderd\n"
        "    retry: {max_attempts: 0}\n"
        "shared: memory\n"
        "shared: memory\n"
    )
    assert [(each.path, each.line) for each in found] == [
        ("version", 1),
        ("server.listen", 2),
        ("server.worker", 2),
        ("providers.openai.credential", 4),
        ("routes.gpt-4o.deployments", 6),
        ("routes.gpt-4o.strategy", 7),
        ("routes.gpt-4o.retry.max_attempts", 8),
        ("shared", 10),
    ]


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("version: 1\nsever: {}", "sever", "Did you mean `server`?"),
        ("version: 1\nserver: {lisen: a}", "server.lisen", "Did you mean `listen`?"),
        ("version: 1\nzzz: 1", "zzz", "Known here: version, server,"),
        ("version: 1\nrouter_settings_of_another: 1", "router_setti…", "Known here"),
        (
            "version: 1\nproviders: {a: {kind: openai, api_key: x}}",
            "providers.a.api_key",
            "Known here: kind, credential",
        ),
        (
            "version: 1\nproviders: {a: {kind:openai}}",
            "providers.a.kind:…",
            "A colon is followed by a space.",
        ),
    ],
)
def test_unknown_key_names_the_nearest(text: str, path: str, hint: str) -> None:
    first = problems(text)[0]
    assert first.path == path
    assert first.hint.startswith(hint)


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("version",), 2, "Expected 1, found the number 2"),
        (("version",), True, "Expected 1, found true"),
        (("version",), 1.0, "Expected 1, found the number 1.0"),
        (("version",), None, "Expected 1, found nothing"),
        (("server",), [], "Expected keys with values, found a list"),
        (("server",), None, "Expected keys with values, found nothing"),
        (("server", "listen"), "localhost", "port is missing"),
        (("server", "listen"), 8080, "Expected HOST:PORT, such as 127.0.0.1:8080, found a number"),
        (("server", "workers"), 300, "Expected at most 256, found 300"),
        (("server", "workers"), 0, "Expected at least 1, found 0"),
        (("server", "workers"), "1", 'Expected a whole number, found the text "1"'),
        (("server", "workers"), True, "Expected a whole number, found true"),
        (("server", "workers"), 1.5, "Expected a whole number, found the number 1.5"),
        (("server", "drain_s"), False, "Expected a number, found false"),
        (("server", "drain_s"), -1, "Expected at least 0"),
        (("server", "max_body_bytes"), 10**50, "Expected at most"),
        (("store",), "mysql://u@h/db", "URL of an SQLite file"),
        (("store",), "sqlite:///:memory:", "URL of an SQLite file"),
        (("shared",), "memcached://h", "Expected memory"),
        (("journal", "durability"), "powr", "Expected"),
        (("journal", "folder"), "a\nb", "line break"),
        (("journal", "folder"), "", "Expected a path"),
        (("journal", "folder"), "x" * 5000, "at most 4096 letters"),
        (("providers",), [], "Expected keys with values"),
        (("providers", "openai"), "openai", "Expected keys with values, found text"),
        (("providers", "openai", "kind"), 5, "found a number"),
        (("providers", "openai", "credential"), "sk-abc", "Expected a reference to a secret"),
        (("providers", "openai", "base_url"), "api.openai.com", "begins with http"),
        (("providers", "openai", "dialects"), [], "Expected at least 1 here, found 0"),
        (("providers", "openai", "dialects"), "openai_chat", "Expected a list, found text"),
        (("providers", "openai", "dialects", 0), 1, "Expected a name"),
        (("providers", "openai", "proxy"), "https://p:1", "plain HTTP"),
        (("routes", "gpt-4.1", "deployments"), {}, "Expected a list, found keys with values"),
        (("routes", "gpt-4.1", "deployments"), [], "Expected at least 1"),
        (("routes", "gpt-4.1", "deployments", 0, "weight"), -1, "Expected at least 0"),
        (("routes", "gpt-4.1", "deployments", 0, "max_concurrency"), 0, "Expected at least 1"),
        (("routes", "gpt-4.1", "deployments", 0, "credential"), "sk-abc", "Expected a reference to a secret"),
        (("routes", "gpt-4.1", "deployments", 0, "model"), "gpt-*", "or `*` alone"),
        (("routes", "gpt-4.1", "deployments", 0, "model"), {"a": 1}, "found keys with values"),
        (("routes", "gpt-4.1", "retry", "replay"), "always", "until_headers"),
        (("routes", "gpt-4.1", "retry", "longest_wait_s"), 601, "Expected at most 600"),
        (("routes", "gpt-4.1", "on_disconnect"), "drian", "Expected cancel or drain"),
        (("routes", "gpt-4.1", "strategy"), "sticki", "Expected ordered or weighted or least_busy"),
        (("routes", "gpt-4.1", "heartbeat_after_s"), -1, "Expected at least 0"),
        (("routes", "gpt-4.1", "longest_timeouts", "idle_s"), "long", 'found the text "long"'),
        (("routes", "gpt-4.1", "queue", "length"), -1, "Expected at least 0, found -1"),
        (("routes", "gpt-4.1", "queue", "age_s"), 601, "Expected at most 600"),
        (("routes", "gpt-4.1", "mirror", "share"), 0, "Expected more than 0"),
        (("routes", "gpt-4.1", "mirror", "share"), 1.5, "Expected at most 1"),
        (("routes", "gpt-4.1", "mirror", "route"), "a b", "Expected a name"),
        (("providers", "openai", "breaker", "failure_percent"), 0, "Expected more than 0"),
        (("providers", "openai", "breaker", "window_s"), 0.5, "Expected at least 1"),
        (("providers", "openai", "breaker", "most_ejected_percent"), 101, "Expected at most 100"),
        (("routes", "gpt-4.1", "timeouts", "idle_s"), 0, "Expected more than 0"),
        (("routes", "gpt-4.1", "timeouts", "idle_s"), "60s", 'found the text "60s"'),
        (("routes", "gpt-4.1", "timeouts", "total_s"), 1e9, "Expected at most"),
        (("keys", 0, "sha256"), "abc", "Expected a SHA-256 hash"),
        (("keys", 0, "sha256"), 12, "found a number"),
        (("keys", 0, "name"), "two words", "Expected a name"),
        (("keys", 0, "routes", 0), "", "Expected a glob"),
        (("observability", "prometheus"), "yes", "Expected true or false"),
        (("observability", "content"), "all", "Expected none"),
    ],
)
def test_planted_mistake_is_told_with_its_exact_path(
    path: tuple[str | int, ...], value: object, word: str
) -> None:
    found = problem(changed(path, value))
    assert found.path == dotted(path)
    assert word in found.message
    assert found.line == 1


@pytest.mark.parametrize("name", ["a b", "a*b", "**", "", "é", "a\u0000b", "x" * 201])
def test_route_name_is_refused_when_a_header_could_not_carry_it(name: str) -> None:
    found = problem(
        json.dumps({"version": 1, "routes": {name: {"deployments": [{"provider": "p", "model": "m"}]}}})
    )
    assert found.path.startswith('routes."') or found.path == f"routes.{name}"
    assert found.path.isprintable()


@pytest.mark.parametrize("name", ["a/b", "a b", ".a", ""])
def test_provider_name_is_refused_when_a_path_could_not_carry_it(name: str) -> None:
    assert (
        "Expected a name"
        in problem(json.dumps({"version": 1, "providers": {name: {"kind": "openai"}}})).message
    )


def test_infinite_clock_is_refused() -> None:
    text = "version: 1\nroutes: {a: {deployments: [{provider: p, model: m}], timeouts: {idle_s: .inf, tls_s: .nan}}}"
    assert [each.message for each in problems(text)] == ["Expected a finite number."] * 2


@pytest.mark.parametrize("text", ["", "~", "[]", "hello", "5"])
def test_file_is_refused_when_it_is_no_tree(text: str) -> None:
    found = problem(text)
    assert found.path == ""
    assert found.hint == "Begin the file with `version: 1`."


def test_number_of_providers_is_bounded() -> None:
    found = problem(
        json.dumps({"version": 1, "providers": {f"p{n}": {"kind": "openai"} for n in range(1001)}})
    )
    assert (found.path, found.message) == ("providers", "Expected at most 1000 here, found 1001.")


def test_problems_are_counted_when_they_are_too_many_to_show() -> None:
    found = problems(json.dumps({"version": 1, **{f"unknown{number}": 1 for number in range(500)}}))
    assert len(found) == MOST_PROBLEMS + 1
    assert "400 more" in found[-1].message


SECRET = "sk-proj-DontTellAnybody"


@pytest.mark.parametrize(
    "text",
    [
        f"providers: {{a: {{kind: openai, credential: {SECRET}}}}}",
        f"providers: {{a: {{kind: openai, credential: [{SECRET}]}}}}",
        f"providers: {{a: {{kind: openai, credential: [env:A, {{{SECRET}: x}}]}}}}",
        f"routes: {{a: {{deployments: [{{provider: p, model: m, credential: {SECRET}}}]}}}}",
        f"routes: {{a: {{deployments: [{{provider: p, model: m, credential: [{SECRET}]}}]}}}}",
        f"providers: {{a: {{kind: openai, credential: {{key: {SECRET}}}}}}}",
        f"providers: {{a: {{kind: openai, credential: {{{SECRET}: x}}}}}}",
        f"providers: {{a: {{kind: openai, credential:{SECRET}}}}}",
        f"providers: {{a: {{kind: openai, credential:{SECRET}, credential:{SECRET}}}}}",
        f"providers: {{a: {{kind: openai, credential: *{SECRET}}}}}",
        f"providers: {{a: {{kind: openai, credential: !{SECRET} x}}}}",
        f"providers: {{a: {{kind: openai, credential: 'env:{SECRET}'}}}}",
        f"providers: {{a: {{kind: openai, credential: 'shop:{SECRET}'}}}}",
        f'providers: {{a: {{kind: openai, credential: "{SECRET}\\n"}}}}',
        f"providers: {{a: {SECRET}}}",
        f"providers: {{a: {{kind: openai, base_url: 'https://u:{SECRET}@h/v1'}}}}",
        f"providers: {{a: {{kind: openai, proxy: 'http://u:{SECRET}@h:1'}}}}",
        f"providers: {{a: {{kind: openai, api_key: {SECRET}}}}}",
        f"store: postgresql://u:{SECRET}@h/db",
        f"keys: [{{name: ci, sha256: {SECRET}}}]",
        f"keys: [{SECRET}]",
        f"keys: {SECRET}",
    ],
)
def test_secret_in_clear_is_an_error_that_does_not_repeat_it(text: str) -> None:
    found = problems(f"version: 1\n{text}\n")
    assert all("DontTellAnybody" not in str(each) for each in found)


def test_secret_in_clear_is_answered_with_how_to_refer_to_it() -> None:
    assert "env:NAME" in problem(f"version: 1\nproviders: {{a: {{kind: openai, credential: {SECRET}}}}}").hint


def test_problem_reads_as_one_sentence_after_another() -> None:
    assert str(problem("version: 1\nserver:\n  lisen: a")) == (
        'line 3: server.lisen: There is no key "lisen" here. Did you mean `listen`?'
    )


def test_lines_are_found_for_problems_that_have_none() -> None:
    text = "version: 1\nroutes:\n  gpt-4.1:\n    deployments:\n      - provider: a\n        model: b\n"
    paths = ["routes.gpt-4.1.deployments[0].model", "routes.gpt-4.1.strategy", "keys[3].name", "version"]
    found = locate(text, [ConfigProblem(path=path, message="m") for path in paths])
    assert [each.line for each in found] == [6, 3, 1, 1]
    known = ConfigProblem(path="version", message="m", line=9)
    assert locate(text, [known]) == (known,)


def shuffled(tree: Any, chance: random.Random) -> Any:
    if isinstance(tree, dict):
        pairs = [(key, shuffled(value, chance)) for key, value in tree.items()]
        chance.shuffle(pairs)
        return dict(pairs)
    return [shuffled(item, chance) for item in tree] if isinstance(tree, list) else tree


@given(st.randoms(use_true_random=False))
def test_order_of_keys_does_not_change_the_hash(chance: random.Random) -> None:
    assert hash_of(load(json.dumps(shuffled(TREE, chance)))) == hash_of(load(json.dumps(TREE)))


def test_hash_is_that_of_what_is_meant_and_not_of_what_is_written() -> None:
    assert hash_of(load("version: 1")) == hash_of(
        load("version: 1\nshared: memory\nserver: {drain_s: 30.0}\n")
    )
    assert hash_of(load("version: 1")) != hash_of(load("version: 1\nserver: {drain_s: 31}\n"))
    assert len(hash_of(load("version: 1"))) == 12


def leaves(tree: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(tree, dict):
        return [leaf for key, value in tree.items() for leaf in leaves(value, (*path, key))]
    if isinstance(tree, list):
        return [leaf for position, value in enumerate(tree) for leaf in leaves(value, (*path, position))]
    return [path]


@given(st.sampled_from(leaves(TREE)), st.sampled_from([["a"], {"a": 1}, "a\nb"]))
def test_any_leaf_of_a_wrong_type_is_told_with_its_path(path: tuple[str | int, ...], value: object) -> None:
    is_list_of_references = path == ("providers", "openai", "credential") and isinstance(value, list)
    place = (*path, 0) if is_list_of_references else path
    assert problem(changed(path, value)).path == dotted(place)


@given(st.sampled_from(leaves(TREE)))
def test_any_unknown_key_is_told_with_its_path(path: tuple[str | int, ...]) -> None:
    while isinstance(path[-1], int):
        path = path[:-1]
    planted = (*path[:-1], "qqq")
    assert problem(changed(planted, 1)).path == dotted(planted)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.sampled_from(leaves(TREE)), TREES)
def test_any_value_anywhere_is_read_or_refused(path: tuple[str | int, ...], value: object) -> None:
    outcome = read(changed(path, value))
    assert isinstance(outcome, Config) or (outcome and all(each.line for each in outcome))


@given(st.text(), st.integers(0, len(EXAMPLE)), st.integers(0, 30))
def test_damaged_file_raises_nothing_but_config_invalid(piece: str, position: int, cut: int) -> None:
    outcome = read(EXAMPLE[:position] + piece + EXAMPLE[position + cut :])
    assert isinstance(outcome, Config) or outcome
