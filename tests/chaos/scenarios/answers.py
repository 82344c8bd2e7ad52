"""U10–U11: the upstream answers, and it is no answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from chaos import speech
from chaos.client import Answer
from chaos.raw_upstream import Request, Wire, model_in, whole
from chaos.rig import Rig, route
from chaos.scenario import scenario

_FILLING = b"Z" * 4_096


@dataclass(frozen=True)
class NoAnswer:
    """A body under status 200 that says nothing anybody asked for."""

    body: bytes
    content_type: str | None


_NO_ANSWERS = {
    "garbage": NoAnswer(b'{"choices": [' + _FILLING, "application/json"),
    "garbage-events": NoAnswer(b"data: {" + _FILLING + b"\n\n", speech.EVENT_STREAM),
    "empty": NoAnswer(b"", "application/json"),
    "empty-events": NoAnswer(b"", speech.EVENT_STREAM),
    "html": NoAnswer(b"<html><body>" + _FILLING + b"</body></html>", "text/html"),
    "picture": NoAnswer(b"\x89PNG\r\n" + _FILLING, "image/png"),
    "typeless": NoAnswer(_FILLING, None),
}


@scenario("U10", sabotage="every_answer_is_good")
async def answers_are_none(rig: Rig) -> None:
    async def send(wire: Wire, request: Request) -> None:
        bad = _NO_ANSWERS[model_in(request)]
        await wire.send(whole(bad.body, bad.content_type))

    upstream = rig.raw(send)
    await rig.open_house({"up": upstream.base_url}, {"*": route("up", attempts=3, model="*")})
    cases = [(name, stream) for name in _NO_ANSWERS for stream in (False, True)]
    answers = [await rig.client.ask(name, stream=stream) for name, stream in cases]

    wrong, echoed = [], 0
    for (name, stream), answer in zip(cases, answers, strict=True):
        told = _error_code(answer)
        if told != "upstream_invalid_response":
            wrong.append(f"{name} {'stream' if stream else 'unary'}: {answer.status} {told}")
        echoed = max(echoed, answer.body.count(b"Z"))
    rig.seen.exactly("502 upstream_invalid_response", len(cases) - len(wrong), len(cases))
    rig.seen.none_of("other answers", wrong)
    rig.seen.at_most("most calls a call", max([len((await rig.row(a))["attempts"]) for a in answers]), 2)
    rig.seen.at_most("echoed B", echoed, 512)


def _error_code(answer: Answer) -> str:
    """Of the error in place of an answer, or in the stream where that had begun."""
    if answer.status != 200:
        return answer.code if answer.status == 502 else f"{answer.status} {answer.code}"
    error = speech.listen(speech.CHAT, answer.body).error
    return str(error["code"]) if error else "no error"


@scenario("U11", sabotage="every_answer_is_good")
async def errors_come_under_status_200(rig: Rig) -> None:
    """Whole, and as the first event of a stream. The other deployment answers, and the first is soon left alone."""
    first, watched, second = rig.upstream(), rig.upstream(), rig.upstream()
    breaker = {"consecutive_failures": 5, "open_s": 60, "longest_open_s": 60}
    patient = {"consecutive_failures": 1_000, "failure_percent": 100, "minimum_calls": 1_000}
    await rig.open_house(
        {
            "first": {"base_url": first.base_url, "breaker": patient},
            "watched": {"base_url": watched.base_url, "breaker": breaker},
            "second": second.base_url,
        },
        {"gpt": route("first", "second"), "watched": route("watched", "second")},
    )
    good = (await rig.client.ask("gpt")).json()["usage"]
    for fault in ("error_in_200", "error_midway"):
        for stream in (False, True):
            if fault == "error_midway" and not stream:
                continue
            first.always(fault=fault, after_chunks=0)
            answers = await asyncio.gather(*[rig.client.ask("gpt", stream=stream) for _ in range(20)])
            answered = sum(_is_whole(answer, stream=stream) for answer in answers)
            rig.seen.exactly(f"{fault} {'stream' if stream else 'unary'}: answered", answered, 20)
            rows = [await rig.row(answer) for answer in answers]
            used = {tuple(sorted(_tokens(row))) for row in rows}
            rig.seen.exactly(
                "tokens", used, {tuple(sorted((good["prompt_tokens"], good["completion_tokens"])))}
            )

    watched.always(fault="error_in_200")
    answers = [await rig.client.ask("watched") for _ in range(20)]
    rig.seen.exactly("watched: answered", sum(answer.is_ok for answer in answers), 20)
    rig.seen.exactly("left alone after", watched.count, 5)


def _is_whole(answer: Answer, *, stream: bool) -> bool:
    return answer.is_ok and (not stream or speech.listen(speech.CHAT, answer.body).is_whole)


def _tokens(row: dict[str, Any]) -> list[int]:
    """Of the call; none where no attempt reported any."""
    usage = row["usage"] or {}
    return [usage.get("input_tokens", 0), usage.get("output_tokens", 0)]
