"""No body holds what nobody said: its members are the caller's, or of the API it is written in.

Gateways have sent their own bookkeeping upstream, and callers were refused for members they had never written. Here
members that look like ours are written by the caller, and none reaches an upstream of another API.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.snapshot import Upstream
from tollhouse.config.tree import Config
from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.core.request import ModelRequest
from tollhouse.core.routing import Candidate, Deployment, Route, UnknownParameters
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.ports.provider import Endpoint, Traits
from tollhouse.ports.translation import Scene
from tollhouse.stages.translate import Translator
from tollhouse.stages.translate.way import Way
from tollhouse.testing import FakeClock
from unit.dialects.crossing import CALLERS, PLUGINS, TARGETS, call_of, plain_call
from workbench import workbench

OURS = sorted(
    {
        name
        for kind in (Ask, ClientCall, Deployment, Endpoint, ModelRequest, Route, Traits)
        for name in kind.__struct_fields__
    }
    | set(Passage.__slots__)
    | {"tenant", "extra_headers", "extra_body", "base_url", "api_key", "timeout", "ssl_verify", "x_tollhouse"}
)
"""What the house calls its own things, and what the clients of other gateways mix into bodies."""
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
OF_OTHER_PROVIDERS = {"reasoning", "thinking"}
"""Members chat completions have at some providers only: read, although the API's own reference does not know them."""
STREAM_OPTIONS = {"stream_options"}
"""All a straight call may get beside what its endpoint declares."""

members = st.dictionaries(
    st.sampled_from(OURS) | st.from_regex(r"\A[a-z]{2,8}_20\d\d\Z"),
    st.sampled_from([1, None, True, "x", [1], {"a": 1}]),
    max_size=4,
)


def crossed(caller: str, upstream: Upstream, more: dict[str, Any], *, stream: bool) -> tuple[Way, dict[str, Any], Any] | None:  # fmt: skip # noqa: E501
    """The way, the caller's members and the body that goes out; None where the call is refused or cannot be made."""
    document = more | json.loads(plain_call(caller, stream=stream).body)
    candidate = Candidate(
        deployment=Deployment(id="p/m", provider=upstream.name, model="model"), model="model"
    )
    dialect = CALLERS[caller]
    try:
        call = call_of(caller, json.dumps(document).encode(), stream=stream)
        way = BENCH.ways.find(upstream, candidate, call, dialect)
        if way is None:
            return None
        translator = Translator(
            BENCH,
            call,
            dialect,
            tenant="t",
            mode=UnknownParameters.PASS,
            scene=Scene(id="x", now=1, model="model"),
            verb="generateContent",
        )
        crossing = asyncio.run(translator.cross(candidate, upstream))
    except GatewayError:
        return None
    return way, document, json.loads(crossing.request.body)


def declared(way: Way) -> set[str]:
    """What an endpoint says it adds."""
    endpoint = way.endpoint
    return {name for name, _ in endpoint.body_fields} | (
        {endpoint.beta_field} if endpoint.beta_field else set()
    )


@pytest.mark.parametrize("kind", sorted(UPSTREAMS))
@settings(max_examples=25, deadline=None)
@given(caller=st.sampled_from(sorted(CALLERS)), more=members, stream=st.booleans())
def test_members_of_a_body_are_the_callers_or_the_apis(
    kind: str, caller: str, more: dict[str, Any], stream: bool
) -> None:
    found = crossed(caller, UPSTREAMS[kind], more, stream=stream)
    if found is None:
        return
    way, said, out = found
    if way.is_straight:
        assert set(out) <= set(said) | STREAM_OPTIONS | declared(way)
    else:
        assert set(out) <= way.dialect.known | declared(way) | words_of(way.traits)


@pytest.mark.parametrize("kind", sorted(UPSTREAMS))
@settings(max_examples=15, deadline=None)
@given(caller=st.sampled_from(sorted(CALLERS)), more=members)
def test_members_unknown_to_the_callers_api_change_nothing_in_another_one(
    kind: str, caller: str, more: dict[str, Any]
) -> None:
    """Not even where the other API has a member of that name."""
    unknown = {
        name: value for name, value in more.items() if name not in CALLERS[caller].known | OF_OTHER_PROVIDERS
    }
    plain = crossed(caller, UPSTREAMS[kind], {}, stream=False)
    if plain is None or plain[0].is_straight:
        return
    found = crossed(caller, UPSTREAMS[kind], unknown, stream=False)
    assert found is not None, "what is unknown is left out, not refused"
    assert found[2] == plain[2]


def words_of(traits: Traits) -> set[str]:
    """How the provider spells what others spell as the dialect does."""
    return {traits.output_limit_field, traits.seed_field}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_known_members_have_no_names_of_ours(name: str) -> None:
    """The allow-list itself holds nothing that only the house says."""
    only_ours = {
        "tenant",
        "is_stream",
        "asks_usage",
        "spans",
        "wants_encrypted_reasoning",
        "path_model",
        "path_stream",
    }
    assert not PLUGINS.dialects[name].known & only_ours


def test_translated_calls_are_among_those_that_were_looked_at() -> None:
    found = crossed("anthropic_messages", UPSTREAMS["openai"], {"tenant": "x", "foo_2027": 1}, stream=True)
    assert found is not None
    way, _, out = found
    assert not way.is_straight
    assert way.endpoint.operation is Operation.CHAT
    assert not {"tenant", "foo_2027"} & set(out)
