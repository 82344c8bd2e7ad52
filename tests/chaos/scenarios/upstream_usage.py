"""U27: usage that cannot be true, and tool calls in pieces that do not fit."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from chaos import speech
from chaos.raw_upstream import Request, Wire, model_in, whole
from chaos.rig import Rig, Tree, route
from chaos.scenario import scenario

_TOKENS = re.compile(r'^tollhouse_tokens_total\{direction="(\w+)",route="[^"]*"\} (\S+)$', re.MULTILINE)


def _usage(prompt: Any, completion: Any, total: Any = None) -> Tree:
    counted = {"prompt_tokens": prompt, "completion_tokens": completion}
    return counted | {"total_tokens": prompt + completion if total is None else total}


@dataclass(frozen=True)
class Fixture:
    """What an upstream says at the end of a stream, and what the book then has."""

    usages: tuple[Any, ...]
    book: tuple[str, int, int] | None
    """Source, input and output tokens; None where they are not known."""
    calls: tuple[Any, ...] = ()
    """`tool_calls` of one delta after the other."""
    unfinished: str = ""
    """Arguments that break off: they are told as far as they go, as a model's limit on tokens cuts them too."""


def _call(
    arguments: str | None,
    call_id: str | None = None,
    index: int | None = 0,
    name: str | None = None,
) -> Tree:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    begun = {"type": "function", "function": function}
    return begun | {key: value for key, value in (("id", call_id), ("index", index)) if value is not None}


_GOOD = (_usage(3, 4),)
_COUNTED = ("reported", 3, 4)
_FIXTURES = {
    "missing": Fixture((), None),
    "null": Fixture((None,), None),
    "twice": Fixture((_usage(1, 1), _usage(3, 4)), _COUNTED),
    "zero": Fixture((_usage(0, 0),), ("reported", 0, 0)),
    "negative": Fixture((_usage(3, -5),), ("partial", 3, 0)),
    "absurd": Fixture((_usage(3, 10**18),), ("partial", 3, 0)),
    "words": Fixture((_usage(3, "many", "more"),), ("partial", 3, 0)),
    "sums": Fixture((_usage(3, 4, 99),), ("partial", 3, 4)),
    "half": Fixture(
        _GOOD,
        _COUNTED,
        ([_call('{"place": ', "c1", name="look")], [_call('"nowhe')]),
        unfinished='{"place": "nowhe',
    ),
    "same-index": Fixture(
        _GOOD,
        _COUNTED,
        ([_call('{"place": 1}', "c1", name="look")], [_call('{"place": 2}', "c2", name="look")]),
    ),
    "no-index": Fixture(
        _GOOD,
        _COUNTED,
        ([_call('{"pl', "c1", None, "look")], [_call('ace": 1}', None, None)]),
    ),
    "no-call": Fixture(_GOOD, _COUNTED, ("look", [None, 7, {}], [{"index": "first", "function": "look"}])),
}


@scenario("U27", sabotage="every_count_is_believed")
async def usage_and_calls_are_broken(rig: Rig) -> None:
    """At the door of the same wire API, where bytes go through, and at another, where they are told anew."""

    async def answer(wire: Wire, request: Request) -> None:
        fixture = _FIXTURES[model_in(request)]
        await wire.send(whole(b"".join(_frames(fixture)), speech.EVENT_STREAM))

    upstream = rig.raw(answer)
    await rig.open_house({"up": upstream.base_url}, {"*": route("up", attempts=1, model="*")})
    told = {"input": 0, "output": 0}
    for dialect in (speech.CHAT, speech.ANTHROPIC):
        by_table, other = 0, []
        answers = [await rig.client.ask(name, dialect, stream=True) for name in _FIXTURES]
        for (name, fixture), said in zip(_FIXTURES.items(), answers, strict=True):
            book, fault = _booked(await rig.row(said)), _fault(dialect, said.body, fixture.unfinished)
            if book == fixture.book and not fault:
                by_table += 1
            else:
                other.append(f"{name}: {book} {fault}")
            if book is not None:
                told["input"] += book[1]
                told["output"] += book[2]
        rig.seen.exactly(f"{dialect}: by the table", by_table, len(_FIXTURES))
        rig.seen.none_of("otherwise", other)
    _, _, text = rig.house.call("GET", "/metrics")
    counted = {direction: int(float(count)) for direction, count in _TOKENS.findall(text.decode())}
    rig.seen.exactly("counted", counted, told)


def _frames(fixture: Fixture) -> list[bytes]:
    document: Tree = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def say(delta: Tree, finish: str | None = None) -> bytes:
        return speech.event({**document, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    said = [say({"role": "assistant", "content": "word"})]
    said += [say({"tool_calls": calls}) for calls in fixture.calls]
    said += [say({}, "tool_calls" if fixture.calls else "stop")]
    said += [speech.event({**document, "choices": [], "usage": usage}) for usage in fixture.usages]
    return [*said, b"data: [DONE]\n\n"]


def _booked(row: Tree) -> tuple[str, int, int] | None:
    usage = row["usage"]
    return (usage["source"], usage["input_tokens"], usage["output_tokens"]) if usage else None


def _fault(dialect: str, body: bytes, unfinished: str) -> str:
    """What a client could not read: empty for a whole answer with whole calls, and for an error it understands."""
    heard = speech.listen(dialect, body)
    if heard.faults:
        return "; ".join(heard.faults)
    if heard.error is not None:
        return ""
    if not heard.is_whole:
        return "neither an end nor an error"
    return "" if dialect == speech.CHAT else _broken_input(heard.documents, unfinished)


def _broken_input(documents: list[Any], unfinished: str) -> str:
    """Of Anthropic's tool calls: each is to come with an object, under a number of its own."""
    inputs: dict[int, str] = {}
    for document in documents:
        match document:
            case {"type": "content_block_start", "index": index, "content_block": {"type": "tool_use"}}:
                if index in inputs:
                    return f"block {index} begins twice"
                inputs[index] = ""
            case {"type": "content_block_delta", "index": index, "delta": {"partial_json": piece}}:
                inputs[index] += piece
    for index, text in inputs.items():
        if text == unfinished:
            continue
        try:
            if not isinstance(json.loads(text or "{}"), dict):
                return f"block {index} is no object: {text}"
        except ValueError:
            return f"block {index} is no JSON: {text}"
    return ""
