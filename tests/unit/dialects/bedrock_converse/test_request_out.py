"""Requests for Bedrock: what it refuses is never sent, what it cannot be told is declared."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    CacheMark,
    Citation,
    Media,
    MediaKind,
    Message,
    Opaque,
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
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.request import (
    ChoiceMode,
    Field,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.dialects.bedrock_converse import DIALECT
from tollhouse.ports.dialect import Ask
from tollhouse.ports.provider import Support, Traits
from tollhouse.ports.provider import Thinking as Way

CLAUDE = Traits(issuer="anthropic", thinking=Way.BUDGET)
ADAPTIVE = Traits(
    issuer="anthropic",
    thinking=Way.ADAPTIVE,
    efforts=frozenset({"none", "low", "medium", "high", "max"}),
)
NOVA = Traits(issuer="amazon", server_tools=frozenset({"web_search"}))
LLAMA = Traits(issuer="meta", thinking=Way.NONE)
SIGNED = Signature(issuer="anthropic", value="sig==")
PNG = Media(kind=MediaKind.IMAGE, media_type="image/png", data="iVBORw0KGgo=")
PDF = Media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data="JVBERi0x", name="My file_v2.pdf")
TOOL = Tool(name="f", schema={"type": "object", "properties": {"b": {}, "a": {}}})
CALL = ToolCall(id="t1", name="f", arguments='{"z": 1.0, "a":2}')
RESULT = ToolResult(call_id="t1", parts=(Text(text="r"),))


def user(*parts: Part) -> Message:
    return Message(role=Role.USER, parts=parts)


def assistant(*parts: Part) -> Message:
    return Message(role=Role.ASSISTANT, parts=parts)


HI = user(Text(text="hi"))


def asked(*messages: Message, **members: Any) -> ModelRequest:
    return ModelRequest(model="m", messages=messages or (HI,), **members)


def written(request: ModelRequest, traits: Traits = CLAUDE) -> tuple[dict[str, Any], dict[Field, bool]]:
    """The body, and what was lost: whether it is vital."""
    out = DIALECT.chat.write_request(request, traits)
    losses: dict[Field, bool] = {}
    for loss in out.losses:
        losses[loss.field] = losses.get(loss.field, False) or loss.is_vital
        assert loss.why or not loss.is_vital, "what is vital says why"
    return json.loads(out.body), losses


def turns(*messages: Message, traits: Traits = CLAUDE) -> list[tuple[str, list[dict[str, Any]]]]:
    body, _ = written(asked(*messages), traits)
    return [(turn["role"], turn["content"]) for turn in body["messages"]]


# -- the conversation


def test_conversation_is_written_and_stands_last() -> None:
    body, losses = written(
        asked(
            HI,
            assistant(Thinking(text="hm", signature=SIGNED), Text(text="ok"), CALL),
            user(RESULT),
            instructions=(Text(text="be good", cache=CacheMark()),),
            tools=(TOOL,),
            max_output_tokens=5,
        )
    )
    assert losses == {}
    assert list(body) == ["toolConfig", "inferenceConfig", "system", "messages"]
    assert body["system"] == [{"text": "be good"}, {"cachePoint": {"type": "default"}}]
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "hi"}]},
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig=="}}},
                {"text": "ok"},
                {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"z": 1.0, "a": 2}}},
            ],
        },
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "r"}]}}]},
    ]


def test_arguments_and_schemas_keep_their_bytes_and_their_order() -> None:
    out = DIALECT.chat.write_request(asked(HI, assistant(CALL), user(RESULT), tools=(TOOL,)), CLAUDE)
    assert b'"input":{"z": 1.0, "a":2}' in out.body
    assert b'"properties":{"b":{},"a":{}}' in out.body


def test_next_turn_begins_with_the_bytes_of_this_one() -> None:
    first = asked(HI, tools=(TOOL,), instructions=(Text(text="s"),), max_output_tokens=9)
    second = msgspec.structs.replace(
        first, messages=(HI, assistant(Text(text="ok")), user(Text(text="more")))
    )
    one, two = (DIALECT.chat.write_request(request, CLAUDE).body for request in (first, second))
    assert two.startswith(one.removesuffix(b"]}"))


def test_turns_alternate_and_begin_with_the_users() -> None:
    said = turns(
        assistant(Text(text="a")),
        assistant(Text(text="b")),
        HI,
        Message(role=Role.DEVELOPER, parts=(Text(text="s"),)),
    )
    assert [role for role, _ in said] == ["user", "assistant", "user"]
    assert said[1][1] == [{"text": "a"}, {"text": "b"}]
    assert said[2][1] == [{"text": "hi"}, {"text": "s"}]


def test_results_stand_first_in_the_order_of_their_calls() -> None:
    second = ToolCall(id="t2", name="g", arguments="")
    said = turns(
        HI,
        assistant(CALL, second),
        user(Text(text="by the way"), ToolResult(call_id="t2", parts=())),
        user(RESULT),
    )
    assert said[1][1][1] == {"toolUse": {"toolUseId": "t2", "name": "g", "input": {}}}
    assert [next(iter(block)) for block in said[2][1]] == ["toolResult", "toolResult", "text"]
    assert [block["toolResult"]["toolUseId"] for block in said[2][1][:2]] == ["t1", "t2"]


def test_call_without_a_result_gets_one() -> None:
    for messages in ((HI, assistant(CALL)), (HI, assistant(CALL), HI)):
        last = turns(*messages)[2]
        assert last[0] == "user"
        assert last[1][0]["toolResult"]["toolUseId"] == "t1"
        assert last[1][0]["toolResult"]["status"] == "error"


def test_result_without_its_call_is_told_in_words() -> None:
    ((_, content),) = turns(user(RESULT))
    assert content == [{"text": "Result of the tool t1:"}, {"text": "r"}]


def test_blank_texts_are_left_out_and_their_marks_stay() -> None:
    said = turns(
        user(Text(text="a"), Text(text=" \n", cache=CacheMark(ttl="5m")), Refusal(text="")),
        assistant(Text(text="")),
    )
    assert said == [("user", [{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "5m"}}])]


def test_conversation_that_says_nothing_is_refused() -> None:
    with pytest.raises(GatewayError) as caught:
        written(asked(user(Text(text=" "))))
    assert caught.value.kind is ErrorKind.INVALID_REQUEST


def test_answer_to_be_continued_does_not_end_in_space_for_claude() -> None:
    messages = (HI, assistant(Text(text="I am \n")))
    assert turns(*messages)[-1][1] == [{"text": "I am"}]
    assert turns(*messages, traits=LLAMA)[-1][1] == [{"text": "I am \n"}]


def test_failed_result_has_content_and_says_that_it_failed() -> None:
    failed = ToolResult(call_id="t1", parts=(), is_error=True)
    result = turns(HI, assistant(CALL), user(failed))[2][1][0]["toolResult"]
    assert result == {"toolUseId": "t1", "content": [{"text": "(nothing)"}], "status": "error"}
    body, losses = written(
        asked(HI, assistant(CALL), user(failed)), Traits(unsupported=frozenset({Field.TOOL_ERRORS}))
    )
    assert "status" not in body["messages"][2]["content"][0]["toolResult"]
    assert Field.TOOL_ERRORS in losses


def test_ids_of_calls_are_made_to_fit_the_same_for_the_same() -> None:
    for bad in ("call/1", "x" * 65, "", "é", "call|fc_1"):
        call, result = msgspec.structs.replace(CALL, id=bad), msgspec.structs.replace(RESULT, call_id=bad)
        said = turns(HI, assistant(call), user(result))
        used = said[1][1][0]["toolUse"]["toolUseId"]
        assert re.fullmatch(r"[a-zA-Z0-9_.:-]{1,64}", used)
        assert said[2][1][0]["toolResult"]["toolUseId"] == used
    other = turns(HI, assistant(msgspec.structs.replace(CALL, id="call|fc_2")))[1][1][0]["toolUse"][
        "toolUseId"
    ]
    assert other != used


def test_ids_follow_the_narrower_rule_of_a_model() -> None:
    traits = Traits(call_id_pattern="[a-zA-Z0-9]{9}")
    used = turns(HI, assistant(CALL), user(RESULT), traits=traits)[1][1][0]["toolUse"]["toolUseId"]
    assert re.fullmatch("[a-zA-Z0-9]{9}", used)


def test_free_text_of_a_call_goes_into_an_object() -> None:
    for call in (
        ToolCall(id="t", name="f", arguments="*** x", kind=ToolKind.CUSTOM),
        ToolCall(id="t", name="f", arguments="*** x"),
    ):
        assert turns(HI, assistant(call))[1][1][0]["toolUse"]["input"] == {"input": "*** x"}


def test_unsigned_thoughts_do_not_go_to_claude() -> None:
    thought = Thinking(text="hm")
    body, losses = written(asked(HI, assistant(thought, Text(text="a")), HI))
    assert body["messages"][1]["content"] == [{"text": "a"}]
    assert losses == {Field.THINKING_PARTS: False}
    body, losses = written(asked(HI, assistant(thought, Text(text="a")), HI), NOVA)
    assert body["messages"][1]["content"][0] == {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    assert losses == {}


def test_signatures_go_to_nobody_but_claude() -> None:
    encrypted = Signature(issuer="openai", value="enc")
    thoughts = (Thinking(text="hm", signature=encrypted), Thinking(signature=encrypted))
    body, losses = written(asked(HI, assistant(*thoughts, Text(text="a")), HI), Traits(issuer="openai"))
    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
        {"text": "a"},
    ]
    assert losses == {Field.THINKING_PARTS: False}


def test_thought_nothing_came_of_does_not_go_to_claude() -> None:
    body, losses = written(asked(HI, assistant(Thinking(text="hm", signature=SIGNED)), HI))
    assert body["messages"] == [{"role": "user", "content": [{"text": "hi"}, {"text": "hi"}]}]
    assert losses == {Field.THINKING_PARTS: False}


def test_instructions_alone_are_a_conversation() -> None:
    body, _ = written(ModelRequest(model="m", messages=(), instructions=(Text(text="do it"),)))
    assert body["messages"] == [{"role": "user", "content": [{"text": "."}]}]


def test_own_citations_and_blocks_go_back_as_they_came() -> None:
    raw = {"title": "t", "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 3}}}
    cited = Text(text="a", citations=(Citation(title="t", dialect="bedrock_converse", raw=raw),))
    block = {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    own = Opaque(dialect="bedrock_converse", kind="server_tool_use", value=block)
    body, losses = written(asked(HI, assistant(cited, own), HI), NOVA)
    assert body["messages"][1]["content"] == [
        {"citationsContent": {"content": [{"text": "a"}], "citations": [raw]}},
        block,
    ]
    assert losses == {}


def test_citations_and_blocks_of_others_are_declared() -> None:
    cited = Text(text="a", citations=(Citation(url="https://a"),))
    other = Opaque(dialect="openai_responses", kind="web_search_call", value={})
    body, losses = written(asked(HI, assistant(cited, other), HI))
    assert body["messages"][1]["content"] == [{"text": "a"}]
    assert losses == {Field.CITATIONS: False, Field.OPAQUE_PARTS: True}


def test_mark_stands_behind_its_part() -> None:
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    mark = CacheMark(ttl="1h")
    marked = ToolResult(call_id="t1", parts=(Text(text="r", cache=mark),))
    said = turns(
        HI, assistant(msgspec.structs.replace(CALL, cache=mark)), user(marked, Text(text="x", cache=mark))
    )
    assert said[1][1][1] == said[2][1][1] == said[2][1][3] == point
    body, losses = written(asked(tools=(msgspec.structs.replace(TOOL, cache=mark),)))
    assert body["toolConfig"]["tools"][1] == point
    assert losses == {}


def test_marks_without_a_place_are_declared() -> None:
    inner = ToolResult(call_id="t1", parts=(Text(text="r", cache=CacheMark()), Text(text="s")))
    for request in (
        asked(HI, assistant(CALL), user(inner)),
        asked(cache=CacheMark()),
        asked(user(Text(text="", cache=CacheMark()), Text(text="a"))),
    ):
        assert written(request)[1] == {Field.CACHE_MARKS: False}
    body, losses = written(
        asked(user(Text(text="a", cache=CacheMark()))), Traits(unsupported=frozenset({Field.CACHE_MARKS}))
    )
    assert body["messages"][0]["content"] == [{"text": "a"}]
    assert losses == {Field.CACHE_MARKS: False}


def test_ids_used_again_are_told_apart() -> None:
    again = (assistant(CALL, CALL), user(RESULT, ToolResult(call_id="t1", parts=(Text(text="s"),))))
    said = turns(HI, *again, *again)
    calls = [block["toolUse"]["toolUseId"] for _, content in said for block in content if "toolUse" in block]
    results = [block["toolResult"] for _, content in said for block in content if "toolResult" in block]
    assert len(set(calls)) == 4
    assert [result["toolUseId"] for result in results] == calls
    assert [result["content"][0]["text"] for result in results] == ["r", "s", "r", "s"]


# -- files


def test_files_are_written_by_their_formats() -> None:
    text = Media(kind=MediaKind.DOCUMENT, text="# a", media_type="text/markdown")
    content = turns(user(Text(text="see"), PNG, PDF, PDF, text))[0][1]
    assert content[1:] == [
        {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
        {"document": {"format": "pdf", "name": "My file v2 pdf", "source": {"bytes": "JVBERi0x"}}},
        {"document": {"format": "pdf", "name": "My file v2 pdf 2", "source": {"bytes": "JVBERi0x"}}},
        {"document": {"format": "md", "name": "document", "source": {"text": "# a"}}},
    ]
    assert turns(user(text), traits=NOVA)[0][1][0]["document"]["source"] == {"bytes": "IyBh"}


def test_document_has_a_text_beside_it() -> None:
    assert turns(user(PDF))[0][1][1] == {"text": "(See the document.)"}
    assert len(turns(user(PDF, Text(text="what is it")))[0][1]) == 2


@pytest.mark.parametrize(
    "media",
    [
        Media(kind=MediaKind.IMAGE, url="https://a/b.png"),
        Media(kind=MediaKind.IMAGE, file_id="file-1"),
        Media(kind=MediaKind.IMAGE, media_type="image/bmp", data="Qk0="),
    ],
)
def test_file_that_cannot_be_sent_is_a_vital_loss(media: Media) -> None:
    assert written(asked(user(Text(text="a"), media)))[1] == {Field.MEDIA: True}


def test_file_in_an_answer_is_a_vital_loss() -> None:
    assert written(asked(HI, assistant(Text(text="a"), PNG), HI))[1] == {Field.MEDIA: True}


def test_files_of_results_stand_inside_or_behind_them() -> None:
    result = ToolResult(call_id="t1", parts=(PNG,))
    image = {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}
    assert turns(HI, assistant(CALL), user(result))[2][1][0]["toolResult"]["content"] == [image]
    outside = turns(HI, assistant(CALL), user(result), traits=Traits(takes_result_media=False))[2][1]
    assert outside[0]["toolResult"]["content"] == [{"text": "(The file follows.)"}]
    assert outside[1] == image


# -- tools


def test_history_with_calls_has_tools_whatever_the_request_says() -> None:
    body, losses = written(asked(HI, assistant(CALL), user(RESULT)))
    assert body["toolConfig"] == {
        "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]
    }
    assert losses == {}


def test_tools_have_an_object_for_a_schema() -> None:
    tools = (
        Tool(name="a"),
        Tool(name="b", schema={"properties": {}}),
        Tool(name="c", kind=ToolKind.CUSTOM, grammar={"type": "grammar"}),
    )
    body, losses = written(asked(tools=tools))
    schemas = [tool["toolSpec"]["inputSchema"]["json"] for tool in body["toolConfig"]["tools"]]
    assert [schema["type"] for schema in schemas] == ["object"] * 3
    assert losses == {Field.CUSTOM_TOOL_GRAMMAR: False}


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (ToolChoice(mode=ChoiceMode.AUTO), {"auto": {}}),
        (ToolChoice(mode=ChoiceMode.REQUIRED), {"any": {}}),
        (ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",)), {"tool": {"name": "f"}}),
        (ToolChoice(mode=ChoiceMode.REQUIRED, names=("f", "g")), {"any": {}}),
    ],
)
def test_choice_of_tools_is_written(choice: ToolChoice, wanted: dict[str, Any]) -> None:
    body, losses = written(asked(tools=(TOOL, Tool(name="g"), Tool(name="h")), tool_choice=choice))
    assert body["toolConfig"]["toolChoice"] == wanted
    assert len(body["toolConfig"]["tools"]) == (2 if len(choice.names) == 2 else 3)
    assert losses == {}


def test_no_tools_are_sent_where_none_may_be_called() -> None:
    none = ToolChoice(mode=ChoiceMode.NONE)
    assert "toolConfig" not in written(asked(tools=(TOOL,), tool_choice=none))[0]
    body, losses = written(asked(HI, assistant(CALL), user(RESULT), tools=(TOOL,), tool_choice=none))
    assert body["toolConfig"] == {
        "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": TOOL.schema}}}]
    }
    assert losses == {Field.TOOL_CHOICE: False}


def test_server_tools_go_to_who_runs_them() -> None:
    search = ServerTool(
        dialect="openai_responses", kind="web_search", name="web_search", value={"type": "web_search"}
    )
    assert written(asked(tools=(search,)), NOVA)[0]["toolConfig"]["tools"] == [
        {"systemTool": {"name": "nova_grounding"}}
    ]
    assert written(asked(tools=(search,)))[1] == {Field.SERVER_TOOLS: True}


def test_strictness_of_tools_is_kept_where_it_is_taken() -> None:
    strict = Tool(name="f", strict=True)
    body, losses = written(asked(tools=(strict,)))
    assert body["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True
    assert losses == {}
    assert written(asked(tools=(strict,)), Traits(takes_strict_tools=False))[1] == {Field.STRICT_TOOLS: False}


# -- parameters


def test_parameters_are_written() -> None:
    body, losses = written(
        asked(
            sampling=Sampling(temperature=0.5, top_k=4, stop=("x", "y")),
            max_output_tokens=7,
            metadata={"k": "v"},
            service_tier="priority",
            output=OutputFormat(kind=FormatKind.JSON_SCHEMA, name="n", schema={"type": "object"}),
        )
    )
    assert losses == {}
    assert body["inferenceConfig"] == {"maxTokens": 7, "temperature": 0.5, "stopSequences": ["x", "y"]}
    assert body["additionalModelRequestFields"] == {"top_k": 4}
    assert body["requestMetadata"] == {"k": "v"}
    assert body["serviceTier"] == {"type": "priority"}
    assert body["outputConfig"] == {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "n"}},
        }
    }


@pytest.mark.parametrize(
    ("traits", "reasoning", "fields"),
    [
        (CLAUDE, Reasoning(effort="high"), {"thinking": {"type": "enabled", "budget_tokens": 24_576}}),
        (
            CLAUDE,
            Reasoning(is_enabled=True),
            {"thinking": {"type": "enabled", "budget_tokens": 8192}},
        ),
        (CLAUDE, Reasoning(effort="none"), {}),
        (ADAPTIVE, Reasoning(is_enabled=True), {"thinking": {"type": "adaptive"}}),
        (
            ADAPTIVE,
            Reasoning(effort="xhigh"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (ADAPTIVE, Reasoning(is_enabled=False), {"thinking": {"type": "disabled"}}),
        (
            NOVA,
            Reasoning(budget_tokens=1000),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
        ),
        (Traits(issuer="openai"), Reasoning(effort="minimal"), {"reasoning_effort": "low"}),
        (Traits(issuer="qwen"), Reasoning(effort="high"), {"reasoning_config": "high"}),
    ],
)
def test_thinking_is_asked_for_in_the_words_of_the_maker(
    traits: Traits, reasoning: Reasoning, fields: dict[str, Any]
) -> None:
    body, losses = written(asked(reasoning=reasoning), traits)
    assert body.get("additionalModelRequestFields", {}) == fields
    assert losses == {}


@pytest.mark.parametrize(
    ("request_", "traits"),
    [
        (asked(reasoning=Reasoning(effort="low")), LLAMA),
        (asked(reasoning=Reasoning(effort="low"), max_output_tokens=1024), CLAUDE),
        (
            asked(
                reasoning=Reasoning(effort="low"),
                tools=(TOOL,),
                tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED),
            ),
            ADAPTIVE,
        ),
        (asked(HI, assistant(CALL), user(RESULT), reasoning=Reasoning(effort="low")), CLAUDE),
        (asked(HI, assistant(Text(text="I")), reasoning=Reasoning(effort="low")), ADAPTIVE),
        (
            asked(reasoning=Reasoning(effort="none")),
            msgspec.structs.replace(ADAPTIVE, efforts=frozenset({"low"})),
        ),
        (asked(reasoning=Reasoning(effort="none")), Traits(issuer="openai")),
    ],
)
def test_thinking_that_would_be_refused_is_left_out_and_declared(
    request_: ModelRequest, traits: Traits
) -> None:
    body, losses = written(request_, traits)
    assert "additionalModelRequestFields" not in body
    assert losses == {Field.REASONING: False}


def test_budget_stays_below_the_limit_and_what_changes_it_is_declared() -> None:
    changed = {Field.REASONING: False}
    for reasoning, budget, losses in (
        (Reasoning(effort="max"), 2000, {}),
        (Reasoning(budget_tokens=5000), 2000, changed),
        (Reasoning(budget_tokens=3000), 3000, {}),
        (Reasoning(budget_tokens=9), 1024, changed),
    ):
        body, lost = written(asked(reasoning=reasoning, max_output_tokens=4000))
        assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == budget
        assert lost == losses


def test_limit_of_the_model_is_sent_with_a_budget_where_the_caller_named_none() -> None:
    traits = msgspec.structs.replace(CLAUDE, max_output_tokens=64_000)
    body, _ = written(asked(reasoning=Reasoning(effort="low")), traits)
    assert body["inferenceConfig"] == {"maxTokens": 64_000}
    assert "inferenceConfig" not in written(asked(), traits)[0]


def test_thinking_claude_takes_neither_temperature_nor_top_k_nor_a_low_top_p() -> None:
    thinking = Reasoning(effort="low")
    body, losses = written(asked(reasoning=thinking, sampling=Sampling(temperature=0.2, top_k=3)))
    assert "inferenceConfig" not in body
    assert losses == {Field.TEMPERATURE: False, Field.TOP_K: False}
    assert written(asked(reasoning=thinking, sampling=Sampling(top_p=0.5)))[1] == {Field.TOP_P: False}
    assert written(asked(reasoning=thinking, sampling=Sampling(top_p=0.97)))[1] == {}
    assert written(asked(reasoning=thinking, sampling=Sampling(temperature=1)))[1] == {}


def test_nova_thinks_hardest_only_without_limits() -> None:
    body, losses = written(
        asked(reasoning=Reasoning(effort="high"), sampling=Sampling(temperature=0.1)), NOVA
    )
    assert body["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "high"
    assert losses == {Field.TEMPERATURE: False}
    body, losses = written(asked(reasoning=Reasoning(effort="high"), max_output_tokens=5), NOVA)
    assert body["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "medium"
    assert losses == {Field.REASONING: False}


def test_claude_takes_temperature_or_top_p() -> None:
    sampling = Sampling(temperature=0.2, top_p=0.5)
    newer = msgspec.structs.replace(
        asked(sampling=sampling), model="us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    )
    older = msgspec.structs.replace(newer, model="anthropic.claude-3-sonnet-20240229-v1:0")
    assert written(newer)[1] == {Field.TOP_P: False}
    assert written(older)[1] == {}
    assert written(newer, LLAMA)[1] == {}


def test_temperature_is_cut_to_what_is_taken_and_declared() -> None:
    body, losses = written(asked(sampling=Sampling(temperature=1.7)))
    assert body["inferenceConfig"] == {"temperature": 1}
    assert losses == {Field.TEMPERATURE: False}


def test_form_of_answers_that_cannot_be_held_is_a_vital_loss() -> None:
    schema = OutputFormat(kind=FormatKind.JSON_SCHEMA, schema={})
    emulated = msgspec.structs.replace(CLAUDE, json_schema=Support.EMULATED)
    assert written(asked(output=schema), emulated)[1] == {Field.OUTPUT_FORMAT: True}
    assert written(asked(output=OutputFormat(kind=FormatKind.JSON_OBJECT)))[1] == {Field.OUTPUT_FORMAT: True}
    assert written(asked(output=OutputFormat(kind=FormatKind.TEXT)))[1] == {}


def test_metadata_bedrock_would_refuse_is_left_out() -> None:
    for metadata in ({"k": "ü"}, {"": "v"}, {str(n): "v" for n in range(17)}):
        body, losses = written(asked(metadata=metadata))
        assert "requestMetadata" not in body
        assert losses == {Field.METADATA: False}


SET: dict[Field, ModelRequest] = {
    Field.TEMPERATURE: asked(sampling=Sampling(temperature=0.5)),
    Field.TOP_P: asked(sampling=Sampling(top_p=0.5)),
    Field.TOP_K: asked(sampling=Sampling(top_k=5)),
    Field.FREQUENCY_PENALTY: asked(sampling=Sampling(frequency_penalty=0.5)),
    Field.PRESENCE_PENALTY: asked(sampling=Sampling(presence_penalty=0.5)),
    Field.SEED: asked(sampling=Sampling(seed=0)),
    Field.STOP: asked(sampling=Sampling(stop=("x",))),
    Field.N: asked(sampling=Sampling(n=2)),
    Field.LOGPROBS: asked(sampling=Sampling(logprobs=True)),
    Field.TOP_LOGPROBS: asked(sampling=Sampling(top_logprobs=3)),
    Field.LOGIT_BIAS: asked(sampling=Sampling(logit_bias={"1": 1.0})),
    Field.MAX_OUTPUT_TOKENS: asked(max_output_tokens=5),
    Field.END_USER: asked(end_user="u"),
    Field.METADATA: asked(metadata={"a": "b"}),
    Field.SERVICE_TIER: asked(service_tier="flex"),
    Field.PROMPT_CACHE_KEY: asked(prompt_cache_key="k"),
    Field.PROMPT_CACHE_RETENTION: asked(prompt_cache_retention="24h"),
    Field.CACHE_MARKS: asked(user(Text(text="a", cache=CacheMark()))),
    Field.VERBOSITY: asked(verbosity="low"),
    Field.REASONING: asked(reasoning=Reasoning(effort="low")),
    Field.REASONING_SUMMARY: asked(reasoning=Reasoning(summary="detailed")),
    Field.THINKING_PARTS: asked(HI, assistant(Thinking(text="a", signature=SIGNED), Text(text="b")), HI),
    Field.OUTPUT_FORMAT: asked(output=OutputFormat(kind=FormatKind.JSON_SCHEMA, schema={})),
    Field.STRICT_TOOLS: asked(tools=(Tool(name="f", strict=True),)),
    Field.PARALLEL_TOOL_CALLS: asked(tools=(TOOL,), parallel_tool_calls=False),
    Field.TOOL_CHOICE: asked(tools=(TOOL,), tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED)),
    Field.CUSTOM_TOOL_GRAMMAR: asked(tools=(Tool(name="f", kind=ToolKind.CUSTOM, grammar={"a": 1}),)),
    Field.SERVER_TOOLS: asked(tools=(ServerTool(dialect="x", kind="web_search", name="w", value={}),)),
    Field.MESSAGE_NAMES: asked(Message(role=Role.USER, parts=(Text(text="a"),), name="n")),
    Field.IMAGE_DETAIL: asked(user(msgspec.structs.replace(PNG, detail="low"))),
    Field.MEDIA: asked(user(Text(text="a"), PNG)),
    Field.MEDIA_NAMES: asked(user(Text(text="a"), msgspec.structs.replace(PNG, name="a.png"))),
    Field.CITATIONS: asked(HI, assistant(Text(text="a", citations=(Citation(url="u"),))), HI),
    Field.OPAQUE_PARTS: asked(HI, assistant(Text(text="a"), Opaque(dialect="x", kind="y", value={})), HI),
    Field.TOOL_ERRORS: asked(
        HI, assistant(CALL), user(ToolResult(call_id="t1", parts=(Text(text="e"),), is_error=True))
    ),
    Field.MODALITIES: asked(modalities=("audio",)),
    Field.STORE: asked(store=True),
}
SENT = {
    Field.TEMPERATURE, Field.TOP_P, Field.TOP_K, Field.STOP, Field.MAX_OUTPUT_TOKENS, Field.METADATA,
    Field.SERVICE_TIER, Field.CACHE_MARKS, Field.REASONING, Field.THINKING_PARTS, Field.OUTPUT_FORMAT,
    Field.STRICT_TOOLS, Field.TOOL_CHOICE, Field.MEDIA, Field.TOOL_ERRORS,
}  # fmt: skip
VITAL = {Field.N, Field.SERVER_TOOLS, Field.OPAQUE_PARTS, Field.MODALITIES}
NOT_OF_CHATS = {Field.DIMENSIONS, Field.EMBEDDING_TASK, Field.TRUNCATION}


@pytest.mark.parametrize("field", [field for field in Field if field not in NOT_OF_CHATS])
def test_every_field_is_sent_or_declared(field: Field) -> None:
    body, losses = written(SET[field])
    if field in SENT:
        assert losses == {}
        assert body != written(asked())[0]
    else:
        assert losses == {field: field in VITAL}


@pytest.mark.parametrize("field", sorted(SENT))
def test_every_field_an_upstream_refuses_is_left_out_and_declared(field: Field) -> None:
    traits = msgspec.structs.replace(CLAUDE, unsupported=frozenset({field}))
    body, losses = written(SET[field], traits)
    assert field in losses
    assert body != written(SET[field])[0]


# -- properties

TEXTS = st.text(min_size=1, max_size=8).filter(lambda text: bool(text.strip()))
MARKS = st.none() | st.builds(CacheMark, ttl=st.sampled_from([None, "5m", "1h"]))
IDS = st.from_regex(r"[a-zA-Z0-9_.:-]{1,12}", fullmatch=True)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
SAID = st.builds(Text, text=TEXTS, cache=MARKS)
FILES = st.sampled_from([PNG, Media(kind=MediaKind.AUDIO, media_type="audio/wav", data="aGk=")])
THOUGHTS = st.builds(Thinking, text=TEXTS, signature=st.just(SIGNED)) | st.just(
    Thinking(signature=Signature(issuer="anthropic", value="EroB"), is_redacted=True)
)
ARGUMENTS = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=4), max_size=2).map(
    lambda value: msgspec.json.encode(value).decode()
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    messages = [user(*draw(st.lists(SAID | FILES, min_size=1, max_size=3)))]
    for turn in range(draw(st.integers(0, 3))):
        ids = [f"{turn}-{said}" for said in draw(st.lists(IDS, max_size=2, unique=True))]
        calls = [ToolCall(id=i, name=draw(NAMES), arguments=draw(ARGUMENTS), cache=draw(MARKS)) for i in ids]
        before = draw(st.lists(THOUGHTS, max_size=1)) + draw(st.lists(SAID, min_size=1, max_size=2))
        results = [
            ToolResult(call_id=i, parts=tuple(draw(st.lists(st.builds(Text, text=TEXTS), min_size=1, max_size=2))),
                       is_error=draw(st.booleans()), cache=draw(MARKS))
            for i in ids
        ]  # fmt: skip
        messages += [
            assistant(*before, *calls),
            user(*results, *draw(st.lists(SAID, min_size=1, max_size=2))),
        ]
    return tuple(messages)


REQUESTS = st.builds(
    ModelRequest,
    model=st.just("m"),
    messages=conversations(),
    instructions=st.lists(SAID, max_size=2).map(tuple),
    tools=st.lists(
        st.builds(
            Tool,
            name=NAMES,
            description=st.none() | TEXTS,
            schema=st.just({"type": "object", "properties": {"b": {}, "a": {}}}),
            strict=st.sampled_from([None, True]),
            cache=MARKS,
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    tool_choice=st.none() | st.just(ToolChoice(mode=ChoiceMode.AUTO)),
    sampling=st.builds(
        Sampling, temperature=st.none() | st.just(0.25), stop=st.lists(TEXTS, max_size=2).map(tuple)
    ),
    max_output_tokens=st.none() | st.integers(1, 9999),
    metadata=st.none() | st.just({"a": "b"}),
    service_tier=st.sampled_from([None, "flex", "default"]),
)


@given(REQUESTS)
def test_what_is_written_is_read_again(request_: ModelRequest) -> None:
    out = DIALECT.chat.write_request(request_, CLAUDE)
    assert out.losses == ()
    call = DIALECT.read(Ask(operation=Operation.CHAT, body=out.body, path_model="m"))
    assert DIALECT.chat.read_request(call) == (request_, ())
    assert DIALECT.chat.write_request(request_, CLAUDE).body == out.body


PARTS = st.one_of(
    SAID,
    FILES,
    THOUGHTS,
    st.builds(Text, text=st.sampled_from(["", " ", "\n"]), cache=MARKS),
    st.just(PDF),
    st.just(Thinking(text="unsigned")),
    st.builds(
        ToolCall,
        id=st.sampled_from(["a", "b", "/"]),
        name=NAMES,
        arguments=st.sampled_from(["", "{}", "[", "3"]),
    ),
    st.builds(
        ToolResult,
        call_id=st.sampled_from(["a", "b", "/", "c"]),
        parts=st.lists(SAID | FILES, max_size=2).map(tuple),
        is_error=st.booleans(),
    ),
)


@given(
    st.lists(
        st.builds(Message, role=st.sampled_from(Role), parts=st.lists(PARTS, max_size=4).map(tuple)),
        max_size=5,
    ),
    st.sampled_from([CLAUDE, NOVA, LLAMA, Traits(takes_result_media=False)]),
)
def test_whatever_is_said_bedrocks_rules_are_kept(messages: list[Message], traits: Traits) -> None:
    spoken = [*messages, user(Text(text="and?"))]
    check_rules(written(ModelRequest(model="m", messages=tuple(spoken)), traits)[0])


def check_rules(body: dict[str, Any]) -> None:
    open_ids: list[str] = []
    used_ids: list[str] = []
    for index, turn in enumerate(body["messages"]):
        assert turn["role"] == ("user", "assistant")[index % 2]
        content = turn["content"]
        assert "cachePoint" not in content[0]
        assert all(len(block) == 1 for block in content)
        assert all(block["text"].strip() for block in content if "text" in block)
        results = [block["toolResult"] for block in content if "toolResult" in block]
        assert [result["toolUseId"] for result in results] == open_ids
        assert all(result["content"] for result in results if result.get("status") == "error")
        if any("document" in block for block in content):
            assert any("text" in block for block in content)
        if turn["role"] == "user":
            assert not any("reasoningContent" in block or "toolUse" in block for block in content)
        calls = [block["toolUse"] for block in content if "toolUse" in block]
        assert all(isinstance(call["input"], dict) for call in calls)
        open_ids = [call["toolUseId"] for call in calls]
        used_ids += open_ids
        if calls:
            assert body["toolConfig"]["tools"]
    assert open_ids == []
    assert len(used_ids) == len(set(used_ids))
