"""Whatever a request says is said to the upstream too, or named as a loss; and nothing in a body is overlooked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from tollhouse.core.content import (
    CacheMark,
    Citation,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
)
from tollhouse.core.errors import GatewayError
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
from tollhouse.ports.provider import Thinking as Style
from tollhouse.ports.provider import Traits
from unit.dialects.crossing import CALLERS, PAIRS, TARGETS, assert_told_to_caller, faces_of, read, traits_of

PNG = "iVBORw0KGgoAAAANSUhEUg=="
PDF = "JVBERi0xLjQK"
MARK = CacheMark()
HI = Message(role=Role.USER, parts=(Text(text="hi"),))
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
          "additionalProperties": False}  # fmt: skip
TOOL = Tool(name="look_up", description="Looks up.", schema=SCHEMA)
ELSEWHERE = frozenset([Field.DIMENSIONS, Field.EMBEDDING_TASK, Field.TRUNCATION])
"""Of embeddings and rankings: no conversation says them."""

Probe = Callable[[ModelRequest], bool]


def parts(request: ModelRequest) -> Iterator[Part]:
    for message in request.messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.parts


def any_part(test: Callable[[Any], bool], kind: Any = object) -> Probe:
    return lambda request: any(isinstance(part, kind) and test(part) for part in parts(request))


def asked(*messages: Message, **members: Any) -> ModelRequest:
    return ModelRequest(model="m", messages=messages or (HI,), **members)


def user(*said: Part) -> Message:
    return Message(role=Role.USER, parts=said)


def model(*said: Part) -> Message:
    return Message(role=Role.ASSISTANT, parts=said)


def sampled(**members: Any) -> ModelRequest:
    return asked(sampling=Sampling(**members))


def has_sampling(name: str, value: Any) -> Probe:
    return lambda request: getattr(request.sampling, name) == value


def has(name: str, value: Any) -> Probe:
    return lambda request: getattr(request, name) == value


def has_mark(request: ModelRequest) -> bool:
    places = [request, *request.instructions, *request.tools, *parts(request)]
    return any(getattr(place, "cache", None) is not None for place in places)


def thinks(request: ModelRequest) -> bool:
    wish = request.reasoning
    return wish is not None and wish.is_enabled is not False and wish.effort != "none"


def thinks_not(request: ModelRequest) -> bool:
    wish = request.reasoning
    return wish is not None and (wish.is_enabled is False or wish.effort == "none")


def shows_thoughts(request: ModelRequest) -> bool:
    return request.reasoning is not None and request.reasoning.summary not in (None, "none")


def holds_anyway(target: str, field: Field, name: str, traits: Traits) -> bool:
    """What needs no word, because the upstream does so without."""
    if field is Field.REASONING and name in ("off", "none"):
        # Models that do not think, and those that think only when they are told to.
        return traits.thinking is Style.NONE or (
            target == "bedrock_converse" and traits.thinking is not Style.ADAPTIVE
        )
    if field is Field.REASONING_SUMMARY and traits.thinking is not Style.ADAPTIVE:
        # What Claude thinks is always told, but where it decides itself how much.
        return target == "anthropic_messages" or (target == "bedrock_converse" and name == "auto")
    if field is Field.THINKING_PARTS and name.startswith("signed by"):
        # Nobody else's signatures come to a writer: stages.translate.reasoning takes them off.
        is_own = traits.issuer == name.removeprefix("signed by ") and traits != Traits()
        return not is_own or (target == "bedrock_converse" and traits.issuer != "anthropic")
    return field is Field.SERVICE_TIER and name == "auto"


def media(**members: Any) -> ModelRequest:
    return asked(user(Text(text="Look:"), Media(**members)))


def has_media(kind: MediaKind, member: str, value: str) -> Probe:
    # What a document in plain text says is carried by any text, or base64 of it.
    def test(part: Any) -> bool:
        if isinstance(part, Text):
            return value in part.text
        coded = base64.b64encode(value.encode()).decode()
        return isinstance(part, Media) and (
            (part.kind is kind and getattr(part, member) == value)
            or value in (part.text or "")
            or coded == part.data
        )

    return any_part(test)


def call_and_result(**members: Any) -> ModelRequest:
    call = ToolCall(id="call_1", name="look_up", arguments='{"city":"Oslo"}')
    result = ToolResult(call_id="call_1", parts=(Text(text="rain"),), name="look_up")
    return asked(HI, model(call), user(msgspec.structs.replace(result, **members)), tools=(TOOL,))


def served(dialect: str, kind: str, value: dict[str, Any]) -> tuple[Field, str, ModelRequest, Probe]:
    tool = ServerTool(dialect=dialect, kind=kind, name=kind, value=value)
    return (
        Field.SERVER_TOOLS,
        f"{kind} of {dialect}",
        asked(tools=(tool,)),
        lambda request: any(isinstance(tool, ServerTool) for tool in request.tools),
    )


def thought(**members: Any) -> ModelRequest:
    call = ToolCall(id="call_1", name="look_up", arguments='{"city":"Oslo"}')
    result = ToolResult(call_id="call_1", parts=(Text(text="rain"),))
    return asked(HI, model(Thinking(**members), call), user(result), tools=(TOOL,))


GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}
CASES: list[tuple[Field, str, ModelRequest, Probe]] = [
    (Field.TEMPERATURE, "", sampled(temperature=0.5), has_sampling("temperature", 0.5)),
    (Field.TEMPERATURE, "zero", sampled(temperature=0.0), has_sampling("temperature", 0.0)),
    (Field.TOP_P, "", sampled(top_p=0.75), has_sampling("top_p", 0.75)),
    (Field.TOP_P, "beside temperature", sampled(temperature=0.5, top_p=0.75), has_sampling("top_p", 0.75)),
    (Field.TOP_K, "", sampled(top_k=7), has_sampling("top_k", 7)),
    (Field.FREQUENCY_PENALTY, "", sampled(frequency_penalty=0.25), has_sampling("frequency_penalty", 0.25)),
    (Field.FREQUENCY_PENALTY, "less than 0", sampled(frequency_penalty=-1.5),
     has_sampling("frequency_penalty", -1.5)),
    (Field.PRESENCE_PENALTY, "", sampled(presence_penalty=0.25), has_sampling("presence_penalty", 0.25)),
    (Field.PRESENCE_PENALTY, "less than 0", sampled(presence_penalty=-1.5),
     has_sampling("presence_penalty", -1.5)),
    (Field.SEED, "", sampled(seed=77), has_sampling("seed", 77)),
    (Field.SEED, "zero", sampled(seed=0), has_sampling("seed", 0)),
    (Field.SEED, "beyond 32 bits", sampled(seed=2**40), has_sampling("seed", 2**40)),
    (Field.STOP, "", sampled(stop=("HALT",)), has_sampling("stop", ("HALT",))),
    (Field.STOP, "many", sampled(stop=tuple("abcdefgh")), has_sampling("stop", tuple("abcdefgh"))),
    (Field.STOP, "white space", sampled(stop=("\n\n",)), has_sampling("stop", ("\n\n",))),
    (Field.N, "", sampled(n=2), has_sampling("n", 2)),
    (Field.LOGPROBS, "", sampled(logprobs=True), has_sampling("logprobs", True)),
    (Field.TOP_LOGPROBS, "", sampled(logprobs=True, top_logprobs=3), has_sampling("top_logprobs", 3)),
    (Field.LOGIT_BIAS, "", sampled(logit_bias={"50256": -100.0}), has_sampling("logit_bias", {"50256": -100.0})),
    (Field.MAX_OUTPUT_TOKENS, "", asked(max_output_tokens=777), has("max_output_tokens", 777)),
    (Field.END_USER, "", asked(end_user="someone"), has("end_user", "someone")),
    (Field.METADATA, "", asked(metadata={"team": "blue"}), has("metadata", {"team": "blue"})),
    (Field.METADATA, "stored", asked(metadata={"team": "blue"}, store=True), has("metadata", {"team": "blue"})),
    *[
        (Field.SERVICE_TIER, tier, asked(service_tier=tier), has("service_tier", tier))
        for tier in ("auto", "default", "flex", "priority")
    ],
    (Field.PROMPT_CACHE_KEY, "", asked(prompt_cache_key="k-1"), has("prompt_cache_key", "k-1")),
    (Field.PROMPT_CACHE_RETENTION, "", asked(prompt_cache_retention="24h"), has("prompt_cache_retention", "24h")),
    (Field.CACHE_MARKS, "text", asked(user(Text(text="hi", cache=MARK))), has_mark),
    (Field.CACHE_MARKS, "picture", media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG, cache=MARK),
     has_mark),
    (Field.CACHE_MARKS, "instructions", asked(instructions=(Text(text="Be kind.", cache=MARK),)), has_mark),
    (Field.CACHE_MARKS, "tool", asked(tools=(msgspec.structs.replace(TOOL, cache=MARK),)), has_mark),
    (Field.CACHE_MARKS, "result", call_and_result(cache=MARK), has_mark),
    (Field.CACHE_MARKS, "text in result", call_and_result(parts=(Text(text="rain", cache=MARK),)), has_mark),
    (Field.CACHE_MARKS, "call", asked(
        HI, model(ToolCall(id="call_1", name="look_up", arguments="{}", cache=MARK)),
        user(ToolResult(call_id="call_1", parts=(Text(text="rain"),))), tools=(TOOL,)), has_mark),
    (Field.CACHE_MARKS, "request", asked(cache=MARK), has_mark),
    (Field.CACHE_MARKS, "answer", asked(HI, model(Text(text="ho", cache=MARK)), HI), has_mark),
    (Field.CACHE_MARKS, "ttl", asked(user(Text(text="hi", cache=CacheMark(ttl="1h")))),
     any_part(lambda part: part.cache is not None and part.cache.ttl == "1h", Text)),
    (Field.VERBOSITY, "", asked(verbosity="low"), has("verbosity", "low")),
    (Field.REASONING, "effort", asked(reasoning=Reasoning(effort="high")), thinks),
    (Field.REASONING, "most", asked(reasoning=Reasoning(effort="max")), thinks),
    (Field.REASONING, "budget", asked(reasoning=Reasoning(is_enabled=True, budget_tokens=2048)), thinks),
    (Field.REASONING, "on", asked(reasoning=Reasoning(is_enabled=True)), thinks),
    (Field.REASONING, "off", asked(reasoning=Reasoning(is_enabled=False)), thinks_not),
    (Field.REASONING, "none", asked(reasoning=Reasoning(effort="none")), thinks_not),
    (Field.REASONING_SUMMARY, "auto", asked(reasoning=Reasoning(effort="high", summary="auto")), shows_thoughts),
    (Field.REASONING_SUMMARY, "detailed", asked(reasoning=Reasoning(effort="high", summary="detailed")),
     shows_thoughts),
    (Field.REASONING_SUMMARY, "alone", asked(reasoning=Reasoning(summary="detailed")), shows_thoughts),
    (Field.THINKING_PARTS, "text", thought(text="I wonder."),
     any_part(lambda part: "I wonder." in part.text, Thinking | Text)),
    *[
        (Field.THINKING_PARTS, f"signed by {issuer}",
         thought(text="I wonder.", signature=Signature(issuer=issuer, value="c2lnbmVk")),
         any_part(lambda part: part.signature is not None, Thinking | ToolCall))
        for issuer in ("anthropic", "gemini", "openai")
    ],
    (Field.OUTPUT_FORMAT, "schema",
     asked(output=OutputFormat(kind=FormatKind.JSON_SCHEMA, name="place", schema=SCHEMA, strict=True)),
     lambda request: request.output is not None and request.output.schema == SCHEMA),
    (Field.OUTPUT_FORMAT, "object", asked(output=OutputFormat(kind=FormatKind.JSON_OBJECT)),
     lambda request: request.output is not None),
    (Field.STRICT_TOOLS, "", asked(tools=(msgspec.structs.replace(TOOL, strict=True),)),
     lambda request: any(isinstance(tool, Tool) and bool(tool.strict) for tool in request.tools)),
    (Field.PARALLEL_TOOL_CALLS, "no", asked(tools=(TOOL,), parallel_tool_calls=False),
     has("parallel_tool_calls", False)),
    (Field.PARALLEL_TOOL_CALLS, "yes", asked(tools=(TOOL,), parallel_tool_calls=True),
     lambda request: request.parallel_tool_calls is not False),
    (Field.TOOL_CHOICE, "required", asked(tools=(TOOL,), tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED)),
     lambda request: request.tool_choice is not None and request.tool_choice.mode is ChoiceMode.REQUIRED),
    (Field.TOOL_CHOICE, "none", asked(tools=(TOOL,), tool_choice=ToolChoice(mode=ChoiceMode.NONE)),
     lambda request: not request.tools
     or (request.tool_choice is not None and request.tool_choice.mode is ChoiceMode.NONE)),
    (Field.TOOL_CHOICE, "one", asked(
        tools=(TOOL, Tool(name="other", schema=SCHEMA)),
        tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED, names=("look_up",))),
     lambda request: request.tool_choice is not None and request.tool_choice.mode is ChoiceMode.REQUIRED
     and (request.tool_choice.names == ("look_up",) or [tool.name for tool in request.tools] == ["look_up"])),
    (Field.TOOL_CHOICE, "two of three", asked(
        tools=(TOOL, Tool(name="other", schema=SCHEMA), Tool(name="third", schema=SCHEMA)),
        tool_choice=ToolChoice(mode=ChoiceMode.AUTO, names=("look_up", "other"))),
     lambda request: (request.tool_choice is not None and set(request.tool_choice.names) == {"look_up", "other"})
     or [tool.name for tool in request.tools] == ["look_up", "other"]),
    (Field.CUSTOM_TOOL_GRAMMAR, "",
     asked(tools=(Tool(name="paint", kind=ToolKind.CUSTOM, grammar=GRAMMAR),)),
     lambda request: any(isinstance(tool, Tool) and tool.grammar is not None for tool in request.tools)),
    served("openai_responses", "web_search", {"type": "web_search"}),
    served("openai_responses", "file_search", {"type": "file_search", "vector_store_ids": ["vs_1"]}),
    served("openai_responses", "mcp", {"type": "mcp", "server_label": "s", "server_url": "https://x.test"}),
    served("anthropic_messages", "web_search", {"type": "web_search_20250305", "name": "web_search"}),
    served("anthropic_messages", "bash", {"type": "bash_20250124", "name": "bash"}),
    served("gemini_generate", "web_search", {"googleSearch": {}}),
    served("gemini_generate", "google_maps", {"googleMaps": {}}),
    served("bedrock_converse", "code_execution", {"systemTool": {"name": "nova_code_interpreter"}}),
    (Field.MESSAGE_NAMES, "", asked(msgspec.structs.replace(HI, name="ada")),
     lambda request: any(message.name == "ada" for message in request.messages)),
    (Field.IMAGE_DETAIL, "", media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG, detail="low"),
     any_part(lambda part: part.detail == "low", Media)),
    *[
        (Field.MEDIA, f"{kind.value} {member}", media(kind=kind, media_type=media_type, **{member: value}),
         has_media(kind, member, value))
        for kind, media_type, member, value in (
            (MediaKind.IMAGE, "image/png", "data", PNG),
            (MediaKind.IMAGE, "image/png", "url", "https://x.test/a.png"),
            (MediaKind.IMAGE, "image/png", "file_id", "file_abc"),
            (MediaKind.DOCUMENT, "application/pdf", "data", PDF),
            (MediaKind.DOCUMENT, "application/pdf", "url", "https://x.test/a.pdf"),
            (MediaKind.DOCUMENT, "application/pdf", "file_id", "file_abc"),
            (MediaKind.DOCUMENT, "text/plain", "text", "It rains in Bergen."),
            (MediaKind.AUDIO, "audio/wav", "data", "UklGRiQAAAA="),
            (MediaKind.AUDIO, "audio/wav", "url", "https://x.test/a.wav"),
            (MediaKind.VIDEO, "video/mp4", "data", "AAAAIGZ0eXA="),
            (MediaKind.VIDEO, "video/mp4", "url", "https://x.test/a.mp4"),
        )
    ],
    (Field.MEDIA_NAMES, "picture", media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG, name="offer-7"),
     any_part(lambda part: "offer-7" in (part.name or ""), Media)),
    (Field.MEDIA_NAMES, "document by id",
     media(kind=MediaKind.DOCUMENT, media_type="application/pdf", file_id="file_abc", name="offer-7"),
     any_part(lambda part: "offer-7" in (part.name or ""), Media)),
    (Field.MEDIA_NAMES, "document",
     media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data=PDF, name="offer-7"),
     any_part(lambda part: "offer-7" in (part.name or ""), Media)),
    (Field.MEDIA, "in a result",
     call_and_result(parts=(Media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG),)),
     has_media(MediaKind.IMAGE, "data", PNG)),
    (Field.MEDIA, "context of a document",
     media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data=PDF, context="From the archive."),
     any_part(lambda part: "From the archive." in (getattr(part, "context", "") or "", getattr(part, "text", "")))),
    (Field.MEDIA, "spoken before", asked(HI, model(
        Media(kind=MediaKind.AUDIO, media_type="audio/wav", data="UklGRiQAAAA=", transcript="It rains.")), HI),
     any_part(lambda part: isinstance(part, Media) or "It rains." in part.text, Media | Text)),
    (Field.CITATIONS, "asked for",
     media(kind=MediaKind.DOCUMENT, media_type="text/plain", text="It rains.", is_cited=True),
     any_part(lambda part: part.is_cited, Media)),
    *[
        (Field.CITATIONS, f"in {place}", request, any_part(lambda part: bool(part.citations), Text)
         if place != "instructions" else lambda request: any(text.citations for text in request.instructions))
        for cited in [Text(text="It rains.", citations=(Citation(url="https://x.test", title="x"),))]
        for place, request in (
            ("instructions", asked(instructions=(cited,))),
            ("question", asked(user(cited))),
            ("result", call_and_result(parts=(cited,))))
    ],
    (Field.CITATIONS, "given before", asked(
        HI, model(Text(text="It rains.", citations=(Citation(url="https://x.test", title="x", start=0, end=9),))), HI),
     any_part(lambda part: bool(part.citations), Text)),
    *[
        (Field.OPAQUE_PARTS, f"of {dialect}", asked(HI, model(
            Text(text="ho"), Opaque(dialect=dialect, kind=kind, value={"type": kind, "id": "srv_1"})), HI),
         any_part(lambda part: True, Opaque))
        for dialect, kind in (
            ("anthropic_messages", "container_upload"), ("openai_responses", "web_search_call"),
            ("gemini_generate", "executableCode"), ("elsewhere", "dream"))
    ],
    (Field.TOOL_ERRORS, "", call_and_result(is_error=True), any_part(lambda part: part.is_error, ToolResult)),
    (Field.MODALITIES, "", asked(modalities=("text", "audio")), lambda request: "audio" in request.modalities),
    (Field.STORE, "", asked(store=True), has("store", True)),
]  # fmt: skip


def test_every_field_of_a_conversation_has_a_case() -> None:
    assert {field for field, *_ in CASES} == set(Field) - ELSEWHERE


def is_lost_silently(target: str, case: tuple[Field, str, ModelRequest, Probe], traits: Traits) -> str | None:
    """What there is to say against the writer, or None."""
    field, name, request, probe = case
    assert probe(request), "the case itself has what is looked for"
    try:
        written = faces_of(target).write_request(request, traits)
    except GatewayError as error:
        return None if 400 <= error.status < 500 else f"{field.value} {name}: {error!r}"
    lost = {loss.field for loss in written.losses}
    # A file that does not go takes its name with it, and a model that is not told to think shows no thoughts.
    wider = {Field.MEDIA_NAMES: Field.MEDIA, Field.REASONING_SUMMARY: Field.REASONING}
    if field in lost or wider.get(field) in lost or holds_anyway(target, field, name, traits):
        return None
    back, _ = read(target, written.body)
    return None if probe(back) else f"{field.value} ({name}): {written.body.decode()}"


@pytest.mark.parametrize("target", TARGETS)
def test_writers_say_it_or_name_it(target: str) -> None:
    wrong = [
        f"{provider}: {silent}"
        for provider, traits in traits_of(target).items()
        for case in CASES
        if (silent := is_lost_silently(target, case, traits)) is not None
    ]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


def wide(caller: str) -> Traits:
    """Traits under which as much as possible is written."""
    issuer = {"anthropic_messages": "anthropic", "gemini_generate": "gemini", "openai_responses": "openai"}
    kinds = ("web_search", "code_execution", "web_fetch", "file_search", "mcp", "google_maps", "bash")
    return Traits(
        issuer=issuer.get(caller, "somebody"),
        takes_cache_marks=True,
        takes_custom_tools=True,
        reasoning_history="reasoning_content",
        server_tools=frozenset(kinds),
    )


@pytest.mark.parametrize(("caller", "target"), PAIRS, ids=lambda name: name)
def test_what_callers_of_one_dialect_say_reaches_the_other_or_is_named(caller: str, target: str) -> None:
    wrong: list[str] = []
    for field, name, request, probe in CASES:
        try:
            written = faces_of(caller).write_request(request, wide(caller))
        except GatewayError:
            continue
        asked_for, _ = read(caller, written.body)
        if not probe(asked_for):
            continue  # it cannot be said here: the test above watches the losses
        for provider, traits in traits_of(target).items():
            silent = is_lost_silently(target, (field, name, asked_for, probe), traits)
            if silent is not None:
                wrong.append(f"{provider}: {silent}")
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("caller", CALLERS)
def test_words_name_everything_the_dialects_callers_can_say(caller: str) -> None:
    said: set[Field] = set()
    for field, _, request, probe in CASES:
        if caller not in TARGETS:
            continue
        try:
            written = faces_of(caller).write_request(request, wide(caller))
        except GatewayError:
            continue
        if probe(read(caller, written.body)[0]):
            said.add(field)
    said.discard(Field.PARALLEL_TOOL_CALLS)  # whoever says nothing says yes: see the next test
    assert said - set(faces_of(caller).words) == set()


@pytest.mark.parametrize("caller", TARGETS)
def test_words_name_parallel_calls_where_they_can_be_forbidden(caller: str) -> None:
    request = asked(tools=(TOOL,), parallel_tool_calls=False)
    written = faces_of(caller).write_request(request, wide(caller))
    if read(caller, written.body)[0].parallel_tool_calls is False:
        assert Field.PARALLEL_TOOL_CALLS in faces_of(caller).words
    else:
        assert Field.PARALLEL_TOOL_CALLS in {loss.field for loss in written.losses}


# -- what nobody knows


def full_request() -> ModelRequest:
    """One that writes an object of every kind the dialects share."""
    call = ToolCall(id="call_1", name="look_up", arguments='{"city":"Oslo"}')
    result = ToolResult(
        call_id="call_1", parts=(Text(text="rain"), Media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG))
    )  # fmt: skip
    return asked(
        user(
            Text(text="hi", cache=MARK),
            Media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG, detail="low"),
            Media(kind=MediaKind.IMAGE, media_type="image/png", url="https://x.test/a.png"),
            Media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data=PDF, name="a", is_cited=True),
        ),
        model(Thinking(text="Hm.", signature=Signature(issuer="anthropic", value="c2ln")), Text(text="ho"), call),
        user(result),
        instructions=(Text(text="Be kind.", cache=MARK),),
        tools=(TOOL, ServerTool(dialect="elsewhere", kind="web_search", name="web_search", value={})),
        tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED, names=("look_up",)),
        output=OutputFormat(kind=FormatKind.JSON_SCHEMA, name="place", schema=SCHEMA),
        reasoning=Reasoning(effort="high", budget_tokens=2048, summary="auto"),
        sampling=Sampling(stop=("HALT",), top_k=3),
        max_output_tokens=9000,
        end_user="someone",
        metadata={"team": "blue"},
        service_tier="priority",
    )  # fmt: skip


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are objects in a document."""
    if isinstance(value, dict):
        yield path
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, member in members:
        yield from objects(member, (*path, name))


def with_stranger(document: Any, path: tuple[Any, ...]) -> Any:
    copied = json.loads(json.dumps(document))
    place = copied
    for step in path:
        place = place[step]
    place["zz_unknown"] = "zz_value"
    return copied


PLAIN_TEXT = {"model": "m", "prompt": "Once", "max_tokens": 9, "stop": ["x"], "logit_bias": {"50256": 1}}


@pytest.mark.parametrize("caller", CALLERS)
def test_members_nobody_knows_are_reported_or_carried_wherever_they_stand(caller: str) -> None:
    document: Any = PLAIN_TEXT
    if caller in TARGETS:
        document = json.loads(faces_of(caller).write_request(full_request(), wide(caller)).body)
    wrong: list[str] = []
    places = list(objects(document))
    assert len(places) >= (1 if caller not in TARGETS else 15)
    for path in places:
        changed = with_stranger(document, path)
        try:
            request, leftovers = read(caller, json.dumps(changed).encode())
        except GatewayError as error:
            assert_told_to_caller(error, changed)
            continue
        is_reported = any("zz_unknown" in left or is_above(left, path) for left in leftovers)
        if not is_reported and b"zz_unknown" not in msgspec.json.encode(request):
            wrong.append(f"{path} -> {leftovers}")
    assert not wrong, "\n".join(wrong)


def is_above(left: str, path: tuple[Any, ...]) -> bool:
    """Whether something reported as a whole holds the place."""
    written = "".join("[]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return bool(left) and written.startswith(left)
