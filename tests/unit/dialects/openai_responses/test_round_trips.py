"""The two faces of the dialect test each other."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    Media,
    MediaKind,
    Message,
    Part,
    Refusal,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
)
from tollhouse.core.fold import fold, unfold
from tollhouse.core.operation import Operation
from tollhouse.core.request import (
    ChoiceMode,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
)
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.usage import Usage
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.ports.dialect import Ask
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Scene

assert DIALECT.chat is not None
CHAT = DIALECT.chat
SCENE = Scene(id="abc", now=7, model="route")
CALL = DIALECT.read(Ask(operation=Operation.CHAT, body=b'{"model":"route","input":"hi"}'))

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
SIGNATURES = st.builds(Signature, issuer=st.just("openai"), value=NAMES)
TEXTS = st.builds(Text, text=WORDS)
THOUGHTS = st.builds(
    Thinking, text=st.just("") | WORDS, signature=SIGNATURES, is_summary=st.just(True), id=NAMES
)
ARGUMENTS = st.dictionaries(NAMES, st.integers(), max_size=2).map(json.dumps)
CALLS = st.builds(
    ToolCall, id=NAMES, name=NAMES, arguments=ARGUMENTS, namespace=st.none() | NAMES
) | st.builds(
    ToolCall, id=NAMES, name=NAMES, arguments=WORDS.filter(str.strip), kind=st.just(ToolKind.CUSTOM)
)
MEDIA = st.builds(
    Media,
    kind=st.just(MediaKind.IMAGE),
    media_type=st.just("image/png"),
    data=st.just("aGk="),
    detail=st.none() | st.just("low"),
) | st.builds(Media, kind=st.just(MediaKind.DOCUMENT), file_id=NAMES)
RESULTS = st.builds(
    ToolResult,
    call_id=NAMES,
    parts=st.lists(TEXTS | MEDIA, min_size=1, max_size=2).map(tuple),
    kind=st.sampled_from(ToolKind),
)
USERS = st.builds(
    Message, role=st.just(Role.USER), parts=st.lists(TEXTS | MEDIA, min_size=1, max_size=3).map(tuple)
)
ASSISTANTS = st.builds(
    Message,
    role=st.just(Role.ASSISTANT),
    parts=st.lists(TEXTS | THOUGHTS | CALLS | st.builds(Refusal, text=WORDS), min_size=1, max_size=4).map(
        tuple
    ),
)
RESULT_TURNS = st.builds(
    Message, role=st.just(Role.USER), parts=st.lists(RESULTS, min_size=1, max_size=3).map(tuple)
)
TURNS = st.lists(st.tuples(USERS, ASSISTANTS, RESULT_TURNS), max_size=2).map(
    lambda turns: tuple([message for turn in turns for message in turn])
)
SCHEMAS = st.dictionaries(NAMES, st.just({"type": "string"}), max_size=2).map(
    lambda properties: {"type": "object", "properties": properties}
)
TOOLS = st.builds(Tool, name=NAMES, description=st.none() | WORDS, schema=SCHEMAS, strict=st.booleans())
FORMATS = st.builds(
    OutputFormat,
    kind=st.just(FormatKind.JSON_SCHEMA),
    name=NAMES,
    schema=SCHEMAS,
    strict=st.none() | st.booleans(),
)
REASONING = st.builds(
    Reasoning, effort=st.sampled_from(["none", "low", "high"]), summary=st.none() | st.just("auto")
)
REQUESTS = st.builds(
    ModelRequest,
    model=NAMES,
    messages=st.tuples(USERS, TURNS).map(lambda both: (both[0], *both[1])),
    instructions=st.lists(TEXTS, max_size=1).map(tuple),
    tools=st.lists(TOOLS, max_size=2).map(tuple),
    tool_choice=st.just(ToolChoice(mode=ChoiceMode.AUTO)),
    parallel_tool_calls=st.none() | st.booleans(),
    sampling=st.builds(Sampling, temperature=st.none() | st.floats(0, 2), top_p=st.none() | st.floats(0, 1)),
    output=st.none() | FORMATS,
    reasoning=st.none() | REASONING,
    verbosity=st.none() | st.just("low"),
    max_output_tokens=st.none() | st.integers(1, 10**6),
    stream=st.booleans(),
    end_user=st.none() | NAMES,
    metadata=st.none() | st.dictionaries(NAMES, WORDS, min_size=1, max_size=2),
    service_tier=st.none() | st.just("flex"),
    prompt_cache_key=st.none() | NAMES,
    store=st.booleans(),
)  # fmt: skip


@given(REQUESTS)
def test_a_request_that_is_written_is_read_as_it_was(request: ModelRequest) -> None:
    out = CHAT.write_request(request, Traits())
    again, left = CHAT.read_request(DIALECT.read(Ask(operation=Operation.CHAT, body=out.body)))
    expected = msgspec.structs.replace(
        request,
        tool_choice=request.tool_choice if request.tools else None,
        wants_encrypted_reasoning=again.wants_encrypted_reasoning,
    )
    assert (again, left, out.losses) == (expected, (), ())
    assert CHAT.write_request(again, Traits()).body == out.body


FINISHES = st.sampled_from([FinishReason.STOP, FinishReason.LENGTH, FinishReason.CONTENT_FILTER])
FOREIGN = st.builds(Signature, issuer=st.sampled_from(["anthropic", "gemini"]), value=NAMES)
SPOKEN: st.SearchStrategy[Part] = (
    TEXTS
    | CALLS
    | st.builds(Refusal, text=WORDS)
    | st.builds(
        Thinking, text=st.just("") | WORDS, signature=SIGNATURES | FOREIGN, is_summary=st.just(True), id=NAMES
    )
)
USAGES = st.builds(Usage, input_uncached_tokens=st.integers(0, 9), output_text_tokens=st.integers(0, 9))


@st.composite
def responses(draw: st.DrawFn) -> ModelResponse:
    parts = tuple(draw(st.lists(SPOKEN, max_size=5)))
    reason = draw(FINISHES)
    raw = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}.get(
        reason, "completed"
    )
    if reason is FinishReason.STOP and any(isinstance(part, ToolCall) for part in parts):
        reason = FinishReason.TOOL_CALLS
    return ModelResponse(
        id="resp_abc",
        model="m",
        created_at=3,
        service_tier="default",
        usage=draw(USAGES),
        choices=(Choice(parts=parts, finish=Finish(reason=reason, raw=raw)),),
    )


@given(responses())
def test_an_answer_that_is_written_is_read_as_it_was(response: ModelResponse) -> None:
    assert CHAT.read_response(CHAT.write_response(response, CALL, SCENE)) == response


@given(responses(), st.integers(1, 60))
def test_a_stream_that_is_written_is_read_as_it_was_however_it_is_split(
    response: ModelResponse, size: int
) -> None:
    writer = CHAT.write_stream(CALL, SCENE)
    stream = writer.write(unfold(response)) + writer.finish()
    reader = CHAT.read_stream()
    events = [event for at in range(0, len(stream), size) for event in reader.feed(stream[at : at + size])]
    assert fold(events + reader.end()) == response


@given(responses())
def test_a_stream_ends_in_the_whole_answer(response: ModelResponse) -> None:
    writer = CHAT.write_stream(CALL, SCENE)
    stream = writer.write(unfold(response)) + writer.finish()
    final = json.loads(stream.strip().rpartition(b"\n\n")[2].partition(b"data: ")[2])
    assert final["response"] == json.loads(CHAT.write_response(response, CALL, SCENE))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | WORDS,
        lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
        max_leaves=6,
    )
)
def test_readers_of_answers_take_any_json(value: object) -> None:
    body = {
        "status": "completed",
        "output": [value, {"type": "message", "content": value}, {"type": "reasoning", "summary": value}],
    }
    CHAT.read_response(msgspec.json.encode(body))
    for kind in (
        "output_item.added",
        "output_item.done",
        "output_text.delta",
        "content_part.done",
        "created",
    ):
        reader = CHAT.read_stream()
        members = dict.fromkeys(("item", "delta", "part", "output_index", "content_index", "item_id"), value)
        event = {"type": f"response.{kind}", **members}
        reader.feed(b"data: " + msgspec.json.encode(event) + b"\n\n")
        reader.feed(b'data: {"type":"response.completed","response":{"status":"completed"}}\n\n')
        assert reader.is_done
