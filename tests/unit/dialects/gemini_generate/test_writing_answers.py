"""What Gemini's callers get, whoever answered."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    Citation,
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolKind,
)
from tollhouse.core.events import PartDelta, PartEnded, PartStarted, Ping, ResponseStarted
from tollhouse.core.fold import fold, unfold
from tollhouse.core.operation import Operation
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.seal import unseal_base64
from tollhouse.core.usage import Usage
from tollhouse.dialects.gemini_generate import DIALECT
from tollhouse.dialects.gemini_generate.signatures import NO_SIGNATURE
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.ports.translation import Scene

SCENE = Scene(id="x1", now=1, model="asked")
STOP = Finish(reason=FinishReason.STOP)


def caller(query: str = "alt=sse") -> ClientCall:
    return DIALECT.read(
        Ask(operation=Operation.CHAT, body=b'{"contents":[]}', path_model="g", path_stream=True, query=query)
    )


def response(*parts: Part, finish: Finish = STOP, usage: Usage | None = None) -> ModelResponse:
    return ModelResponse(id="r", model="m", choices=(Choice(parts=parts, finish=finish),), usage=usage)


def whole(*parts: Part, **more: Any) -> Any:
    return json.loads(DIALECT.chat.write_response(response(*parts, **more), caller(), SCENE))


def stream(answer: ModelResponse, query: str = "alt=sse") -> bytes:
    writer = DIALECT.chat.write_stream(caller(query), SCENE)
    return b"".join([*[writer.write([event]) for event in unfold(answer)], writer.finish()])


def chunks(answer: ModelResponse) -> list[Any]:
    frames = stream(answer).decode().split("\n\n")
    assert frames.pop() == ""
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def test_an_answer_has_geminis_form() -> None:
    usage = Usage(
        input_uncached_tokens=5, input_cache_read_tokens=3, output_text_tokens=4, output_reasoning_tokens=2
    )
    assert whole(Text(text="hi"), usage=usage) == {
        "candidates": [{"content": {"parts": [{"text": "hi"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 8, "cachedContentTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 2,
            "totalTokenCount": 14,
        },
        "modelVersion": "m",
        "responseId": "r",
    }  # fmt: skip


def test_what_the_provider_did_not_name_is_named_by_the_house() -> None:
    bare = msgspec.structs.replace(response(Text(text="a")), id="", model="")
    written = json.loads(DIALECT.chat.write_response(bare, caller(), SCENE))
    assert (written["modelVersion"], written["responseId"]) == ("asked", "x1")


def test_the_first_call_is_signed_so_that_the_conversation_can_go_on_at_gemini() -> None:
    calls = (ToolCall(id="1", name="f", arguments='{"a":1}'), ToolCall(id="2", name="g", arguments=""))
    expected = [
        {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": NO_SIGNATURE},
        {"functionCall": {"id": "2", "name": "g", "args": {}}},
    ]
    assert whole(*calls)["candidates"][0]["content"]["parts"] == expected
    parts = [
        part for chunk in chunks(response(*calls)) for part in chunk["candidates"][0]["content"]["parts"]
    ]
    assert parts == [*expected, {"text": ""}]


def test_input_that_is_no_object_stands_in_one() -> None:
    parts = whole(
        ToolCall(id="1", name="f", arguments="raw {", kind=ToolKind.CUSTOM),
        ToolCall(id="2", name="f", arguments='{"cut": '),
    )["candidates"][0]["content"]["parts"]
    assert [part["functionCall"]["args"] for part in parts] == [{"input": "raw {"}, {"input": '{"cut": '}]


def test_others_signatures_are_sealed_and_geminis_are_bare() -> None:
    theirs = Signature(issuer="anthropic", value="a+/=")
    thought, text = whole(
        Thinking(text="hm", signature=theirs),
        Text(text="a", signature=Signature(issuer="gemini", value="c2ln")),
    )["candidates"][0]["content"]["parts"]
    assert unseal_base64(thought.pop("thoughtSignature")) == theirs
    assert (thought, text) == ({"text": "hm", "thought": True}, {"text": "a", "thoughtSignature": "c2ln"})


def test_hidden_thoughts_are_carried_by_an_empty_one() -> None:
    (part,) = whole(Thinking(signature=Signature(issuer="openai", value="x"), is_redacted=True))[
        "candidates"
    ][0]["content"]["parts"]
    assert (part["text"], part["thought"]) == ("", True)


def test_what_only_another_provider_has_is_left_out() -> None:
    own = {"executableCode": {"code": "1"}}
    parts = whole(
        Opaque(dialect="anthropic_messages", kind="server_tool_use", value={}),
        Opaque(dialect="gemini_generate", kind="executableCode", value=own),
        Refusal(text="no"),
        Media(kind=MediaKind.IMAGE, media_type="image/png", data="AAAA"),
    )["candidates"][0]["content"]["parts"]
    assert parts == [own, {"text": "no"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]


def test_finish_reasons_have_geminis_words() -> None:
    words = {
        reason: whole(finish=Finish(reason=reason))["candidates"][0]["finishReason"]
        for reason in FinishReason
    }
    assert words == {
        "stop": "STOP", "stop_sequence": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS",
        "context_full": "MAX_TOKENS", "content_filter": "SAFETY", "refusal": "SAFETY", "pause": "OTHER",
        "faulty_call": "MALFORMED_FUNCTION_CALL", "other": "OTHER",
    }  # fmt: skip
    own = Finish(reason=FinishReason.CONTENT_FILTER, raw="SPII", explanation="why")
    candidate = whole(finish=own)["candidates"][0]
    assert (candidate["finishReason"], candidate["finishMessage"]) == ("SPII", "why")


def test_citations_are_grounding_in_bytes() -> None:
    citation = Citation(url="https://a", title="A", start=1, end=3)
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 4, "endIndex": 8, "text": "öß"}, "groundingChunkIndices": [0]}
        ],
    }
    parts = (Text(text="xü"), Text(text="göße", citations=(citation,)))
    assert whole(*parts)["candidates"][0]["groundingMetadata"] == grounding
    assert chunks(response(*parts))[-1]["candidates"][0]["groundingMetadata"] == grounding


def test_probabilities_of_tokens_are_told() -> None:
    logprobs = (TokenLogprob(token="a", logprob=-1.0), TokenLogprob(token="b", logprob=-3.0))
    candidate = whole(Text(text="ab", logprobs=logprobs))["candidates"][0]
    assert candidate["avgLogprobs"] == -2.0
    chosen = [{"token": "a", "logProbability": -1.0}, {"token": "b", "logProbability": -3.0}]
    assert candidate["logprobsResult"] == {"chosenCandidates": chosen}


def test_half_a_surrogate_pair_does_not_end_the_answer() -> None:
    assert whole(Text(text="a\ud83d"))["candidates"][0]["content"]["parts"] == [{"text": "a?"}]


# -- streams


def test_the_last_chunk_has_the_reason_the_usage_and_a_part() -> None:
    usage = Usage(input_uncached_tokens=1, output_text_tokens=2)
    *before, last = chunks(response(Text(text="hi"), usage=usage))
    assert [chunk["candidates"][0]["content"]["parts"] for chunk in before] == [[{"text": "hi"}]]
    assert all("usageMetadata" not in chunk for chunk in before)
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["candidates"][0]["content"]["parts"] == [{"text": ""}]
    assert last["usageMetadata"]["totalTokenCount"] == 3
    assert {chunk["responseId"] for chunk in [*before, last]} == {"r"}


def test_every_chunk_has_a_part_or_chats_forget_the_turn() -> None:
    answer = response(
        Thinking(text="a", signature=Signature(issuer="x", value="y")), Text(text=""), Text(text="b")
    )
    for chunk in chunks(answer):
        assert chunk["candidates"][0]["content"]["parts"]


def test_a_ping_is_a_chunk_that_says_nothing() -> None:
    writer = DIALECT.chat.write_stream(caller(), SCENE)
    (frame,) = [writer.write([ResponseStarted(id="r", model="m"), Ping()])]
    assert frame.startswith(b"data: {")
    assert json.loads(frame[6:])["candidates"][0]["content"]["parts"] == [{"text": ""}]


def test_arguments_wait_for_their_end() -> None:
    writer = DIALECT.chat.write_stream(caller(), SCENE)
    call = ToolCall(id="1", name="f", arguments="")
    other = ToolCall(id="2", name="g", arguments="")
    assert writer.write([PartStarted(index=0, part=call), PartDelta(index=0, text='{"a"')]) == b""
    assert writer.write([PartStarted(index=1, part=other), PartDelta(index=0, text=":1}")]) == b""
    first = writer.write([PartEnded(index=0)])
    assert json.loads(first[6:])["candidates"][0]["content"]["parts"][0]["functionCall"]["args"] == {"a": 1}
    assert b'"args":{}' in writer.write([PartEnded(index=1)])


def test_without_alt_sse_the_stream_is_one_array() -> None:
    answer = response(Text(text="hi"), ToolCall(id="1", name="f", arguments="{}"))
    assert json.loads(stream(answer, query="")) == chunks(answer)
    assert DIALECT.stream_kind(caller("")).content_type == b"application/json"
    assert DIALECT.stream_kind(caller("key=1&$alt=sse")).content_type == b"text/event-stream"
    assert DIALECT.stream_kind(caller("$alt=json;enum-encoding=int")).content_type == b"application/json"


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
signatures = st.none() | texts.map(lambda value: Signature(issuer="gemini", value="s" + value))
arguments = st.dictionaries(texts, st.integers(), max_size=2).map(
    lambda value: msgspec.json.encode(value).decode()
)
parts = st.one_of(
    texts.map(lambda text: Text(text=text)),
    st.builds(Thinking, text=texts, signature=signatures.filter(lambda signature: signature is not None)),
    st.builds(
        ToolCall,
        id=st.uuids().map(str),
        name=texts,
        arguments=arguments,
        signature=signatures,
    ),
)  # fmt: skip


def joined(some: tuple[Part, ...]) -> list[Part]:
    """Texts in a row are one: nobody can tell them apart afterwards."""
    found: list[Part] = []
    for part in some:
        last = found[-1] if found else None
        if isinstance(part, Text) and isinstance(last, Text):
            found[-1] = Text(text=last.text + part.text)
        else:
            found.append(part)
    return found


@given(some=st.lists(parts, max_size=6).map(tuple))
def test_a_stream_that_was_written_is_read_as_what_was_said(some: tuple[Part, ...]) -> None:
    usage = Usage(input_uncached_tokens=3, output_text_tokens=4)
    has_calls = any(isinstance(part, ToolCall) for part in some)
    answer = response(
        *some, finish=Finish(reason=FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP), usage=usage
    )
    reader = DIALECT.chat.read_stream()
    from_stream = fold([*reader.feed(stream(answer)), *reader.end()])
    from_whole = DIALECT.chat.read_response(DIALECT.chat.write_response(answer, caller(), SCENE))
    for read in (from_stream, from_whole):
        assert joined(read.choices[0].parts) == joined(some)
        assert read.choices[0].finish.reason is answer.choices[0].finish.reason
        assert (read.usage, read.id, read.model) == (usage, "r", "m")
