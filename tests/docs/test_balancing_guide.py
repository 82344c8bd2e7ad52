"""What the guide to fallbacks and balancing says is what the house does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.test_reference import ROOT, blocks
from tollhouse.cli.main import run
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.routing import Candidate, Cause, OnDisconnect, Plan, Priority, Route, Strategy
from tollhouse.plugins import load_plugins
from tollhouse.ports.transport import Phase
from tollhouse.stages.dispatch.next_step import Failure, next_step
from tollhouse.stages.route.clocks import HEADER, moved_clocks
from tollhouse.stages.route.router import PRIORITY, priority_of

PAGE = ROOT / "docs" / "guides" / "fallbacks-and-balancing.md"
TEXT = PAGE.read_text()
CONFIGURATIONS = blocks(PAGE, "yaml")


def compiled(text: str) -> Snapshot:
    return compile_config(load(text), load_plugins().providers)


def configuration(word: str) -> str:
    """The one example that has this word in it."""
    (text,) = [text for text in CONFIGURATIONS if word in text]
    return text


def column(*, until: str) -> set[str]:
    """The words in the first column of the table whose head has this word."""
    table = TEXT.split(f"| {until} |")[1].split("\n\n")[0]
    return set(re.findall(r"^\| `([a-z_]+)`", table, re.M))


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_examples_have_no_warnings(text: str) -> None:
    assert compiled(text).warnings == ()


def test_every_strategy_and_cause_is_explained() -> None:
    assert column(until="who is asked first") == set(Strategy)
    assert column(until="what happened") == set(Cause)
    assert all(f"on_disconnect: {choice}`" in TEXT or f"`{choice}` reads" in TEXT for choice in OnDisconnect)


def test_headers_are_read_as_they_are_shown() -> None:
    route = Route(name="r", deployments=())
    shown = re.findall(rf"^{HEADER}: (.+)$", TEXT, re.M)
    alone, named = [moved_clocks(route, value.encode()) for value in shown]
    assert (alone.total_s, alone.idle_s) == (30.0, route.timeouts.idle_s)
    assert (named.total_s, named.first_token_s, named.idle_s) == (30.0, 5.0, 10.0)
    (word,) = re.findall(rf"^{PRIORITY.decode()}: (.+)$", TEXT, re.M)
    assert priority_of({PRIORITY: word.encode()}) is Priority.BATCH


def test_canary_gets_the_share_that_is_said() -> None:
    weights = [each.weight for each in compiled(configuration("weight: 95")).routes["gpt"].deployments]
    assert weights[1] * 20 == sum(weights)


def test_accounts_are_named_and_share_their_weight_as_is_said() -> None:
    deployments = compiled(CONFIGURATIONS[0]).routes["gpt"].deployments
    assert [each.provider for each in deployments] == ["openai", "openai#2", "azure"]
    assert deployments[0].weight + deployments[1].weight == 9 * deployments[2].weight


def test_fallbacks_are_asked_in_the_order_that_is_said() -> None:
    text = """
version: 1
providers: {m: {kind: mock}}
routes:
  start: {deployments: [{provider: m, model: m}], fallbacks: [a, b], retry: {max_attempts: 9}}
  a: {deployments: [{provider: m, model: m}], fallbacks: [c]}
  b: {deployments: [{provider: m, model: m}]}
  c: {deployments: [{provider: m, model: m}]}
"""
    route = compiled(text).routes["start"]
    plan = Plan(
        route=route,
        candidates=(
            Candidate(deployment=route.deployments[0], model="m", route="start"),
            *[
                Candidate(
                    deployment=each.route.deployments[0], model="m", route=each.route.name, after=each.after
                )
                for each in route.fallbacks
            ],
        ),
        deadline=60.0,
    )
    down = GatewayError(ErrorKind.UPSTREAM_UNAVAILABLE, "It is down.", blame=Blame.UPSTREAM)
    failure = Failure(error=down, phase=Phase.NOT_SENT)
    asked = [0]
    while step := next_step(plan, asked, failure, shut={}, may_repeat=lambda index: False, now=0.0, draw=0.5):
        asked.append(step.index)
    assert [plan.candidates[index].route for index in asked] == ["start", "a", "c", "b"]


def test_way_back_is_refused_by_check_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = configuration("context_overflow: [long]\n").replace(
        "model: gemini-2.5-pro}]\n", "model: gemini-2.5-pro}]\n    fallbacks: {content_filter: [gpt]}\n"
    )
    file = tmp_path / "tollhouse.yaml"
    file.write_text(written)
    assert run(["check", str(file)]) == 1
    complaint = capsys.readouterr().err
    line = written.split("\n").index("    fallbacks:") + 1
    assert f"{file}:{line}: routes.gpt.fallbacks" in complaint
    assert "gpt → sonnet → long → gpt" in complaint
