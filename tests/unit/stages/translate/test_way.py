"""Which endpoint a call takes: the caller's own wire API first, then the first that both can be translated by."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Candidate, Deployment
from tollhouse.plugins import load_plugins
from tollhouse.ports.provider import Endpoint, Provider
from tollhouse.ports.transport import Origin
from tollhouse.stages.translate import find_way
from tollhouse.stages.translate.way import path_of

DIALECTS = load_plugins(()).dialects
CHAT = Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions")
RESPONSES = Endpoint(operation=Operation.CHAT, dialect="openai_responses", path="/responses")
GEMINI = Endpoint(
    operation=Operation.CHAT,
    dialect="gemini_generate",
    path="/v1beta/models/{model}:generateContent",
    stream_path="/v1beta/models/{model}:streamGenerateContent?alt=sse",
)
VECTORS = Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings")


def upstream(*endpoints: Endpoint, narrowed: tuple[str, ...] | None = None, **changes: Any) -> Upstream:
    provider = Provider(kind="k", title="K", docs_url="https://example.com", endpoints=endpoints)
    values = {
        "name": "up", "provider": provider, "origin": Origin("http", "127.0.0.1", 1), "base_path": "",
        "credential": None, "egress": None, "settings": {}, "foreign_ids": False,
        "dialects": narrowed or tuple(endpoint.dialect for endpoint in endpoints),
    }  # fmt: skip
    return Upstream(**(values | changes))


def way(
    up: Upstream, operation: Operation, dialect: str, wanted: str | None = None, *, has_tools: bool = False
) -> tuple[str, bool] | None:
    deployment = Deployment(id="up/m", provider="up", model="m", dialect=wanted)
    candidate = Candidate(deployment=deployment, model="m")
    found = find_way(up, candidate, operation, DIALECTS[dialect], DIALECTS, has_tools=has_tools)
    return None if found is None else (found.endpoint.dialect, found.is_straight)


def test_callers_own_dialect_is_taken_where_it_is_offered() -> None:
    assert way(upstream(CHAT, RESPONSES), Operation.CHAT, "openai_responses") == ("openai_responses", True)


def test_first_endpoint_is_taken_by_callers_of_another_dialect() -> None:
    assert way(upstream(CHAT, RESPONSES), Operation.CHAT, "anthropic_messages") == ("openai_chat", False)


def test_deployments_dialect_comes_before_the_callers_own() -> None:
    up = upstream(CHAT, RESPONSES)
    assert way(up, Operation.CHAT, "openai_chat", "openai_responses") == ("openai_responses", False)


def test_narrowed_upstream_offers_no_more_than_it_was_left() -> None:
    up = upstream(CHAT, RESPONSES, narrowed=("openai_chat",))
    assert way(up, Operation.CHAT, "openai_responses") == ("openai_chat", False)


def test_model_that_can_be_reached_in_one_dialect_only_is_reached_in_that() -> None:
    up = upstream(CHAT, RESPONSES)
    provider = msgspec.structs.replace(up.provider, models=(("m", {"only_dialect": "openai_responses"}),))
    up = msgspec.structs.replace(up, provider=provider)
    assert way(up, Operation.CHAT, "openai_chat") == ("openai_responses", False)


def test_model_that_takes_tools_in_one_dialect_only_is_reached_in_that_where_there_are_tools() -> None:
    up = upstream(CHAT, RESPONSES)
    provider = msgspec.structs.replace(up.provider, models=(("m", {"tools_dialect": "openai_responses"}),))
    up = msgspec.structs.replace(up, provider=provider)
    assert way(up, Operation.CHAT, "openai_chat") == ("openai_chat", True)
    assert way(up, Operation.CHAT, "openai_chat", has_tools=True) == ("openai_responses", False)


def test_legacy_completions_reach_models_that_only_converse() -> None:
    assert way(upstream(GEMINI), Operation.TEXT_COMPLETION, "openai_completions") == (
        "gemini_generate",
        False,
    )


def test_there_is_no_way_to_an_operation_the_upstream_does_not_have() -> None:
    assert way(upstream(CHAT), Operation.EMBEDDINGS, "openai_embeddings") is None
    assert way(upstream(CHAT), Operation.COUNT_TOKENS, "anthropic_messages") is None


@pytest.mark.parametrize(
    ("is_stream", "expected"),
    [
        (False, b"/v1beta/models/m%2F1:generateContent"),
        (True, b"/v1beta/models/m%2F1:streamGenerateContent?alt=sse"),
    ],
)
def test_path_names_the_model_and_what_is_asked(is_stream: bool, expected: bytes) -> None:
    assert path_of(upstream(GEMINI), GEMINI, "m/1", is_stream=is_stream, verb=None) == expected


def test_path_is_filled_with_the_upstreams_settings() -> None:
    endpoint = msgspec.structs.replace(GEMINI, path="/p/{project}/l/{region}/m/{model}", stream_path=None)
    up = upstream(endpoint, settings={"project": "x", "region": "eu"}, base_path="/base")
    assert path_of(up, endpoint, "m", is_stream=False, verb=None) == b"/base/p/x/l/eu/m/m"


def test_callers_own_verb_is_kept_where_the_endpoint_has_a_place_for_it() -> None:
    endpoint = msgspec.structs.replace(GEMINI, own_path="/v1beta/models/{model}:{verb}", stream_path=None)
    path = path_of(upstream(endpoint), endpoint, "m", is_stream=False, verb="embedContent")
    assert path == b"/v1beta/models/m:embedContent"


@given(st.text(min_size=1, max_size=30))
def test_models_name_can_never_leave_its_place_in_the_path(model: str) -> None:
    try:
        model.encode("utf-8")
    except UnicodeEncodeError:
        return
    try:
        path = path_of(upstream(GEMINI), GEMINI, model, is_stream=False, verb=None)
    except GatewayError:
        return
    assert path.count(b"/") == 3
    assert path.startswith(b"/v1beta/models/")
    assert b"?" not in path
    assert b"#" not in path


@pytest.mark.parametrize(
    "model",
    ["..", ".", "", "a/../b", "../../admin", "..%2fadmin", "a%2F..", "%2e%2e", "..\\x", "a//b", "x" * 1_001],
)
def test_model_that_would_lead_elsewhere_where_names_are_decoded_first_is_refused(model: str) -> None:
    with pytest.raises(GatewayError) as caught:
        path_of(upstream(GEMINI), GEMINI, model, is_stream=False, verb=None)
    assert caught.value.param == "model"


@pytest.mark.parametrize(
    "model", ["gpt-4.1", "a..b", "arn:aws:bedrock:eu-1::m/x.y-v1:0", "me/model", "50%", "...", "é"]
)
def test_model_with_dots_and_slashes_in_its_name_is_sent(model: str) -> None:
    path = path_of(upstream(GEMINI), GEMINI, model, is_stream=False, verb=None)
    assert path.count(b"/") == 3
