"""What has been reserved for an answer is what every upstream is told, in a word that it knows."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.snapshot import Upstream
from tollhouse.config.tree import Config
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.core.routing import Candidate, Deployment, UnknownParameters
from tollhouse.ports.crossing import Crossing
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene
from tollhouse.stages.admit.asked import asked, limited
from tollhouse.stages.translate import Translator
from tollhouse.stages.translate.fit import with_limit_as
from tollhouse.stages.translate.way import Way
from tollhouse.testing import FakeClock
from unit.dialects.crossing import CALLERS, PLUGINS, call_of, plain_call
from workbench import workbench

TREE = {
    "version": 1,
    "providers": {
        kind: {
            "kind": kind, "credential": "env:A", "region": "eu-central-1", "project": "p",
            "base_url": "http://127.0.0.1:1/v1",
        }
        for kind in PLUGINS.providers
    },
}  # fmt: skip
UPSTREAMS = compile_config(msgspec.convert(TREE, Config), PLUGINS.providers).providers
BENCH = workbench(PLUGINS.dialects, FakeClock())
MODELS = {
    "anthropic": "claude-sonnet-4-5", "bedrock_anthropic": "anthropic.claude-opus-4-7", "openai": "gpt-5",
    "azure_openai": "o3", "gemini": "gemini-2.5-pro", "vertex": "gemini-3-pro-preview", "bedrock": "amazon.nova-2-lite",
}  # fmt: skip
THINKING: dict[str, list[dict[str, Any]]] = {
    "openai_chat": [{"reasoning_effort": "high"}, {"reasoning": {"max_tokens": 9_000}}, {"thinking_budget": 9_000}],
    "openai_responses": [{"reasoning": {"effort": "high"}}],
    "anthropic_messages": [
        {"thinking": {"type": "enabled", "budget_tokens": 9_000}}, {"thinking": {"type": "adaptive"}},
    ],
    "gemini_generate": [{"generationConfig": {"thinkingConfig": {"thinkingBudget": 9_000}}}],
    "bedrock_converse": [{"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 9_000}}}],
    "cohere_chat": [{"thinking": {"type": "enabled", "token_budget": 9_000}}],
}  # fmt: skip
PAIRS = [(caller, kind) for caller in sorted(CALLERS) for kind in sorted(UPSTREAMS)]


def candidate_at(kind: str, most: int | None = None) -> Candidate:
    model = MODELS.get(kind, "model")
    return Candidate(
        deployment=Deployment(id=f"{kind}/m", provider=kind, model=model, max_output_tokens=most), model=model
    )


def cross(caller: str, call: ClientCall, kind: str, most: int | None = None) -> tuple[Way, Crossing] | None:
    """None where nobody can be asked so."""
    candidate, upstream = candidate_at(kind, most), UPSTREAMS[kind]
    way = BENCH.ways.find(upstream, candidate, call, CALLERS[caller])
    if way is None:
        return None
    translator = Translator(
        BENCH,
        call,
        CALLERS[caller],
        tenant="t",
        mode=UnknownParameters.DROP,
        scene=Scene(id="x", now=1, model="model"),
        verb="generateContent",
    )
    return way, asyncio.run(translator.cross(candidate, upstream))


def told(way: Way, crossing: Crossing) -> int | None:
    """The limit as the upstream reads it: by the word that its own data have for it."""
    body = json.loads(crossing.request.body)
    if way.dialect.name == "openai_chat" and way.traits.output_limit_field == "max_tokens":
        limit: int | None = body.get("max_tokens")
        return limit
    whole = dict(body) | {"model": "m"}
    call = call_of(way.dialect.name, json.dumps(whole).encode())
    return asked(way.dialect.name, call).output_tokens


def limited_call(caller: str, limit: int, **more: Any) -> ClientCall:
    whole = json.loads(plain_call(caller, stream=False).body) | more
    plain = call_of(caller, json.dumps(whole).encode())
    return replace(call_of(caller, limited(caller, plain, limit)), is_limited=True)


@pytest.mark.parametrize(("caller", "kind"), PAIRS)
@pytest.mark.parametrize("limit", [16, 5_000, 200_000])
def test_upstream_is_told_the_limit(caller: str, kind: str, limit: int) -> None:
    found = cross(caller, limited_call(caller, limit), kind)
    if found is not None:
        assert told(*found) == limit


@pytest.mark.parametrize(("caller", "kind"), PAIRS)
def test_thinking_does_not_lift_the_limit(caller: str, kind: str) -> None:
    for thinking in THINKING.get(caller, []):
        for limit in (16, 2_000, 100_000):
            found = cross(caller, limited_call(caller, limit, **thinking), kind)
            if found is not None:
                assert told(*found) == limit


@pytest.mark.parametrize(("caller", "kind"), PAIRS)
def test_limit_the_house_has_to_write_itself_is_what_the_operator_knows(caller: str, kind: str) -> None:
    """Without a limit of the caller's that is what has been reserved."""
    if caller == "anthropic_messages":
        return  # its callers name one
    call = replace(plain_call(caller, stream=False), is_limited=True)
    for thinking in [{}, *THINKING.get(caller, [])]:
        whole = json.loads(call.body) | thinking
        found = cross(
            caller, replace(call_of(caller, json.dumps(whole).encode()), is_limited=True), kind, 3_000
        )
        if found is not None:
            assert told(*found) in (None, 3_000)


@pytest.mark.parametrize("kind", sorted(UPSTREAMS))
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_either_word_of_chat_completions_reaches_upstreams_as_the_one_they_know(kind: str, name: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], name: 77}
    call = replace(call_of("openai_chat", json.dumps(body).encode()), is_limited=True)
    found = cross("openai_chat", call, kind)
    if found is not None:
        assert told(*found) == 77


def test_body_is_left_alone_where_nobody_relies_on_its_limit() -> None:
    body = b'{"model": "model",  "messages": [], "max_completion_tokens": 77}'
    found = cross("openai_chat", call_of("openai_chat", body), "openai_compatible")
    assert found is not None
    assert found[1].request.body == body


maybe = st.none() | st.integers(1, 1000)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["max_tokens", "max_completion_tokens", "n"]), maybe))
def test_other_word_for_the_limit_changes_nothing_else(fields: dict[str, int | None]) -> None:
    out = json.loads(with_limit_as(json.dumps(fields).encode(), "max_tokens"))
    older, newer = fields.get("max_tokens"), fields.get("max_completion_tokens")
    assert out.get("max_tokens") == (older if older is not None else newer)
    assert out.get("n") == fields.get("n")
    assert json.loads(with_limit_as(json.dumps(fields).encode(), "max_completion_tokens")) == fields


def test_upstream_that_cannot_be_told_is_not_asked() -> None:
    upstream: Upstream = UPSTREAMS["openai_compatible"]
    traits = replace(upstream.provider.traits, unsupported=frozenset([Field.MAX_OUTPUT_TOKENS]))
    deaf = replace(upstream, name="deaf", provider=replace(upstream.provider, traits=traits))
    call = limited_call("openai_chat", 5)
    translator = Translator(
        BENCH,
        call,
        CALLERS["openai_chat"],
        tenant="t",
        mode=UnknownParameters.DROP,
        scene=Scene(id="x", now=1, model="model"),
        verb=None,
    )
    with pytest.raises(GatewayError) as refused:
        asyncio.run(translator.cross(candidate_at("openai_compatible"), deaf))
    assert refused.value.kind is ErrorKind.UNSUPPORTED_PARAMETER
    assert call.operation is Operation.CHAT
