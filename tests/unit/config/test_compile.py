from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.findings import MOST_PROBLEMS
from tollhouse.config.load import load
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.operation import Operation
from tollhouse.core.problem import ConfigInvalid, ConfigProblem, Severity
from tollhouse.core.routing import Breaker, Deployment, Mirror, OnDisconnect, Price, Queue, Replay, Strategy
from tollhouse.ports.provider import Endpoint, Provider
from tollhouse.ports.transport import Egress, Origin

CHAT = Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions")
EMBEDDINGS = Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings")
OPENAI = Provider(
    kind="openai",
    title="OpenAI",
    docs_url="https://platform.openai.com/docs",
    endpoints=(CHAT, EMBEDDINGS, CHAT),
    base_url="https://api.openai.com/v1",
)
COMPATIBLE = msgspec.structs.replace(OPENAI, kind="openai_compatible", base_url=None, needs_credential=False)
MOCK = msgspec.structs.replace(COMPATIBLE, kind="mock")
KINDS = {provider.kind: provider for provider in (OPENAI, COMPATIBLE, MOCK)}

HASH = "5d0c3c1f2c7b8f0e6a1d4b9e8f7a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a"
OTHER_HASH = HASH[::-1]


TWICE = """
providers: {m: {kind: mock}}
routes: {r: {deployments: [{provider: m, model: a}, {provider: m, model: b}, {provider: m, model: a}]}}
"""


MIRRORED = """
providers: {{m: {{kind: mock}}}}
routes:
  r: {{deployments: [{{provider: m, model: m}}], mirror: {{route: {route}, share: 0.1}}}}
  chained: {{deployments: [{{provider: m, model: m}}], mirror: {{route: end, share: 1}}}}
  end: {{deployments: [{{provider: m, model: m}}]}}
  s/*: {{deployments: [{{provider: m, model: '*'}}]}}
"""


def compiled(text: str, **settings: Any) -> Snapshot:
    return compile_config(load("version: 1\n" + text), KINDS, **settings)


def problems(text: str) -> tuple[ConfigProblem, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        compiled(text)
    return caught.value.problems


def errors(text: str) -> list[tuple[str, str]]:
    return [(each.path, each.message) for each in problems(text) if each.severity is Severity.ERROR]


WORKING = """
providers:
  openai: {kind: openai, credential: env:OPENAI_API_KEY}
  onprem: {kind: openai_compatible, base_url: "http://10.0.0.5:8000/v1/"}
routes:
  gpt-4o:
    deployments:
      - {provider: openai, model: gpt-4o-2024-08-06, weight: 3}
      - {provider: onprem, model: llama}
    strategy: weighted
    retry: {max_attempts: 5, replay: never}
    timeouts: {connect_s: 1, total_s: 9}
  openai/*: {deployments: [{provider: openai, model: "*"}]}
keys:
  - {name: ci, sha256: UPPER, routes: ["gpt-*"], team: search}
""".replace("UPPER", HASH.upper())


def test_route_is_compiled_with_its_deployments_named() -> None:
    route = compiled(WORKING).routes["gpt-4o"]
    assert route.deployments == (
        Deployment(id="openai/gpt-4o-2024-08-06", provider="openai", model="gpt-4o-2024-08-06", weight=3),
        Deployment(id="onprem/llama", provider="onprem", model="llama"),
    )
    assert route.strategy is Strategy.WEIGHTED
    assert (route.retry.max_attempts, route.retry.replay) == (5, Replay.NEVER)
    assert (route.timeouts.connect_s, route.timeouts.tls_s, route.timeouts.total_s) == (1.0, 5.0, 9.0)


def test_declared_key_is_compiled() -> None:
    (key,) = compiled(WORKING).declared_keys
    assert (key.id, key.name, key.scheme, key.team) == ("cfg-ci", "ci", "sha256", "search")
    assert key.digest == HASH
    assert key.routes == ("gpt-*",)


def test_working_configuration_has_no_warnings() -> None:
    assert compiled(WORKING).warnings == ()


def test_upstream_is_taken_apart() -> None:
    upstreams = compiled(WORKING).providers
    openai, onprem = upstreams["openai"], upstreams["onprem"]
    assert (openai.name, openai.origin, openai.base_path) == (
        "openai",
        Origin("https", "api.openai.com", 443),
        "/v1",
    )
    assert openai.credential == "env:OPENAI_API_KEY"
    assert openai.egress is None
    assert openai.dialects == ("openai_chat", "openai_embeddings")
    assert openai.provider is OPENAI
    assert (onprem.origin, onprem.base_path, onprem.credential) == (
        Origin("http", "10.0.0.5", 8000),
        "/v1",
        None,
    )


def test_dialects_are_narrowed() -> None:
    upstream = compiled(
        "providers: {a: {kind: openai, credential: env:X, dialects: [openai_embeddings]}}"
    ).providers["a"]
    assert upstream.dialects == ("openai_embeddings",)


def test_way_out_is_compiled() -> None:
    text = "providers: {a: {kind: openai, credential: env:X, proxy: 'http://proxy:3128', ca_file: %s}}"
    egress = compiled(text % "certs/ca.pem", folder="/etc/tollhouse").providers["a"].egress
    assert egress == Egress(ca_file="/etc/tollhouse/certs/ca.pem", proxy=Origin("http", "proxy", 3128))
    absolute = compiled(text % "/ca.pem", folder="/etc/tollhouse").providers["a"].egress
    assert absolute is not None
    assert absolute.ca_file == "/ca.pem"


@pytest.mark.parametrize(
    ("text", "folder", "store", "journal"),
    [
        ("", "", "sqlite:///tollhouse.db", "tollhouse-journal"),
        ("", "/srv/th/", "sqlite:////srv/th/tollhouse.db", "/srv/th/tollhouse-journal"),
        ("store: sqlite:////var/a.db\njournal: {folder: /var/j}", "/srv", "sqlite:////var/a.db", "/var/j"),
        ("store: sqlite:///x/a.db\njournal: {folder: x/j}", "/srv", "sqlite:////srv/x/a.db", "/srv/x/j"),
    ],
)
def test_relative_paths_begin_at_the_folder(text: str, folder: str, store: str, journal: str) -> None:
    snapshot = compiled(text, folder=folder)
    assert (snapshot.store, snapshot.journal.folder) == (store, journal)


def test_hash_depends_on_the_tree_alone() -> None:
    plain = compiled("providers: {m: {kind: mock}}")
    moved = compiled("providers: {m: {kind: mock}}", folder="/srv", base_urls={"m": "http://127.0.0.1:5/v1"})
    assert plain.hash == moved.hash
    assert len(plain.hash) == 12
    assert plain.hash != compiled("providers: {n: {kind: mock}}").hash


def test_mock_has_no_address_until_the_process_gives_it_one() -> None:
    assert compiled("providers: {m: {kind: mock}}").providers["m"].origin.port == 0
    started = compiled("providers: {m: {kind: mock}}", base_urls={"m": "http://127.0.0.1:5001/v1"}).providers[
        "m"
    ]
    assert (started.origin, started.base_path) == (Origin("http", "127.0.0.1", 5001), "/v1")


def test_base_url_of_the_file_goes_before_those_of_process_and_kind() -> None:
    text = "providers: {a: {kind: openai, credential: env:X, base_url: 'https://eu.example/v1'}}"
    snapshot = compiled(text, base_urls={"a": "http://127.0.0.1:1"})
    assert snapshot.providers["a"].origin == Origin("https", "eu.example", 443)


def test_listen_is_taken_apart() -> None:
    listen = compiled("server: {listen: '[::1]:0'}").listen
    assert (listen.host, listen.port) == ("::1", 0)


def test_unknown_kind_names_the_nearest() -> None:
    (found,) = [each for each in problems("providers: {a: {kind: opnai}}") if each.severity is Severity.ERROR]
    assert found.path == "providers.a.kind"
    assert found.hint == "Did you mean `openai`?"


def test_unknown_kind_lists_the_known_when_none_is_near() -> None:
    found = problems("providers: {a: {kind: zzz}}")[0]
    assert found.hint == "Known: mock, openai, openai_compatible."
    with pytest.raises(ConfigInvalid, match="None is known"):
        compile_config(load("version: 1\nproviders: {a: {kind: zzz}}"), {})


@pytest.mark.parametrize(
    ("text", "path", "word"),
    [
        ("providers: {a: {kind: openai}}", "providers.a.credential", "OpenAI needs a credential"),
        ("providers: {a: {kind: openai_compatible}}", "providers.a.base_url", "needs a base URL"),
        (
            "providers: {a: {kind: mock, dialects: [openai_chat, openai_chart]}}",
            "providers.a.dialects[1]",
            "does not offer",
        ),
        (
            "routes: {r: {deployments: [{provider: x, model: m}]}}",
            "routes.r.deployments[0].provider",
            "no provider",
        ),
        (
            "providers: {m: {kind: mock}}\nroutes: {r: {deployments: [{provider: m, model: '*'}]}}",
            "routes.r.deployments[0].model",
            "star",
        ),
        (
            TWICE,
            "routes.r.deployments[2]",
            "stand in deployments[0]",
        ),
        (
            "providers: {m: {kind: mock}}\nroutes: {passthrough/m: {deployments: [{provider: m, model: a}]}}",
            "routes.passthrough/m",
            "own paths",
        ),
        (
            "providers: {m: {kind: mock, breaker: {open_s: 5, longest_open_s: 4.5}}}",
            "providers.m.breaker.longest_open_s",
            "4.5 is less than `open_s`, which is 5.",
        ),
        (
            "providers: {m: {kind: mock, breaker: {open_s: 9}}}",
            "providers.m.breaker.longest_open_s",
            "8 is less than `open_s`, which is 9.",
        ),
        (
            "providers: {m: {kind: mock}}\nroutes: {r: {deployments: [{provider: m, model: a, weight: 0}]}}",
            "routes.r.deployments",
            "All weights are 0.",
        ),
        (MIRRORED.format(route="r"), "routes.r.mirror.route", "cannot be copied to itself"),
        (MIRRORED.format(route="s/*"), "routes.r.mirror.route", "star stands for is not known"),
        (MIRRORED.format(route="'*'"), "routes.r.mirror.route", "star stands for is not known"),
        (MIRRORED.format(route="x"), "routes.r.mirror.route", "no route named 'x'"),
        (MIRRORED.format(route="s/m"), "routes.r.mirror.route", "no route named 's/m'"),
        (MIRRORED.format(route="chained"), "routes.r.mirror.route", "Copies are not copied again"),
        (
            f"keys: [{{name: a, sha256: {HASH}}}, {{name: a, sha256: {OTHER_HASH}}}]",
            "keys[1].name",
            "keys[0] has the same name",
        ),
        (
            f"keys: [{{name: a, sha256: {HASH}}}, {{name: b, sha256: {HASH.upper()}}}]",
            "keys[1].sha256",
            "keys[0] has the same sha256",
        ),
    ],
)
def test_what_cannot_work_is_an_error_with_its_path(text: str, path: str, word: str) -> None:
    ((found, message),) = errors(text)
    assert found == path
    assert word in message


def test_what_happens_under_load_and_after_is_compiled() -> None:
    route = compiled(
        """
providers: {m: {kind: mock, breaker: {consecutive_failures: 2, open_s: 3, longest_open_s: 3}}}
routes:
  r:
    deployments: [{provider: m, model: m, max_concurrency: 7}]
    retry: {longest_wait_s: 0}
    heartbeat_after_s: 0
    on_disconnect: drain
    queue: {length: 0, age_s: 0}
    mirror: {route: s, share: 0.25}
  s: {deployments: [{provider: m, model: m}]}
"""
    ).routes["r"]
    assert route.deployments[0].max_concurrency == 7
    assert route.retry.longest_wait_s == 0.0
    assert route.heartbeat_after_s == 0.0
    assert route.on_disconnect is OnDisconnect.DRAIN
    assert route.queue == Queue(length=0, age_s=0.0)
    assert route.mirror == Mirror(route="s", share=0.25, max_concurrency=4)


def test_working_queue_breaker_and_mirror_have_no_warnings() -> None:
    text = MIRRORED.format(route="end").replace("kind: mock", "kind: mock, breaker: {open_s: 8}")
    snapshot = compiled(text + "server: {heartbeat_after_s: 2}")
    assert snapshot.warnings == ()
    assert snapshot.providers["m"].breaker == Breaker(open_s=8.0)
    assert snapshot.routes["r"].heartbeat_after_s == 2.0


def test_hints_are_left_out_where_so_much_is_wrong_that_nobody_sees_them() -> None:
    routes = "".join(
        f"  r{number}: {{deployments: [{{provider: m, model: m}}], fallbacks: [x]}}\n"
        for number in range(300)
    )
    found = problems(f"providers: {{m: {{kind: mock}}}}\nroutes:\n{routes}")
    assert all(each.hint for each in found[:MOST_PROBLEMS])
    assert "200 more" in found[-1].message


def test_all_problems_are_told_at_once() -> None:
    found = problems(
        "providers: {a: {kind: openai}, b: {kind: openai_compatible}, c: {kind: x}}\n"
        "routes: {r: {deployments: [{provider: x, model: '*'}]}}\n"
        f"keys: [{{name: a, sha256: {HASH}}}]"
    )
    assert [(each.path, each.severity.value) for each in found] == [
        ("providers.a.credential", "error"),
        ("providers.b.base_url", "error"),
        ("providers.c.kind", "error"),
        ("routes.r.deployments[0].provider", "error"),
        ("routes.r.deployments[0].model", "error"),
        ("keys[0]", "warning"),
    ]


def test_problems_are_counted_when_they_are_too_many_to_show() -> None:
    deployments = "".join(f"      - {{provider: x{number}, model: m}}\n" for number in range(300))
    found = problems(f"routes:\n  r:\n    deployments:\n{deployments}")
    assert len(found) == MOST_PROBLEMS + 1
    assert "200 more" in found[-1].message
    assert found[-1].severity is Severity.ERROR


def test_route_that_leads_nowhere_is_an_error_when_the_tree_was_made_by_hand() -> None:
    config = load("version: 1\n" + WORKING)
    empty = msgspec.structs.replace(config.routes["openai/*"], deployments=())
    with pytest.raises(ConfigInvalid, match="leads nowhere"):
        compile_config(msgspec.structs.replace(config, routes={"r": empty}), KINDS)


def test_several_workers_need_one_place_to_count_in() -> None:
    text = "version: 1\nserver: {workers: 4}\n"
    with pytest.raises(ConfigInvalid, match="Several workers") as refused:
        compile_config(load(text), KINDS)
    told = next(problem for problem in refused.value.problems if problem.path == "server.workers")
    assert "redis://" in told.hint
    assert compile_config(load(text + "shared: redis://h/0\n"), KINDS).server.workers == 4


def test_several_workers_may_count_for_themselves_where_that_is_accepted() -> None:
    snapshot = compile_config(load("version: 1\nserver: {workers: 4}\naccept_unshared_limits: true\n"), KINDS)
    assert any("once for each worker" in warning.message for warning in snapshot.warnings)


def test_teams_tags_and_routes_bring_their_limits_and_budgets() -> None:
    text = """
version: 1
teams: {search: {limits: {requests_per_minute: 600}, budget: {usd: 0.000000001, period: month}, routes: [gpt-*]}}
tags: {nightly: {budget: {usd: 20, period: day, hard: false}}}
end_users: {limits: {concurrency: 2}}
"""
    snapshot = compile_config(load(text + WORKING.replace("version: 1", "")), KINDS)
    team = snapshot.teams["search"]
    assert (team.scope.id, team.scope.limits.requests_per_minute, team.routes) == (
        "team:search",
        600,
        ("gpt-*",),
    )
    assert team.scope.budget is not None
    assert (team.scope.budget.nanousd, team.scope.budget.is_hard) == (1, True)
    nightly = snapshot.tags["nightly"].budget
    assert nightly is not None
    assert not nightly.is_hard
    assert snapshot.end_users.limits.concurrency == 2


@pytest.mark.parametrize("store", ["mysql://u@h/db", "sqlite://", "tollhouse.db"])
def test_store_is_judged_again_when_the_environment_named_it(store: str) -> None:
    config = msgspec.structs.replace(load("version: 1"), store=store)
    with pytest.raises(ConfigInvalid, match="TOLLHOUSE_STORE"):
        compile_config(config, KINDS)


@pytest.mark.parametrize(
    ("glob", "is_told"),
    [
        ("gpt-4o", False),
        ("gpt-*", False),
        ("*", False),
        ("*4o", False),
        ("gpt-4?", False),
        ("gpt-[45]o", False),
        ("openai/*", False),
        ("openai/gpt-5", False),
        ("open*", False),
        ("*-mini", False),
        ("passthrough/onprem", False),
        ("passthrough/*", False),
        ("claude-*", True),
        ("gpt-4", True),
        ("gpt-5*", True),
        ("openai", True),
        ("passthrough/other", True),
    ],
)
def test_glob_is_told_when_it_matches_no_route(glob: str, is_told: bool) -> None:
    found = compiled(WORKING.replace('"gpt-*"', f'"{glob}"')).warnings
    assert [each.path for each in found] == (["keys[0].routes[0]"] if is_told else [])


def test_glob_is_told_for_every_key_that_has_it() -> None:
    keys = f"keys: [{{name: a, sha256: {HASH}, routes: [x]}}, {{name: b, sha256: {OTHER_HASH}, routes: [x]}}]"
    found = compiled(
        "providers: {m: {kind: mock}}\nroutes: {r: {deployments: [{provider: m, model: m}]}}\n" + keys
    ).warnings
    assert [each.path for each in found] == ["keys[0].routes[0]", "keys[1].routes[0]"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "routes"),
        (
            "providers: {a: {kind: openai_compatible, base_url: 'http://api.example.com/v1'}}",
            "providers.a.base_url",
        ),
        (f"keys: [{{name: a, sha256: {HASH}}}]", "keys[0]"),
    ],
)
def test_what_is_odd_is_a_warning(text: str, path: str) -> None:
    found = {each.path: each.severity for each in compiled(text).warnings}
    assert found[path] is Severity.WARNING


def test_problems_show_no_hash_and_no_reference() -> None:
    found = problems(
        f"providers: {{a: {{kind: x, credential: env:MINE}}}}\nkeys: [{{name: a, sha256: {HASH}}}]"
    )
    assert all(HASH not in str(each) and "MINE" not in str(each) for each in found)


def test_compiling_needs_no_yaml() -> None:
    script = (
        "import sys; import tollhouse.config.compile, tollhouse.config.snapshot, tollhouse.config.resolve;"
        "sys.exit('yaml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_the_operator_knows_of_a_model_is_compiled() -> None:
    (deployment,) = (
        compiled(
            """
providers: {m: {kind: mock}}
routes:
  r:
    deployments:
      - provider: m
        model: a
        context_window_tokens: 8192
        price: {input_per_million_usd: 0.035, output_per_million_usd: 0}
"""
        )
        .routes["r"]
        .deployments
    )
    assert deployment.context_window_tokens == 8192
    assert deployment.price == Price(input_per_million_nanousd=35_000_000, output_per_million_nanousd=0)


@pytest.mark.parametrize(
    "price", ["{input_per_million_usd: 1}", "{input_per_million_usd: -1, output_per_million_usd: 1}", "1"]
)
def test_price_that_is_none_is_refused(price: str) -> None:
    with pytest.raises(ConfigInvalid):
        compiled(
            "providers: {m: {kind: mock}}\n"
            f"routes: {{r: {{deployments: [{{provider: m, model: a, price: {price}}}]}}}}"
        )
