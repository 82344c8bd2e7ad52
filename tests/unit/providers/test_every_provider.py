"""What holds for every file of the house that describes a provider."""

from __future__ import annotations

import inspect
import re
import string
from importlib import import_module
from typing import Any

import msgspec
import pytest

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import AuthScheme, Support, Thinking, Traits
from unit.providers.shelf import KINDS, all_providers

DIALECTS = {
    "anthropic_messages", "bedrock_converse", "cohere_chat", "cohere_embed", "cohere_rerank", "gemini_embed",
    "gemini_generate", "openai_chat", "openai_completions", "openai_embeddings", "openai_responses",
}  # fmt: skip
SETTINGS = {"region", "project", "api_version"}
EVERY = pytest.mark.parametrize("kind", KINDS)


def names_in(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_the_providers_of_the_plan_are_there() -> None:
    assert set(KINDS) == {
        "anthropic", "azure_openai", "bedrock", "bedrock_anthropic", "cerebras", "cohere", "deepseek", "fireworks",
        "gemini", "groq", "mistral", "ollama", "openai", "openai_compatible", "openrouter", "perplexity", "together",
        "vertex", "vertex_anthropic", "vllm", "xai",
    }  # fmt: skip


@EVERY
def test_file_says_where_its_facts_are_from_and_when_they_were_read(kind: str) -> None:
    words = inspect.getdoc(import_module(f"tollhouse.providers.{kind}"))
    assert words is not None
    assert "https://" in words
    assert re.search(r"20\d\d-\d\d-\d\d", words)
    assert all_providers()[kind].docs_url.startswith("https://")
    assert all_providers()[kind].kind == kind


@EVERY
def test_endpoints_are_well_formed(kind: str) -> None:
    provider = all_providers()[kind]
    known = set(provider.settings) | {"model"}
    assert known - {"model"} <= SETTINGS
    assert set(dict(provider.setting_defaults)) <= set(provider.settings)
    assert provider.endpoints
    seen = set()
    for endpoint in provider.endpoints:
        assert endpoint.dialect in DIALECTS
        assert (endpoint.operation, endpoint.dialect) not in seen
        seen.add((endpoint.operation, endpoint.dialect))
        for path in (endpoint.path, endpoint.stream_path or "/", endpoint.own_path or "/"):
            assert path.startswith("/")
            assert names_in(path) <= known | ({"verb"} if path == endpoint.own_path else set())
        assert "{model}" in endpoint.path or endpoint.model_in_body
        assert provider.endpoint(endpoint.operation, endpoint.dialect) is endpoint


@EVERY
def test_base_urls_are_well_formed(kind: str) -> None:
    provider = all_providers()[kind]
    for url in (provider.base_url, *dict(provider.region_base_urls).values()):
        if url is not None:
            assert re.match(r"https://|http://127\.0\.0\.1", url)
            assert not url.endswith("/")
            assert names_in(url) <= set(provider.settings)


@EVERY
def test_traits_are_what_they_can_be(kind: str) -> None:
    provider = all_providers()[kind]
    models = ["m", *[re.sub(r"[*?]|\[.*?\]", "1", glob) for glob, _ in provider.models]]
    for model in models:
        for endpoint in (None, *provider.endpoints):
            assert_possible(provider.traits_for(model, endpoint))


def assert_possible(traits: Traits) -> None:
    round_trip = msgspec.convert(msgspec.to_builtins(traits), Traits)
    assert round_trip == traits
    assert all(isinstance(field, Field) for field in traits.unsupported)
    assert isinstance(traits.json_schema, Support)
    assert isinstance(traits.thinking, Thinking)
    assert traits.efforts <= {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
    assert traits.efforts - {"none"}
    assert traits.only_dialect in {None, *DIALECTS}
    assert traits.tools_dialect in {None, *DIALECTS}
    if traits.call_id_pattern is not None:
        re.compile(traits.call_id_pattern)


@EVERY
def test_globs_over_models_are_in_lower_case_and_name_real_traits(kind: str) -> None:
    for glob, changes in all_providers()[kind].models:
        assert glob == glob.lower()
        assert changes.keys() <= set(Traits.__struct_fields__)
        assert changes


@EVERY
def test_a_dialect_that_a_model_is_bound_to_is_offered(kind: str) -> None:
    provider = all_providers()[kind]
    offered = {e.dialect for e in provider.endpoints if e.operation is Operation.CHAT}
    for _, changes in provider.models:
        for name in ("only_dialect", "tools_dialect"):
            assert changes.get(name) in {None, *offered}


@EVERY
def test_schemes_say_what_they_sign_for(kind: str) -> None:
    auth = all_providers()[kind].auth
    assert (auth.scheme is AuthScheme.AWS_SIGV4) == bool(auth.service)
    assert (auth.scheme in {AuthScheme.ENTRA, AuthScheme.GOOGLE_SERVICE_ACCOUNT}) == bool(auth.scope)


def of(kind: str, model: str, dialect: str | None = None) -> Traits:
    provider = all_providers()[kind]
    endpoint = provider.endpoint(Operation.CHAT, dialect) if dialect is not None else None
    return provider.traits_for(model, endpoint)


SAMPLING = {Field.TEMPERATURE, Field.TOP_P, Field.TOP_K}


@pytest.mark.parametrize(
    ("model", "thinking", "limit", "schema", "is_sampling_taken"),
    [
        ("claude-3-haiku-20240307", Thinking.NONE, 4096, Support.EMULATED, True),
        ("claude-3-5-sonnet-20241022", Thinking.NONE, 8192, Support.EMULATED, True),
        ("claude-3-5-sonnet-20240620", Thinking.NONE, 4096, Support.EMULATED, True),
        ("claude-3-7-sonnet-20250219", Thinking.BUDGET, 64_000, Support.EMULATED, True),
        ("claude-opus-4-20250514", Thinking.BUDGET, 32_000, Support.EMULATED, True),
        ("claude-sonnet-4-0", Thinking.BUDGET, 64_000, Support.EMULATED, True),
        ("claude-opus-4@20250514", Thinking.BUDGET, 32_000, Support.EMULATED, True),
        ("claude-opus-4-1-20250805", Thinking.BUDGET, 32_000, Support.NATIVE, True),
        ("claude-haiku-4-5-20251001", Thinking.BUDGET, 64_000, Support.NATIVE, True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Thinking.BUDGET, 64_000, Support.NATIVE, True),
        ("claude-sonnet-4-6", Thinking.ADAPTIVE, 128_000, Support.NATIVE, True),
        ("claude-opus-4-7", Thinking.ADAPTIVE, 128_000, Support.NATIVE, False),
        ("claude-sonnet-5", Thinking.ADAPTIVE, 128_000, Support.NATIVE, False),
        ("claude-something-9", Thinking.ADAPTIVE, 128_000, Support.NATIVE, False),
        ("my-alias", Thinking.ADAPTIVE, 128_000, Support.NATIVE, False),
    ],
)
def test_claude_is_known_by_its_version(
    model: str, thinking: Thinking, limit: int, schema: Support, *, is_sampling_taken: bool
) -> None:
    for kind in ("anthropic", "vertex_anthropic"):
        traits = of(kind, model)
        assert (traits.thinking, traits.max_output_tokens, traits.json_schema) == (thinking, limit, schema)
        assert (not traits.unsupported >= SAMPLING) == is_sampling_taken
        assert traits.issuer == "anthropic"


def test_claude_that_always_thinks_cannot_be_told_not_to() -> None:
    for model in ("claude-fable-5", "claude-fable-5-1", "claude-opus-5-5"):
        assert "none" not in of("anthropic", model).efforts
    for model in ("claude-opus-5", "claude-sonnet-5-5", "claude-opus-4-8"):
        assert "none" in of("anthropic", model).efforts
    assert "xhigh" not in of("anthropic", "claude-sonnet-4-6").efforts


def test_claude_that_cannot_be_forced_is_known() -> None:
    assert not of("anthropic", "claude-fable-5-1").takes_forced_tools
    assert not of("anthropic", "claude-opus-5-5").takes_forced_tools
    assert of("anthropic", "claude-opus-5").takes_forced_tools


def test_bedrock_serves_claude_and_others() -> None:
    claude = of("bedrock", "us.anthropic.claude-opus-4-8")
    assert (claude.issuer, claude.thinking, claude.json_schema) == (
        "anthropic",
        Thinking.ADAPTIVE,
        Support.EMULATED,
    )
    nova = of("bedrock", "us.amazon.nova-2-lite-v1:0")
    assert (nova.issuer, nova.thinking, nova.json_schema) == ("amazon", Thinking.EFFORT, Support.EMULATED)
    assert of("bedrock", "meta.llama4-scout-17b-instruct-v1:0").thinking is Thinking.NONE
    assert of("bedrock", "anthropic.claude-sonnet-4-6").json_schema is Support.NATIVE
    assert not nova.takes_image_urls


@pytest.mark.parametrize(
    ("model", "thinking", "can_be_off"),
    [
        ("gemini-2.0-flash", Thinking.NONE, True),
        ("gemini-2.5-flash", Thinking.BUDGET, True),
        ("gemini-2.5-pro", Thinking.BUDGET, False),
        ("gemini-3-flash-preview", Thinking.LEVEL, False),
        ("gemini-3.1-pro-preview", Thinking.LEVEL, False),
        ("gemini-flash-latest", Thinking.LEVEL, False),
    ],
)
def test_gemini_is_known_by_its_version(model: str, thinking: Thinking, *, can_be_off: bool) -> None:
    for kind in ("gemini", "vertex"):
        traits = of(kind, model)
        assert (traits.thinking, traits.issuer) == (thinking, "gemini")
        if thinking is not Thinking.NONE:
            assert ("none" in traits.efforts) == can_be_off


@pytest.mark.parametrize(
    ("model", "thinking", "efforts", "is_sampling_taken"),
    [
        ("gpt-4o-mini", Thinking.NONE, None, True),
        ("gpt-3.5-turbo", Thinking.NONE, None, True),
        ("gpt-5-chat-latest", Thinking.NONE, None, True),
        ("o3-mini", Thinking.EFFORT, {"low", "medium", "high"}, False),
        ("gpt-5-nano", Thinking.EFFORT, {"minimal", "low", "medium", "high"}, False),
        ("gpt-5-2025-08-07", Thinking.EFFORT, {"minimal", "low", "medium", "high"}, False),
        ("gpt-5.1", Thinking.EFFORT, {"none", "low", "medium", "high"}, True),
        ("gpt-5.4-mini", Thinking.EFFORT, {"none", "low", "medium", "high", "xhigh"}, True),
        ("gpt-5.2-pro", Thinking.EFFORT, {"medium", "high", "xhigh"}, False),
        ("gpt-5.6-sol", Thinking.EFFORT, {"none", "low", "medium", "high", "xhigh", "max"}, False),
        ("gpt-6-astra", Thinking.EFFORT, {"low", "medium", "high", "xhigh", "max"}, False),
    ],
)
def test_openai_is_known_by_its_version(
    model: str, thinking: Thinking, efforts: set[str] | None, *, is_sampling_taken: bool
) -> None:
    for kind in ("openai", "azure_openai"):
        traits = of(kind, model)
        assert traits.thinking is thinking
        assert efforts is None or traits.efforts == efforts
        assert (Field.TEMPERATURE not in traits.unsupported) == is_sampling_taken
        assert traits.output_limit_field == "max_completion_tokens"


def test_openai_keeps_some_models_and_tools_to_the_responses_api() -> None:
    assert of("openai", "gpt-5-pro").only_dialect == "openai_responses"
    assert of("openai", "gpt-5.1-codex").only_dialect == "openai_responses"
    assert of("openai", "gpt-5.6-luna").tools_dialect == "openai_responses"
    assert of("openai", "gpt-5").tools_dialect is None
    assert of("openai", "gpt-4o").only_dialect is None


def test_openai_takes_more_by_the_responses_api() -> None:
    chat, responses = of("openai", "gpt-5", "openai_chat"), of("openai", "gpt-5", "openai_responses")
    assert (chat.takes_result_media, responses.takes_result_media) == (False, True)
    assert not chat.server_tools
    assert "web_search" in responses.server_tools
    assert chat.takes_custom_tools
    assert not of("openai", "gpt-4.1").takes_custom_tools


def test_older_openai_models_have_their_forms_emulated() -> None:
    assert of("openai", "gpt-4o").json_schema is Support.NATIVE
    assert of("openai", "gpt-3.5-turbo").json_schema is Support.EMULATED
    assert of("openai", "gpt-4-turbo").json_object is Support.NATIVE
    assert of("openai", "gpt-4-0613").json_object is Support.EMULATED
    assert of("openai", "gpt-4.1-nano").json_schema is Support.NATIVE
    assert of("openai", "o1-mini").instruction_role == "user"


MATTERS: list[tuple[str, str, dict[str, Any]]] = [
    ("mistral", "mistral-small-latest", {
        "required_word": "any", "seed_field": "random_seed", "call_id_pattern": "[a-zA-Z0-9]{9}",
        "output_limit_field": "max_tokens", "takes_stream_options": False, "thinking": Thinking.EFFORT}),
    ("mistral", "mistral-large-latest", {"thinking": Thinking.NONE}),
    ("deepseek", "deepseek-flash", {
        "json_schema": Support.EMULATED, "json_object": Support.NATIVE, "thinking": Thinking.SWITCH,
        "reasoning_history": "reasoning_content", "takes_forced_tools": False}),
    ("openrouter", "anthropic/claude-opus-4.8", {
        "takes_cache_marks": True, "thinking": Thinking.OBJECT, "issuer": "openrouter",
        "reasoning_history": "reasoning"}),
    ("ollama", "qwen3", {"takes_image_urls": False, "reasoning_history": "reasoning", "takes_custom_tools": False}),
    ("groq", "openai/gpt-oss-120b", {"thinking": Thinking.EFFORT, "json_schema": Support.NATIVE}),
    ("groq", "llama-3.3-70b-versatile", {"thinking": Thinking.NONE, "json_schema": Support.EMULATED}),
    ("xai", "grok-3", {"thinking": Thinking.NONE}),
    ("xai", "grok-3-mini", {"thinking": Thinking.EFFORT}),
    ("cohere", "command-a-03-2025", {"thinking": Thinking.NONE}),
    ("openai_compatible", "anything", {"output_limit_field": "max_tokens", "takes_custom_tools": False}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "model", "traits"), MATTERS)
def test_provider_is_spoken_to_in_its_own_words(kind: str, model: str, traits: dict[str, Any]) -> None:
    found = of(kind, model)
    assert {name: getattr(found, name) for name in traits} == traits


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("mistral", {Field.LOGIT_BIAS, Field.END_USER}),
        ("groq", {Field.LOGPROBS, Field.TOP_LOGPROBS, Field.LOGIT_BIAS, Field.N, Field.MESSAGE_NAMES}),
        (
            "cerebras",
            {Field.FREQUENCY_PENALTY, Field.PRESENCE_PENALTY, Field.LOGIT_BIAS, Field.PARALLEL_TOOL_CALLS},
        ),
        ("xai", {Field.STOP, Field.PRESENCE_PENALTY, Field.FREQUENCY_PENALTY}),
        ("deepseek", {Field.SEED, Field.LOGIT_BIAS}),
    ],
)
def test_refused_fields_are_known(kind: str, fields: set[Field]) -> None:
    assert fields <= of(kind, "m").unsupported


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"openai_compatible", "openai", "azure_openai"}))
def test_only_openai_takes_custom_tools(kind: str) -> None:
    assert not of(kind, "m").takes_custom_tools


def test_deepseek_keeps_schemas_by_the_responses_api() -> None:
    assert of("deepseek", "deepseek-flash", "openai_responses").json_schema is Support.NATIVE


def test_chat_callers_of_openai_kinds_are_translated_to_chat_completions() -> None:
    for kind in (
        "openai",
        "azure_openai",
        "groq",
        "xai",
        "deepseek",
        "openrouter",
        "fireworks",
        "vllm",
        "ollama",
    ):
        chat = [e for e in all_providers()[kind].endpoints if e.operation is Operation.CHAT]
        assert chat[0].dialect == "openai_chat"


def test_regions_of_vertex_have_their_own_hosts() -> None:
    for kind in ("vertex", "vertex_anthropic"):
        provider = all_providers()[kind]
        assert provider.base_url_in("global") == "https://aiplatform.googleapis.com"
        assert provider.base_url_in("europe-west4") == "https://{region}-aiplatform.googleapis.com"
    assert all_providers()["vertex_anthropic"].base_url_in("eu") == "https://aiplatform.eu.rep.googleapis.com"


def test_azure_speaks_the_newest_dated_version_unless_told_otherwise() -> None:
    azure = all_providers()["azure_openai"]
    assert dict(azure.setting_defaults) == {"api_version": "2024-10-21"}
    assert (azure.auth.header, azure.auth.prefix, azure.base_url) == ("api-key", "", None)
