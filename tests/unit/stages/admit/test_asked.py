"""However a limit is written, what is read off it is no less than what any upstream can make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.stages.admit.asked import Asked, asked, limited
from unit.dialects.crossing import CALLERS, MODEL, PLUGINS, call_of, plain_call

PLACES = {
    "openai_chat": ("max_completion_tokens", "max_tokens"),
    "openai_completions": ("max_tokens",),
    "openai_responses": ("max_output_tokens",),
    "anthropic_messages": ("max_tokens",),
    "cohere_chat": ("max_tokens",),
    "gemini_generate": (
        "generationConfig.maxOutputTokens", "generationConfig.max_output_tokens", "generation_config.maxOutputTokens",
        "generation_config.max_output_tokens", "generationConfig.max_outputTokens", "generationConfig.maxOutput_tokens",
    ),
    "bedrock_converse": ("inferenceConfig.maxTokens",),
}  # fmt: skip
SAID = [(dialect, place) for dialect, places in PLACES.items() for place in places]
COUNTS = [
    ("openai_chat", "n"),
    ("openai_chat", "best_of"),
    ("openai_completions", "n"),
    ("openai_completions", "best_of"),
    ("gemini_generate", "generationConfig.candidateCount"),
    ("gemini_generate", "generation_config.candidate_count"),
]


def test_every_dialect_that_converses_is_specified_here() -> None:
    assert set(PLACES) == set(CALLERS)


def document(dialect: str, **at: Any) -> dict[str, Any]:
    """The shortest request there is, without a limit, with values at some places."""
    shortest: dict[str, Any] = json.loads(plain_call(dialect, stream=False).body)
    for place in PLACES[dialect]:
        shortest.pop(place.partition(".")[0], None)
    for place, value in at.items():
        outer, _, inner = place.rpartition(".")
        (shortest.setdefault(outer, {}) if outer else shortest)[inner] = value
    return shortest


def call(dialect: str, at: dict[str, Any]) -> ClientCall:
    whole = document(dialect, **at)
    if dialect == "anthropic_messages":
        whole.setdefault("max_tokens", 1)
    return call_of(dialect, json.dumps(whole).encode())


def reads(dialect: str, asked_for: ClientCall) -> int | None:
    """The limit as the dialect's own reader sees it."""
    faces = CALLERS[dialect].chat
    assert faces is not None
    return faces.read_request(asked_for)[0].max_output_tokens


def with_body(dialect: str, body: bytes) -> ClientCall:
    return call_of(dialect, body)


# -- limits


@pytest.mark.parametrize(("dialect", "place"), SAID)
@pytest.mark.parametrize("value", [7, 2_147_483_647, 1])
def test_limit_is_read_wherever_it_may_stand(dialect: str, place: str, value: int) -> None:
    asked_for = call(dialect, {place: value})
    assert asked(dialect, asked_for).output_tokens == value
    assert reads(dialect, asked_for) == value


@pytest.mark.parametrize(("dialect", "place"), [(d, p) for d, p in SAID if d != "anthropic_messages"])
def test_limit_with_a_point_is_one_as_well(dialect: str, place: str) -> None:
    """Anthropic's own reader refuses it."""
    assert asked(dialect, call(dialect, {place: 7.0})).output_tokens == 7


@pytest.mark.parametrize(("dialect", "place"), SAID)
@pytest.mark.parametrize("value", [0, -1, None])
def test_what_is_no_limit_is_none(dialect: str, place: str, value: int | None) -> None:
    """Servers take 0 and less for nothing, for all, or for an error."""
    if dialect == "anthropic_messages" and value != 0:
        with pytest.raises(GatewayError):
            call(dialect, {place: value})
        return
    assert asked(dialect, call(dialect, {place: value})).output_tokens is None


@pytest.mark.parametrize(("dialect", "place"), SAID)
@pytest.mark.parametrize("value", ["7", True, 7.5, [7], {"a": 7}, 10**13, 10**40])
def test_limit_that_is_no_number_of_tokens_is_refused_by_name(dialect: str, place: str, value: Any) -> None:
    with pytest.raises(GatewayError) as refused:
        asked(dialect, call(dialect, {place: value}))
    assert (refused.value.status, refused.value.param) == (400, place.rpartition(".")[2])


@pytest.mark.parametrize("dialect", sorted(PLACES))
def test_call_without_a_limit_has_none(dialect: str) -> None:
    if dialect == "anthropic_messages":
        return
    assert asked(dialect, call(dialect, {})).output_tokens is None


limits = st.none() | st.integers(1, 10**9)


@settings(max_examples=300)
@given(st.data(), st.sampled_from(sorted(PLACES)))
def test_limit_is_no_less_than_what_the_dialect_reads_however_many_there_are(
    data: st.DataObject, dialect: str
) -> None:
    at = data.draw(st.dictionaries(st.sampled_from(PLACES[dialect]), limits))
    if dialect == "anthropic_messages" and at.get("max_tokens", 1) is None:
        return
    asked_for = call(dialect, at)
    try:
        bound = asked(dialect, asked_for).output_tokens
    except GatewayError:
        assert len(at) > 1, "one spelling is always read"
        return
    if bound is not None:
        seen = reads(dialect, asked_for)
        assert seen is not None
        assert seen <= bound


@pytest.mark.parametrize(
    ("dialect", "name"),
    [(d, p) for d, p in SAID if "." not in p] + [("openai_chat", "n"), ("openai_completions", "best_of")],
)
def test_limit_that_stands_there_twice_is_refused_also_in_escapes(dialect: str, name: str) -> None:
    body = json.dumps(document(dialect)).encode()
    escaped = "".join([f"\\u{ord(letter):04x}" for letter in name])
    for twin in (name, escaped):
        with pytest.raises(GatewayError, match="more than once"):
            call_of(dialect, body[:-1] + f', "{name}": 1, "{twin}": 100}}'.encode())


@pytest.mark.parametrize(
    ("dialect", "outer", "name"),
    [
        ("gemini_generate", "generationConfig", "maxOutputTokens"),
        ("gemini_generate", "generation_config", "candidateCount"),
        ("bedrock_converse", "inferenceConfig", "maxTokens"),
    ],
)
def test_limit_that_stands_twice_in_its_object_is_refused_also_in_escapes(
    dialect: str, outer: str, name: str
) -> None:
    body = json.dumps(document(dialect)).encode()
    escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
    for twin in (name, escaped):
        inner = f'{{"{name}": 1, "{twin}": 2}}'
        asked_for = with_body(dialect, body[:-1] + f', "{outer}": {inner}}}'.encode())
        with pytest.raises(GatewayError, match="more than once"):
            asked(dialect, asked_for)
    with pytest.raises(GatewayError, match="more than once"):
        with_body(dialect, body[:-1] + f', "{outer}": {{}}, "{outer}": {{"{name}": 9}}}}'.encode())


def test_limit_written_in_escapes_is_read() -> None:
    body = b'{"model": "m", "messages": [], "max\\u005ftok\\u0065ns": 9}'
    assert asked("openai_chat", with_body("openai_chat", body)).output_tokens == 9


@pytest.mark.parametrize("outer", ["generationConfig", "generation_config"])
@pytest.mark.parametrize("value", [[], "x", 1, True])
def test_settings_that_are_no_object_are_refused(outer: str, value: Any) -> None:
    asked_for = call("gemini_generate", {outer: value})
    with pytest.raises(GatewayError) as refused:
        asked("gemini_generate", asked_for)
    assert refused.value.param == outer


@pytest.mark.parametrize("name", ["n_predict", "max_new_tokens", "max_length", "max_output_tokens", "max_tokens_to_sample", "maxTokens", "num_predict"])  # fmt: skip # noqa: E501
def test_what_servers_read_besides_can_only_raise_a_limit(name: str) -> None:
    assert asked("openai_chat", call("openai_chat", {"max_tokens": 5, name: 900})).output_tokens == 900
    assert asked("openai_chat", call("openai_chat", {"max_tokens": 900, name: 5})).output_tokens == 900
    assert asked("openai_chat", call("openai_chat", {name: 5})).output_tokens is None
    assert asked("openai_chat", call("openai_chat", {"max_tokens": 5, name: -1})).output_tokens is None
    assert asked("openai_chat", call("openai_chat", {"max_tokens": 5, name: None})).output_tokens == 5


@pytest.mark.parametrize("name", ["max_input_tokens", "max_tool_calls", "truncate_prompt_tokens", "top_k"])
def test_other_numbers_are_no_limits(name: str) -> None:
    assert asked("openai_chat", call("openai_chat", {"max_tokens": 5, name: 900})).output_tokens == 5


def test_limit_among_a_models_own_fields_is_refused() -> None:
    fields = {"inferenceConfig.maxTokens": 5, "additionalModelRequestFields": {"max_tokens": 9_000}}
    with pytest.raises(GatewayError) as refused:
        asked("bedrock_converse", call("bedrock_converse", fields))
    assert refused.value.param == "additionalModelRequestFields"


def test_body_of_the_responses_api_at_the_door_of_chat_is_limited_as_it_says() -> None:
    body = json.dumps({"model": "m", "input": "hi", "max_output_tokens": 12, "max_tokens": 3}).encode()
    assert asked("openai_chat", with_body("openai_chat", body)).output_tokens == 12


# -- how many answers


@pytest.mark.parametrize(("dialect", "place"), COUNTS)
@pytest.mark.parametrize(("value", "answers"), [(1, 1), (3, 3), (3.0, 3), (None, 1), (0, 1), (-2, 1)])
def test_answers_are_counted(dialect: str, place: str, value: float | None, answers: int) -> None:
    assert asked(dialect, call(dialect, {place: value})).answers == answers


@pytest.mark.parametrize(("dialect", "place"), COUNTS)
@pytest.mark.parametrize("value", ["3", True, 1.5, {}])
def test_number_of_answers_that_is_none_is_refused(dialect: str, place: str, value: Any) -> None:
    with pytest.raises(GatewayError):
        asked(dialect, call(dialect, {place: value}))


@pytest.mark.parametrize(
    ("prompt", "answers"),
    [
        ("one", 2),
        (["one"], 2),
        (["a, b"], 2),
        (["one", "two", "three"], 6),
        ([1, 2, 3], 2),
        ([[1, 2], [3]], 4),
        ([], 2),
    ],
)
def test_each_prompt_of_a_completion_is_answered(prompt: Any, answers: int) -> None:
    """Each of them `n` times."""
    assert (
        asked("openai_completions", call("openai_completions", {"prompt": prompt, "n": 2})).answers == answers
    )


def test_very_many_prompts_are_never_counted_too_low() -> None:
    prompt = ["word"] * 60_000
    assert asked("openai_completions", call("openai_completions", {"prompt": prompt})).answers >= 60_000


# -- what follows from it


def of(**fields: Any) -> Asked:
    return Asked(
        **({"operation": Operation.CHAT, "body_bytes": 400, "output_tokens": 10, "answers": 2} | fields)
    )


def test_bound_is_the_limit_times_the_answers_and_else_what_the_operator_knows() -> None:
    assert of().most_output_tokens(99) == 20
    assert of(output_tokens=None).most_output_tokens(99) == 198
    assert of(output_tokens=None).most_output_tokens(None) is None


def test_estimate_for_limits_is_a_quarter_of_the_bytes_and_what_is_usual() -> None:
    assert of().likely_input_tokens == 101
    assert of(output_tokens=None).likely_output_tokens(None) == 2_048
    assert of(output_tokens=None).likely_output_tokens(7) == 14


@pytest.mark.parametrize("operation", [Operation.EMBEDDINGS, Operation.RERANK])
def test_what_writes_nothing_has_no_output(operation: Operation) -> None:
    assert of(operation=operation, output_tokens=None).most_output_tokens(None) == 0
    assert of(operation=operation).likely_output_tokens(None) == 0
    assert not of(operation=operation).is_free


@pytest.mark.parametrize(
    "operation",
    [Operation.COUNT_TOKENS, Operation.RETRIEVE_RESPONSE, Operation.LIST_MODELS, Operation.SHOW_KEY],
)
def test_what_providers_do_not_charge_for_is_free(operation: Operation) -> None:
    assert of(operation=operation).is_free


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_embeddings", {"model": "m", "input": ["x"], "max_tokens": 4}),
        ("cohere_rerank", {"model": "m", "query": "q", "documents": ["d"], "max_tokens_per_doc": 4}),
        ("cohere_embed", {"model": "m", "texts": ["x"], "max_tokens": 4}),
    ],
)
def test_limits_of_what_writes_nothing_are_not_looked_at(dialect: str, body: dict[str, Any]) -> None:
    spoken = PLUGINS.dialects[dialect]
    (operation,) = spoken.operations
    asked_for = spoken.read(Ask(operation=operation, body=json.dumps(body).encode(), path_model=MODEL))
    assert asked(dialect, asked_for).most_output_tokens(None) == 0


# -- another limit


@pytest.mark.parametrize(
    ("dialect", "place", "value"),
    [(d, p, v) for d, p in SAID for v in (900, None, 0, -1) if d != "anthropic_messages" or v in (900, 0)],
)
def test_lower_limit_changes_nothing_else_and_is_read_back(
    dialect: str, place: str, value: int | None
) -> None:
    before = call(dialect, {place: value, "temperature": 0.5})
    after = with_body(dialect, limited(dialect, before, 5))
    assert asked(dialect, after).output_tokens == 5
    assert reads(dialect, after) == 5
    outer, _, inner = place.rpartition(".")
    expected = json.loads(before.body)
    (expected[outer] if outer else expected)[inner] = 5
    assert json.loads(after.body) == expected


@settings(max_examples=300)
@given(st.data(), st.sampled_from(sorted(PLACES)), st.integers(1, 1000))
def test_limit_is_what_it_was_set_to_whatever_stood_there(
    data: st.DataObject, dialect: str, limit: int
) -> None:
    values = limits | st.integers(-5, 5)
    at = data.draw(st.dictionaries(st.sampled_from(PLACES[dialect]), values))
    if dialect == "anthropic_messages" and not (at.get("max_tokens", 1) or -1) >= 0:
        return
    if dialect == "openai_chat":
        at |= data.draw(st.dictionaries(st.sampled_from(["n_predict", "max_new_tokens"]), values))
    before = call(dialect, at)
    try:
        asked(dialect, before)
    except GatewayError:
        return  # said in two spellings, and not asked for any further
    after = with_body(dialect, limited(dialect, before, limit))
    assert asked(dialect, after).output_tokens == limit
    assert reads(dialect, after) == limit


def test_body_without_a_limit_gets_one_and_keeps_its_other_bytes() -> None:
    before = with_body("openai_chat", b'{ "model" : "m",\n "messages":[ ] }')
    assert (
        limited("openai_chat", before, 5) == b'{"max_completion_tokens":5, "model" : "m",\n "messages":[ ] }'
    )


@pytest.mark.parametrize("config", ["null", "{}", "{ }", '{"temperature": 1}'])
@pytest.mark.parametrize("outer", ["generationConfig", "generation_config"])
def test_settings_get_a_limit_whatever_they_are(outer: str, config: str) -> None:
    body = json.dumps(document("gemini_generate")).encode()[:-1] + f', "{outer}": {config}}}'.encode()
    before = with_body("gemini_generate", body)
    after = with_body("gemini_generate", limited("gemini_generate", before, 5))
    assert reads("gemini_generate", after) == 5


@pytest.mark.parametrize(
    "at",
    [
        {"generationConfig.maxOutputTokens": None, "generationConfig.max_output_tokens": 8},
        {"generationConfig.maxOutputTokens": 8, "generationConfig.max_outputTokens": 90_000},
        {"generationConfig": None, "generation_config.max_output_tokens": 8},
        {"generationConfig.maxOutputTokens": 8, "generation_config.maxOutputTokens": 8},
    ],
)
def test_two_spellings_of_the_same_are_refused(at: dict[str, Any]) -> None:
    """Google takes one, and what the house reads for others may be the other: perhaps the null."""
    with pytest.raises(GatewayError, match="are the same"):
        asked("gemini_generate", call("gemini_generate", at))


def test_newer_name_beside_an_older_null_is_the_one_that_is_written() -> None:
    """OpenAI refuses a call that says both."""
    before = call("openai_chat", {"max_tokens": None, "max_completion_tokens": 90})
    after = json.loads(limited("openai_chat", before, 5))
    assert (after["max_tokens"], after["max_completion_tokens"]) == (None, 5)


def test_dialect_of_strangers_cannot_be_limited_and_says_so() -> None:
    stranger = replace(plain_call("openai_chat"), body=b"{}", spans={"": (0, 2)})
    assert asked("strange", stranger).output_tokens is None
    with pytest.raises(GatewayError, match="strange"):
        limited("strange", stranger, 5)
