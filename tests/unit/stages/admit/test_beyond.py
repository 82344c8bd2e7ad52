"""What a call can be billed for beyond its bytes is seen wherever it stands and however it is spelled."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tollhouse.core.errors import GatewayError
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.stages.admit.beyond import MOST_PICTURES, Beyond, beyond, most_picture_tokens
from unit.dialects.crossing import CALLERS, MODEL, PLUGINS, call_of, plain_call

PNG = "iVBORw0KGgo="


def look(dialect: str, **more: Any) -> Beyond:
    """At the shortest call there is, with other members besides."""
    whole = json.loads(plain_call(dialect, stream=False).body) | more
    return beyond(dialect, call_of(dialect, json.dumps(whole).encode()))


def talk(dialect: str, *parts: Any) -> Beyond:
    """At a call whose one message has these parts."""
    match dialect:
        case "openai_responses":
            return look(dialect, input=[{"role": "user", "content": list(parts)}])
        case "gemini_generate":
            return look(dialect, contents=[{"role": "user", "parts": list(parts)}])
        case _:
            return look(dialect, messages=[{"role": "user", "content": list(parts)}])


@pytest.mark.parametrize("dialect", sorted(CALLERS))
def test_plain_call_has_nothing_beyond_its_bytes(dialect: str) -> None:
    assert beyond(dialect, plain_call(dialect)) == Beyond()


@settings(max_examples=200)
@given(st.sampled_from(sorted(CALLERS)), st.text(max_size=60))
def test_texts_are_texts_whatever_they_look_like(dialect: str, text: str) -> None:
    """Quotes in them are escaped. Only a text that begins as a data URI is taken for one."""
    texts = [text, f'x"image_url": "{text}', 'say {"file_id": "f", "type": "document", "url": "http://x"}']
    if dialect == "openai_completions":
        assert look(dialect, prompt=texts) == Beyond()
        return
    part = (lambda words: {"text": words}) if dialect in ("gemini_generate", "bedrock_converse") else (
        lambda words: {"type": "input_text" if dialect == "openai_responses" else "text", "text": words}
    )  # fmt: skip
    assert talk(dialect, *[part("." + words) for words in texts]) == Beyond()


# -- pictures

PICTURES = {
    "chat, by address": ("openai_chat", {"type": "image_url", "image_url": {"url": "https://x/y.png"}}),
    "chat, with more": ("openai_chat", {"type": "image_url", "image_url": {"detail": "high", "url": "https://x"}}),
    "chat, bare": ("openai_chat", {"type": "image_url", "image_url": "https://x/y.png"}),
    "chat, inline": ("openai_chat", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
    "cohere": ("cohere_chat", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
    "responses": ("openai_responses", {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}),
    "claude, inline": (
        "anthropic_messages",
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    ),
    "claude, by address": ("anthropic_messages", {"type": "image", "source": {"type": "url", "url": "https://x"}}),
    "gemini": ("gemini_generate", {"inlineData": {"mimeType": "image/png", "data": PNG}}),
    "gemini, snake": ("gemini_generate", {"inline_data": {"data": PNG, "mime_type": "image/png"}}),
    "bedrock": ("bedrock_converse", {"image": {"format": "png", "source": {"bytes": PNG}}}),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("count", [1, 3])
def test_pictures_are_counted_by_the_piece_because_few_bytes_can_be_many_pixels(
    name: str, count: int
) -> None:
    dialect, part = PICTURES[name]
    found = talk(dialect, *[part] * count)
    assert (found.pictures, found.is_elsewhere) == (count, False)


def test_picture_in_a_tools_result_counts_as_well() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [PICTURES["claude, inline"][1]]}
    assert talk("anthropic_messages", result).pictures == 1


def test_pictures_to_be_embedded_are_counted() -> None:
    body = {"model": "m", "images": [f"data:image/png;base64,{PNG}"] * 2, "input_type": "image"}
    assert beyond("cohere_embed", embed("cohere_embed", body)).pictures == 2


def test_more_pictures_than_anybody_takes_are_content_of_any_length() -> None:
    found = talk("anthropic_messages", *[PICTURES["claude, inline"][1]] * (MOST_PICTURES + 1))
    assert (found.pictures, found.is_elsewhere) == (MOST_PICTURES, True)


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("gpt-4o-mini-2024-07-18", 2_833 + 5_667 * 8),
        ("gpt-5.4-nano", 24_600),
        ("claude-opus-4-7", 4_784),
        ("eu.anthropic.claude-opus-4-7-v1:0", 4_784),
        ("gemini-2.5-flash", 4_128),
        ("Qwen/Qwen2.5-VL-72B-Instruct", 16_384),
    ],
)
def test_no_picture_is_billed_as_more_than_its_bound(model: str, least: int) -> None:
    assert most_picture_tokens(model) >= least


# -- what is of any length

FAR = {
    "earlier answer": ("openai_responses", {"previous_response_id": "resp_1"}),
    "conversation": ("openai_responses", {"conversation": "conv_1"}),
    "conversation object": ("openai_responses", {"conversation": {"id": "conv_1"}}),
    "stored prompt": ("openai_responses", {"prompt": {"id": "pmpt_1"}}),
    "item by name": ("openai_responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
    "item by name alone": ("openai_responses", {"input": [{"id": "msg_1"}]}),
    "stored reasoning": ("openai_responses", {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}),
    "stored picture": ("openai_responses", {"input": [{"type": "image_generation_call", "id": "ig_1"}]}),
    "cached content": ("gemini_generate", {"cachedContent": "cachedContents/1"}),
    "cached content, snake": ("gemini_generate", {"cached_content": "cachedContents/1"}),
    "container": ("anthropic_messages", {"container": "container_1"}),
    "prompt with variables": ("bedrock_converse", {"promptVariables": {"a": {"text": "b"}}}),
}
FAR_PARTS = {
    "file by id": ("openai_chat", {"type": "file", "file": {"file_id": "file-1"}}),
    "file": ("openai_chat", {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}),
    "sound": ("openai_chat", {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}),
    "sound by address": ("openai_chat", {"type": "audio_url", "audio_url": {"url": "https://x"}}),
    "earlier sound": ("openai_chat", {"role": "assistant", "audio": {"id": "audio_1"}}),
    "film": ("openai_chat", {"type": "video_url", "video_url": {"url": "https://x"}}),
    "document by address": ("openai_chat", {"type": "document_url", "document_url": "https://x"}),
    "document as a picture": (
        "openai_chat", {"type": "image_url", "image_url": {"url": "data:application/pdf;base64,AA=="}}
    ),
    "document in capitals": (
        "openai_chat", {"type": "image_url", "image_url": {"url": "DATA:application/pdf;base64,AA=="}}
    ),
    "input file": ("openai_responses", {"type": "input_file", "file_id": "file-1"}),
    "input file by address": ("openai_responses", {"type": "input_file", "file_url": "https://x"}),
    "input file inline": ("openai_responses", {"type": "input_file", "file_data": "AA=="}),
    "picture by id": ("openai_responses", {"type": "input_image", "file_id": "file-1"}),
    "pdf": (
        "anthropic_messages",
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
    ),
    "pdf by address": ("anthropic_messages", {"type": "document", "source": {"type": "url", "url": "https://x"}}),
    "uploaded": ("anthropic_messages", {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
    "for a container": ("anthropic_messages", {"type": "container_upload", "file_id": "file_1"}),
    "cut into sentences": (
        "anthropic_messages",
        {
            "type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a. b."},
            "citations": {"enabled": True},
        },
    ),
    "gemini pdf": ("gemini_generate", {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}}),
    "gemini film": ("gemini_generate", {"inline_data": {"mime_type": "video/mp4", "data": "AA=="}}),
    "gemini unsaid": ("gemini_generate", {"inlineData": {"data": "AA=="}}),
    "gemini file": ("gemini_generate", {"fileData": {"fileUri": "gs://x", "mimeType": "image/png"}}),
    "gemini file, snake": ("gemini_generate", {"file_data": {"file_uri": "https://youtu.be/x"}}),
    "bedrock document": (
        "bedrock_converse", {"document": {"name": "d", "format": "pdf", "source": {"bytes": "AA=="}}}
    ),
    "bedrock film": ("bedrock_converse", {"video": {"format": "mp4", "source": {"bytes": "AA=="}}}),
    "bedrock store": (
        "bedrock_converse", {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://x"}}}}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAR)
def test_reference_is_bounded_by_the_window(name: str) -> None:
    dialect, more = FAR[name]
    assert look(dialect, **more).is_elsewhere


@pytest.mark.parametrize("name", FAR_PARTS)
def test_part_whose_bytes_say_little_is_bounded_by_the_window(name: str) -> None:
    dialect, part = FAR_PARTS[name]
    assert talk(dialect, part).is_elsewhere


def _in_escapes(text: re.Match[str]) -> str:
    return re.sub("[aeity]", lambda letter: f"\\u{ord(letter[0]):04X}", text[0])


@pytest.mark.parametrize("name", [*PICTURES, *FAR_PARTS])
def test_part_is_seen_in_any_spelling(name: str) -> None:
    """White space where JSON allows it, and letters of names as escapes."""
    dialect, part = (PICTURES | FAR_PARTS)[name]
    plain = talk(dialect, part)
    whole = json.loads(plain_call(dialect, stream=False).body)
    member = {"openai_responses": "input", "gemini_generate": "contents"}.get(dialect, "messages")
    inner = "parts" if dialect == "gemini_generate" else "content"
    whole[member] = [{"role": "user", inner: [part]}]
    spaced = json.dumps(whole, indent=3, separators=(" \t,", " :\n "))
    escaped = re.sub(r'"[^"]*"', _in_escapes, json.dumps(whole))
    for text in (spaced, escaped):
        found = beyond(dialect, call_of(dialect, text.encode()))
        assert (found.pictures, found.is_elsewhere) == (plain.pictures, plain.is_elsewhere)


@pytest.mark.parametrize(
    "items",
    [
        [{"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}],
        [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}],
        [{"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}],
        [{"type": "function_call_output", "call_id": "c", "output": "x"}],
        [{"role": "user", "content": "hi"}],
    ],
)  # fmt: skip
def test_items_that_say_everything_themselves_refer_to_nothing(items: list[Any]) -> None:
    assert look("openai_responses", input=items) == Beyond()


def test_schema_of_a_tool_with_such_names_refers_to_nothing() -> None:
    properties = {name: {"type": "string"} for name in ("url", "prompt", "container", "conversation", "user")}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": properties}}}
    found = look("openai_chat", tools=[tool])
    assert (found.is_elsewhere, found.pictures, found.unpriced) == (False, 0, None)


def test_address_among_a_tools_arguments_is_no_reference() -> None:
    use = {"type": "tool_use", "id": "t", "name": "fetch", "input": {"type": "url", "url": "https://x"}}
    assert not talk("anthropic_messages", use).is_elsewhere


def test_prompt_of_a_completion_is_no_reference() -> None:
    assert not look("openai_completions", prompt="hello").is_elsewhere


def test_larger_window_that_is_asked_for_counts() -> None:
    call = call_of("anthropic_messages", plain_call("anthropic_messages").body)
    asked_for = replace(call, headers={b"anthropic-beta": b"a, context-1m-2025-08-07"})
    assert beyond("anthropic_messages", asked_for).least_window_tokens == 1_000_000
    fields = {"additionalModelRequestFields": {"anthropic_beta": ["context-1m-2025-08-07"]}}
    assert look("bedrock_converse", **fields).least_window_tokens == 1_000_000


# -- hidden prompts, and what is read or written twice

TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


@pytest.mark.parametrize(
    ("dialect", "more", "prompts"),
    [
        ("openai_chat", {"tools": [TOOL]}, 1),
        ("openai_chat", {"functions": [{"name": "f"}]}, 1),
        ("openai_chat", {"response_format": {"type": "json_object"}}, 1),
        ("openai_chat", {"tools": None}, 0),
        ("gemini_generate", {"generationConfig": {"responseMimeType": "application/json"}}, 1),
        ("gemini_generate", {"generationConfig": {"maxOutputTokens": 5}}, 0),
        ("anthropic_messages", {"tools": [{"name": "f", "input_schema": {}}]}, 1),
        ("anthropic_messages", {"tools": [{"type": "bash_20250124"}, {"type": "computer_20250124"}]}, 3),
        ("bedrock_converse", {"toolConfig": {"tools": [{"toolSpec": {}}, {"cachePoint": {"type": "default"}}]}}, 1),
        ("gemini_generate", {"tools": [{"functionDeclarations": []}, {"function_declarations": []}]}, 1),
    ],
)  # fmt: skip
def test_providers_own_words_before_tools_are_reckoned_with(
    dialect: str, more: dict[str, Any], prompts: int
) -> None:
    found = look(dialect, **more)
    assert (found.prompts, found.unpriced) == (prompts, None)


def test_predicted_output_is_billed_besides() -> None:
    found = look("openai_chat", prediction={"type": "content", "content": "x" * 500})
    assert found.output_tokens > 500


def embed(dialect: str, body: dict[str, Any]) -> ClientCall:
    spoken = PLUGINS.dialects[dialect]
    (operation,) = spoken.operations
    return spoken.read(Ask(operation=operation, body=json.dumps(body).encode(), path_model=MODEL))


def test_query_is_read_with_each_document() -> None:
    body = {"model": "m", "query": "q" * 100, "documents": ["a", "b", "c"]}
    found = beyond("cohere_rerank", embed("cohere_rerank", body))
    assert found.input_tokens >= 300
    assert found.prompts == 0


@pytest.mark.parametrize(
    "more",
    [{"cache_control": {"type": "ephemeral", "ttl": "1h"}}, {"prompt_cache_retention": "24h"}],
)
def test_what_may_be_cached_for_long_is_seen(more: dict[str, Any]) -> None:
    assert look("openai_chat", **more).keeps_long


# -- what costs more than its tokens

DEARER = [
    ("openai_chat", {"service_tier": "priority"}, "service_tier"),
    ("openai_chat", {"service_tier": 7}, "service_tier"),
    ("openai_responses", {"service_tier": "scale"}, "service_tier"),
    ("gemini_generate", {"serviceTier": "PRIORITY"}, "serviceTier"),
    ("bedrock_converse", {"serviceTier": {"type": "priority"}}, "serviceTier"),
    ("bedrock_converse", {"performanceConfig": {"latency": "optimized"}}, "performanceConfig"),
    ("bedrock_converse", {"guardrailConfig": {"guardrailIdentifier": "g"}}, "guardrailConfig"),
    ("anthropic_messages", {"speed": "fast"}, "speed"),
    ("anthropic_messages", {"inference_geo": "us"}, "inference_geo"),
    ("anthropic_messages", {"mcp_servers": [{"type": "url", "url": "https://x"}]}, "mcp_servers"),
    (
        "anthropic_messages",
        {"context_management": {"edits": [{"type": "compact_20260112"}]}},
        "context_management",
    ),
    ("openai_chat", {"models": ["openai/o1-pro"]}, "models"),
    ("openai_chat", {"plugins": [{"id": "web"}]}, "plugins"),
    ("openai_chat", {"provider": {"order": ["x"]}}, "provider"),
    ("openai_chat", {"web_search_options": {}}, "web_search_options"),
    ("openai_chat", {"search_parameters": {"mode": "auto"}}, "search_parameters"),
    ("openai_chat", {"modalities": ["text", "image"]}, "an answer as image"),
    (
        "gemini_generate",
        {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
        "an answer as image",
    ),
    ("openai_chat", {"tools": [{"type": "openrouter:web_search"}]}, "openrouter:web_search"),
    ("openai_responses", {"tools": [{"type": "web_search"}]}, "web_search"),
    ("openai_responses", {"tools": [{"type": "function", "name": "f"}, {"type": "mcp"}]}, "mcp"),
    ("openai_responses", {"tools": [{"type": "code_interpreter"}]}, "code_interpreter"),
    ("openai_responses", {"tools": "all"}, None),
    ("anthropic_messages", {"tools": [{"type": "web_search_20250305"}]}, "web_search_20250305"),
    ("anthropic_messages", {"tools": [{"type": "advisor_20260301"}]}, "advisor_20260301"),
    ("gemini_generate", {"tools": [{"googleSearch": {}}]}, "googleSearch"),
    ("gemini_generate", {"tools": {"urlContext": {}}}, "urlContext"),
    (
        "gemini_generate",
        {"tools": [{"functionDeclarations": [], "code_execution": {}}]},
        "code_execution",
    ),
    (
        "bedrock_converse",
        {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
        "systemTool",
    ),
    (
        "bedrock_converse",
        {"additionalModelRequestFields": {"tools": [{"type": "web_search_20250305"}]}},
        "web_search_20250305",
    ),
]


@pytest.mark.parametrize(("dialect", "more", "named"), DEARER)
def test_what_costs_more_than_its_tokens_is_named(
    dialect: str, more: dict[str, Any], named: str | None
) -> None:
    assert look(dialect, **more).unpriced == named


@pytest.mark.parametrize(
    ("dialect", "more"),
    [
        ("openai_chat", {"service_tier": "auto"}),
        ("openai_chat", {"service_tier": "flex"}),
        ("openai_chat", {"service_tier": None}),
        ("anthropic_messages", {"service_tier": "standard_only", "speed": "standard"}),
        ("anthropic_messages", {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
        ("bedrock_converse", {"serviceTier": {"type": "default"}, "performanceConfig": {"latency": "standard"}}),
        ("openai_chat", {"enable_search": False, "models": [], "modalities": ["text"]}),
        ("openai_chat", {"search_parameters": {"mode": "off"}}),
        ("openai_responses", {"tools": [{"type": "custom", "name": "c"}, {"type": "local_shell"}]}),
        ("openai_responses", {"tools": [{"type": "namespace", "name": "n", "tools": []}]}),
        ("anthropic_messages", {"tools": [{"type": "custom", "name": "web_search"}]}),
    ],
)  # fmt: skip
def test_what_costs_as_usual_is_not_named(dialect: str, more: dict[str, Any]) -> None:
    assert look(dialect, **more).unpriced is None


def test_dearer_tier_that_is_asked_for_by_a_header_is_named() -> None:
    name = b"x-vertex-ai-llm-shared-request-type"
    call = replace(plain_call("gemini_generate"), headers={name: b"priority"})
    assert beyond("gemini_generate", call).unpriced == name.decode()


def test_sound_is_told_apart_because_it_has_a_price_of_its_own() -> None:
    assert look("openai_chat", modalities=["text", "audio"], audio={"voice": "x"}).speaks
    assert look("gemini_generate", generationConfig={"responseModalities": ["AUDIO"]}).speaks
    assert talk("openai_chat", FAR_PARTS["sound"][1]).hears
    assert talk("gemini_generate", {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}).hears
    assert not talk("gemini_generate", FAR_PARTS["gemini film"][1]).hears


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "tools", "image_url", "id", "x"]), inner, max_size=3)
    ),
)
MEMBERS = [
    "tools", "toolConfig", "service_tier", "modalities", "generationConfig", "provider", "container", "prediction",
    "additionalModelRequestFields", "context_management", "input",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(anything, st.sampled_from(sorted(CALLERS)), st.sampled_from(MEMBERS))
def test_any_json_can_be_looked_at(value: Any, dialect: str, member: str) -> None:
    whole = json.loads(plain_call(dialect, stream=False).body) | {member: value}
    try:
        call = call_of(dialect, json.dumps(whole).encode())
    except GatewayError:
        return
    assert beyond(dialect, call) is not None
