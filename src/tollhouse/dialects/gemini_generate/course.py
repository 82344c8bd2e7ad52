"""Chunks of an answer, one or many, as a proper course of events.

Source: GenerateContentResponse, Candidate and Part in https://ai.google.dev/api/generate-content, and the page on
thought signatures (https://ai.google.dev/gemini-api/docs/thought-signatures), both read 2026-11-25. Gemini marks
neither beginnings nor ends of parts: consecutive texts of one kind are one part, a text that is signed is one of its
own (parts with a signature are not to be merged with others), and a whole answer is a stream of one chunk.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.content import (
    Citation,
    Media,
    Opaque,
    Part,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
)
from tollhouse.core.errors import GatewayError
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    ResponseStarted,
    StreamEvent,
    UsageReported,
)
from tollhouse.core.response import Finish
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.call_ids import made_id
from tollhouse.dialects.ground_family.event_streams import cut_off
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.ports.dialect import Reading

from .citations import DIALECT, citations_of
from .finishes import blocked, finish_of, finish_word
from .logprobs import logprobs_of
from .media import media_of_address, media_of_bytes
from .partial_calls import PartialCall
from .signatures import answered_signature
from .usage import usage_of

_MOST_CANDIDATES: Final = 1024
_BESIDE: Final = frozenset(
    ["thought", "thoughtSignature", "partMetadata", "videoMetadata", "mediaResolution", "mediaProcessing"]
)
"""Members of a part that say nothing by themselves."""


class Course:
    """Reads chunks, writes events. Work and memory are linear in what comes."""

    def __init__(self) -> None:
        self._out: list[StreamEvent] = []
        self._id = ""
        self._has_started = False
        self._candidates: dict[int, _Candidate] = {}
        self._block: Finish | None = None
        self._usage: Usage | None = None
        self._is_whole = False

    def add(self, chunk: dict[str, Any]) -> None:
        """Raises: GatewayError where the chunk is an error, or no chunk of an answer."""
        if chunk.get("error"):
            raise in_band_error(chunk["error"])
        self._start(chunk)
        usage = usage_of(chunk.get("usageMetadata"))
        if usage is not None:
            self._usage = usage
            self._out.append(UsageReported(usage=usage))
        feedback = chunk.get("promptFeedback")
        word = feedback.get("blockReason") if isinstance(feedback, dict) else None
        if isinstance(feedback, dict) and word:
            self._block = blocked(str(word)[:100], feedback.get("blockReasonMessage"))
        candidates = chunk.get("candidates") or []
        if not isinstance(candidates, list):
            raise not_an_answer("sent a chunk whose `candidates` are no list")
        for place, candidate in enumerate(candidates):
            if not isinstance(candidate, dict):
                raise not_an_answer("sent a chunk with a candidate that is no object")
            self._candidate(candidate, place)

    def _start(self, chunk: dict[str, Any]) -> None:
        if self._has_started:
            return
        self._has_started = True
        self._id = _text(chunk.get("responseId"))
        usage = chunk.get("usageMetadata")
        tier = usage.get("serviceTier") if isinstance(usage, dict) else None
        self._out.append(
            ResponseStarted(
                id=self._id,
                model=_text(chunk.get("modelVersion")),
                service_tier={"standard": "default"}.get(tier, tier) if isinstance(tier, str) else None,
            )
        )

    def _candidate(self, candidate: dict[str, Any], place: int) -> None:
        index = candidate.get("index")
        number = index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else place
        known = self._candidates.get(number)
        if known is None:
            if len(self._candidates) >= _MOST_CANDIDATES:
                raise not_an_answer(f"sent more than {_MOST_CANDIDATES} candidates")
            known = self._candidates[number] = _Candidate(number, self._id, self._out)
        known.add(candidate)

    def end(self, *, is_stream: bool) -> None:
        """Say what is still to be said. A stream is whole when each candidate that began has ended.

        Raises: GatewayError, when it is not.
        """
        if is_stream and (self.is_open or not (self._candidates or self._block)):
            raise cut_off(has_started=bool(self._candidates))
        self._is_whole = True
        if not self._candidates:
            self._out.append(Finished(finish=self._block or finish_of("", None, has_calls=False)))
        for number in sorted(self._candidates):
            self._candidates[number].end()

    @property
    def is_open(self) -> bool:
        """Whether a candidate has begun and not ended."""
        return any(candidate.word is None for candidate in self._candidates.values())

    def taken(self) -> list[StreamEvent]:
        """The events since the last time."""
        out = list(self._out)
        self._out.clear()
        return out

    @property
    def reading(self) -> Reading:
        usage = self._usage
        if usage is not None and not self._is_whole:
            usage = msgspec.structs.replace(usage, source=UsageSource.PARTIAL)
        words = [candidate.word for _, candidate in sorted(self._candidates.items()) if candidate.word]
        block = self._block.raw if self._block is not None and not self._candidates else None
        return Reading(usage=usage, finish_reason=words[0] if words else block)


class _Candidate:
    """One choice: which part is open, and what is known at its end only."""

    def __init__(self, number: int, response_id: str, out: list[StreamEvent]) -> None:
        self._number = number
        self._response_id = response_id
        self._out = out
        self._parts = 0
        self._open: type[Text | Thinking] | None = None
        self._texts: list[str] = []
        """All text so far: offsets of citations are counted in it."""
        self._part_start = 0
        """How many of `_texts` were there before the open part."""
        self._last: dict[str, Any] = {}
        """Metadata of the candidate; later ones replace earlier ones."""
        self._call: PartialCall | None = None
        self._call_ids: set[str] = set()
        self._logprobs: list[TokenLogprob] = []
        self.word: str | None = None

    def add(self, candidate: dict[str, Any]) -> None:
        self._logprobs += logprobs_of(candidate.get("logprobsResult"))
        for name in ("groundingMetadata", "citationMetadata", "finishMessage"):
            if candidate.get(name):
                self._last[name] = candidate[name]
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict):
                self._part(part)
        self.word = finish_word(candidate.get("finishReason")) or self.word

    def end(self) -> None:
        if self._call is not None:
            self._end_call()
        self._close()
        finish = finish_of(self.word or "", self._last.get("finishMessage"), has_calls=bool(self._call_ids))
        self._out.append(Finished(finish=finish, choice=self._number, logprobs=tuple(self._logprobs)))

    # -- parts

    def _part(self, part: dict[str, Any]) -> None:
        signature = answered_signature(part.get("thoughtSignature"))
        call = part.get("functionCall")
        blob, file = part.get("inlineData"), part.get("fileData")
        text = part.get("text")
        if isinstance(call, dict):
            self._function_call(call, signature)
        elif isinstance(blob, dict) and isinstance(blob.get("data"), str):
            media = media_of_bytes(blob["data"], _text(blob.get("mimeType")) or None, None)
            self._whole(_signed(media, signature))
        elif isinstance(file, dict) and isinstance(file.get("fileUri"), str):
            media = media_of_address(file["fileUri"], _text(file.get("mimeType")) or None, None)
            self._whole(_signed(media, signature))
        elif isinstance(text, str):
            self._text(text, signature, is_thought=part.get("thought") is True)
        else:
            self._other(part, signature)

    def _other(self, part: dict[str, Any], signature: Signature | None) -> None:
        kind = next((name for name, value in part.items() if name not in _BESIDE and value is not None), None)
        if kind is not None:
            self._whole(Opaque(dialect=DIALECT, kind=kind, value=part))
        elif signature is not None:
            self._text("", signature, is_thought=part.get("thought") is True)

    def _text(self, text: str, signature: Signature | None, *, is_thought: bool) -> None:
        kind: type[Text | Thinking] = Thinking if is_thought else Text
        if not text and signature is None:
            return
        # The signature of a thought comes at its end; that of a text is of this piece alone.
        if self._open is not kind or (signature is not None and not is_thought):
            self._close()
            own = None if is_thought else signature
            self._begin(Thinking() if is_thought else Text(text="", signature=own))
            self._open = kind
        if text:
            logprobs: tuple[TokenLogprob, ...] = ()
            if not is_thought:
                self._texts.append(text)
                logprobs = tuple(self._logprobs)
                self._logprobs.clear()
            self._out.append(
                PartDelta(index=self._parts - 1, text=text, choice=self._number, logprobs=logprobs)
            )
        if signature is not None:
            self._close(signature if is_thought else None)

    def _begin(self, part: Part) -> None:
        self._part_start = len(self._texts)
        self._out.append(PartStarted(index=self._parts, part=part, choice=self._number))
        self._parts += 1

    def _close(self, signature: Signature | None = None) -> None:
        if self._open is None:
            return
        citations: tuple[Citation, ...] = ()
        if self._open is Text and self._last.keys() & {"groundingMetadata", "citationMetadata"}:
            before = sum(map(len, self._texts[: self._part_start]))
            citations = citations_of(self._last, "".join(self._texts), before)
            self._last.pop("groundingMetadata", None)
            self._last.pop("citationMetadata", None)
        self._open = None
        self._out.append(
            PartEnded(index=self._parts - 1, choice=self._number, signature=signature, citations=citations)
        )

    def _whole(self, part: Part) -> None:
        self._close()
        self._begin(part)
        self._out.append(PartEnded(index=self._parts - 1, choice=self._number))

    # -- calls

    def _function_call(self, call: dict[str, Any], signature: Signature | None) -> None:
        name = call.get("name")
        goes_on = call.get("willContinue") is True
        if isinstance(name, str) and name:
            if self._call is not None:
                self._end_call()
            known = call.get("id")
            self._call = PartialCall(known if isinstance(known, str) else None, name, signature)
        partial = self._call
        if partial is None:
            return  # the end of nothing
        if signature is not None:
            partial.signature = signature
        partial.add_whole(call.get("args"))
        partial.add(call.get("partialArgs"))
        if not goes_on:
            self._end_call()

    def _end_call(self) -> None:
        call = self._call
        assert call is not None, "asked by those who have looked"
        self._call = None
        arguments = _json(call.arguments())
        whole = ToolCall(
            id=self._call_id(call, arguments), name=call.name, arguments="", signature=call.signature
        )
        self._close()
        self._begin(whole)
        index = self._parts - 1
        self._out.append(PartDelta(index=index, text=arguments, choice=self._number))
        self._out.append(PartEnded(index=index, choice=self._number))

    def _call_id(self, call: PartialCall, arguments: str) -> str:
        """The provider's own, or one that is the same whenever this answer is read, and another in every answer."""
        found = call.id
        if not found or found in self._call_ids:
            found = made_id(self._response_id, self._number, len(self._call_ids), call.name, arguments)
        self._call_ids.add(found)
        return found


def _signed(media: Media, signature: Signature | None) -> Media:
    return msgspec.structs.replace(media, signature=signature) if signature is not None else media


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, RecursionError) as fault:
        raise _unreadable() from fault


def _unreadable() -> GatewayError:
    return not_an_answer("sent a function call whose arguments cannot be written")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
