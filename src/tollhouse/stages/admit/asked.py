"""How much a call asks to be given, read off the caller's bytes without parsing what is in them.

A limit counts where the caller's dialect has it; what servers read beside it, or in its place, can only raise it. 0 and
less are no limit: some servers give nothing then, some take it for none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.asks import scanned, splice
from tollhouse.ports.dialect import ClientCall, Span

from .beyond import NOTHING, Beyond

_BYTES_PER_TOKEN: Final = 4
"""Of English text, about; for limits, whose figures are corrected when the call is over. Budgets take one."""
_UNSAID_OUTPUT_TOKENS: Final = 1_024
"""Reckoned with for limits where neither the caller nor the operator says how long an answer may be."""
_GENERATES: Final = frozenset([Operation.CHAT, Operation.TEXT_COMPLETION])
_MOST: Final = 10**12
_COSTLY: Final = frozenset(
    [Operation.CHAT, Operation.TEXT_COMPLETION, Operation.EMBEDDINGS, Operation.RERANK, Operation.PASSTHROUGH]
)
"""What providers charge for."""
_LARGE_BYTES: Final = 256 * 1024
"""Prompts of more are counted by their commas."""
_LIMIT_WORD: Final = re.compile(
    r"max_?(?:(?:new|output|completion|gen|decode)_?)*(?:tokens?|len(?:gth)?)(?:_to_sample)?|n(?:um)?_?predict",
    re.IGNORECASE,
)
"""How servers that speak a dialect call the limit besides (llama.cpp `n_predict`, TGI `max_new_tokens`)."""
_MORE_FIELDS: Final = "additionalModelRequestFields"


class OutputMember(msgspec.Struct, frozen=True, kw_only=True):
    """Where callers of a dialect say how long an answer may be."""

    names: tuple[str, ...]
    """The first is the one to be written."""
    within: tuple[str, ...] = ()
    """The object it stands in, by its spellings; none for the top level."""
    counts: tuple[str, ...] = ()
    """Beside it: how many answers are wanted, each of that length."""


_MEMBERS: Final[Mapping[str, OutputMember]] = {
    "openai_chat": OutputMember(names=("max_completion_tokens", "max_tokens"), counts=("n", "best_of")),
    "openai_completions": OutputMember(names=("max_tokens",), counts=("n", "best_of")),
    "openai_responses": OutputMember(names=("max_output_tokens",)),
    "anthropic_messages": OutputMember(names=("max_tokens",)),
    "cohere_chat": OutputMember(names=("max_tokens",)),
    "gemini_generate": OutputMember(
        # Each hump by itself: that is how the house reads them for others.
        names=("maxOutputTokens", "max_output_tokens", "max_outputTokens", "maxOutput_tokens"),
        within=("generationConfig", "generation_config"),
        counts=("candidateCount", "candidate_count"),
    ),
    "bedrock_converse": OutputMember(names=("maxTokens",), within=("inferenceConfig",)),
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a call asks for, as far as it can cost something."""

    operation: Operation
    body_bytes: int
    output_tokens: int | None
    """Of one answer, as the caller limits it; None where it does not."""
    answers: int
    beyond: Beyond = NOTHING

    @property
    def is_free(self) -> bool:
        return self.operation not in _COSTLY

    @property
    def generates(self) -> bool:
        """Whether there is output to be paid for."""
        return self.operation in _GENERATES

    @property
    def likely_input_tokens(self) -> int:
        return self.body_bytes // _BYTES_PER_TOKEN + 1

    def likely_output_tokens(self, known: int | None) -> int:
        """For limits; `known` is what the operator says an answer of the model can be."""
        if not self.generates:
            return 0
        limit = self.output_tokens if self.output_tokens is not None else known
        return (limit if limit is not None else _UNSAID_OUTPUT_TOKENS) * self.answers

    def most_output_tokens(self, known: int | None) -> int | None:
        """The bound for budgets; None where there is none."""
        if not self.generates:
            return 0
        limit = self.output_tokens if self.output_tokens is not None else known
        return (limit + self.beyond.output_tokens) * self.answers if limit is not None else None

    def is_above(self, output_tokens: int) -> bool:
        """Whether an answer may be longer than that, as far as the caller says."""
        return self.generates and (self.output_tokens is None or self.output_tokens > output_tokens)


def asked(dialect: str, call: ClientCall) -> Asked:
    """What a call asks for. Raises: GatewayError `invalid_request` where a limit is no number of tokens."""
    member = _MEMBERS.get(dialect) if call.operation in _GENERATES else None
    limits: list[int] = []
    counts: list[int] = []
    if member is not None:
        for name, value in _said(member, call):
            if value is not None:
                (limits if name in member.names else counts).append(_whole(name, value))
        if limits:
            limits += _others(member, call)
    return Asked(
        operation=call.operation,
        body_bytes=len(call.body),
        output_tokens=max(limits) if limits and min(limits) > 0 else None,
        answers=max([1, *counts]) * (_prompts(call) if dialect == "openai_completions" else 1),
    )


def limited(dialect: str, call: ClientCall, output_tokens: int) -> bytes:
    """The call's body with another limit on the length of its answer, and nothing else changed.

    Raises: GatewayError `invalid_request` where there is no place for it.
    """
    member = _MEMBERS.get(dialect)
    if member is None:
        raise invalid_request(
            f"Answers are to have {output_tokens:,} tokens at most, and nobody here can say so in {dialect}.",
            hint="Use another wire API.",
        )
    text = b"%d" % output_tokens
    if not member.within:
        others = tuple([name for name in call.spans if _is_another(name, member)])
        return _with_members(call.body, call.spans, member.names, text, others)
    edits = []
    for name in _there(call, member.within):
        inner = call.body[slice(*call.spans[name])]
        scan = scanned(inner, once=())
        edits.append(
            (call.spans[name], _with_members(inner, {**scan.members, "": scan.whole}, member.names, text))
        )
    if edits:
        return splice(call.body, edits)
    whole = b'{"%s":%s}' % (member.names[0].encode(), text)
    return _with_members(call.body, call.spans, member.within, whole)


def _with_members(
    body: bytes, spans: Mapping[str, Span], names: Sequence[str], text: bytes, others: Sequence[str] = ()
) -> bytes:
    """An object with this value in those of the members that say something, or else in the first; and in the `others`
    that are there."""
    nulls = [name for name in names if name in spans and body[slice(*spans[name])] == b"null"]
    there = [name for name in names if name in spans and name not in nulls] or nulls[:1]
    edits = [(spans[name], text) for name in (*there, *others)]
    if not there:
        start = spans[""][0] + 1
        is_empty = not body[start : spans[""][1] - 1].strip()
        edits.append(((start, start), b'"%s":%s%s' % (names[0].encode(), text, b"" if is_empty else b",")))
    return splice(body, edits)


def _said(member: OutputMember, call: ClientCall) -> Iterator[tuple[str, Any]]:
    """The members that count, decoded, wherever they may stand. Raises: GatewayError `invalid_request`."""
    wanted = (*member.names, *member.counts)
    if not member.within:
        for name in wanted:
            if name in call.spans:
                yield name, _value(name, call.body, call.spans[name])
        return
    for outer in _there(call, member.within):
        inner = call.body[slice(*call.spans[outer])]
        scan = scanned(inner, once=wanted)
        _check_spelling(member.names, scan.members)
        for name in wanted:
            if name in scan.members:
                yield name, _value(name, inner, scan.members[name])


def _there(call: ClientCall, names: Sequence[str]) -> Iterator[str]:
    """Those that stand in the body as objects. Raises: GatewayError `invalid_request` where one is anything else, or
    not the only one."""
    _check_spelling(names, call.spans)
    for name in names:
        if name not in call.spans:
            continue
        first = call.body[call.spans[name][0]]
        if first == ord("{"):
            yield name
        elif first != ord("n"):
            raise invalid_request(
                f"`{name}` must be an object.", param=name, hint=f"Send `{name}` as an object."
            )


def _check_spelling(names: Sequence[str], found: Mapping[str, Span]) -> None:
    """Two spellings of one member are one too many, also where the other is null: readers differ in which one counts.

    Raises: GatewayError `invalid_request`.
    """
    there = [name for name in names if name in found]
    if len(there) > 1:
        raise invalid_request(
            f"`{there[0]}` and `{there[1]}` are the same.", param=there[1], hint=f"Send `{there[0]}` only."
        )


def _others(member: OutputMember, call: ClientCall) -> Iterator[int]:
    """What else may be believed to be the limit; 0 where nobody can say what it would be.

    Raises: GatewayError `invalid_request` where it stands in fields that are the model's own.
    """
    for name, span in call.spans.items():
        if not member.within and _is_another(name, member):
            value = msgspec.json.decode(call.body[slice(*span)])
            if value is not None:
                yield value if isinstance(value, int) and not isinstance(value, bool) else 0
        elif name == _MORE_FIELDS and _LIMIT_WORD.search(call.body[slice(*span)].decode("utf-8", "replace")):
            raise invalid_request(
                f"`{name}` has a limit on the answer beside that of `inferenceConfig`.",
                param=name,
                hint="Send the limit as `inferenceConfig.maxTokens` only.",
            )


def _is_another(name: str, member: OutputMember) -> bool:
    return name not in member.names and _LIMIT_WORD.fullmatch(name) is not None


def _prompts(call: ClientCall) -> int:
    """How many prompts a completion is asked for: each is answered by itself. A list of numbers is one."""
    span = call.spans.get("prompt")
    text = call.body[slice(*span)] if span is not None else b""
    if text[:1] != b"[" or text[1:].lstrip()[:1] not in (b'"', b"["):
        return 1
    if len(text) > _LARGE_BYTES:
        return text.count(b",") + 1
    return len(msgspec.json.decode(text, type=list[msgspec.Raw]))


def _value(name: str, body: bytes, span: Span) -> Any:
    try:
        return msgspec.json.decode(body[slice(*span)])
    except msgspec.DecodeError:  # a number that is too large to be one
        raise _no_number(name) from None


def _whole(name: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MOST:
        raise _no_number(name)
    return int(value)


def _no_number(name: str) -> GatewayError:
    return invalid_request(
        f"`{name}` must be a whole number.", param=name, hint=f"Send `{name}` as a number, without quotes."
    )
