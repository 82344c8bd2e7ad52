"""What an upstream's refusal means: whose fault it is, under which code it goes, what to do. Total functions."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, UpstreamFault

from .words import Words, summary, words_of, words_of_body

_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_LONGEST_RETRY_AFTER: Final = 100

_OVERFLOW_CODES: Final = frozenset(
    [
        "context_length_exceeded",
        "exceed_context_size_error",
        "context_window_exceeded",
        "string_above_max_length",
    ]
)
_OVERFLOW_WORDS: Final = re.compile(
    r"maximum (context|model|prompt|input|sequence) length|context (length|window|size)|max_model_len"
    r"|(prompt|input|request) is too long|too many (input )?tokens|input token count|maximum number of tokens"
    r"|length of (the|your) (messages|prompt|input)|too large for model|`inputs` tokens \+",
    re.IGNORECASE,
)
"""As OpenAI, vLLM, Anthropic, Mistral, Groq, Gemini, xAI, Together, Cohere, Bedrock and llama.cpp say it."""

_STATUS_BY_NAME: Final = {
    "rate_limit_exceeded": 429, "rate_limit_error": 429, "insufficient_quota": 429,
    "server_error": 500, "api_error": 500, "internal_error": 500, "internal_server_error": 500,
    "service_unavailable": 503, "overloaded": 503, "overloaded_error": 503, "engine_overloaded": 503,
    "invalid_request_error": 400, "context_length_exceeded": 400, "content_policy_violation": 400,
    "authentication_error": 401, "invalid_api_key": 401, "permission_error": 403,
    "not_found_error": 404, "model_not_found": 404,
}  # fmt: skip
"""The status an error would have had, had it come before the answer began."""


class _Meaning(msgspec.Struct, frozen=True):
    kind: ErrorKind
    blame: Blame
    hint: str


_YOURS: Final = "Change the request as the provider's message says; sending it again will not help."
_AGAIN: Final = "Nothing is wrong with your request; try again, and tell the operator if it goes on."

_REFUSED: Final = _Meaning(ErrorKind.INVALID_REQUEST, Blame.CLIENT, _YOURS)
_UNSUPPORTED: Final = _Meaning(
    ErrorKind.UNSUPPORTED_PARAMETER,
    Blame.CLIENT,
    "Leave the parameter out, or ask for a model that takes it.",
)
_TOO_LONG: Final = _Meaning(
    ErrorKind.CONTEXT_LENGTH_EXCEEDED,
    Blame.CLIENT,
    "Shorten the input or lower the output limit, or ask for a model with a larger context window.",
)
_NO_SUCH_MODEL: Final = _Meaning(
    ErrorKind.ROUTE_NOT_FOUND,
    Blame.OPERATOR,
    "The provider does not know the model or the path: the operator should look at the route's model and the "
    "provider's base_url.",
)
_CREDENTIAL: Final = _Meaning(
    ErrorKind.UPSTREAM_UNAVAILABLE,
    Blame.OPERATOR,
    "The provider refused the house's own credential, or what it may use; your key is fine. Tell the operator.",
)
_UNPAID: Final = _Meaning(
    ErrorKind.UPSTREAM_UNAVAILABLE,
    Blame.OPERATOR,
    "The house's account at the provider has no credit left; your key is fine. Tell the operator.",
)
_LIMITED: Final = _Meaning(
    ErrorKind.UPSTREAM_RATE_LIMITED,
    Blame.UPSTREAM,
    "The provider limits the house's account. Wait as long as retry-after says, then try again.",
)
_QUOTA: Final = _Meaning(
    ErrorKind.UPSTREAM_RATE_LIMITED,
    Blame.OPERATOR,
    "The house's quota at the provider is used up; waiting will hardly help. Tell the operator.",
)
_FAILED: Final = _Meaning(ErrorKind.UPSTREAM_UNAVAILABLE, Blame.UPSTREAM, _AGAIN)
_NOT_AN_ANSWER: Final = _Meaning(ErrorKind.UPSTREAM_INVALID_RESPONSE, Blame.UPSTREAM, _AGAIN)

_BY_STATUS: Final = {401: _CREDENTIAL, 402: _UNPAID, 403: _CREDENTIAL, 408: _FAILED, 409: _FAILED}


def upstream_error(status: int, body: bytes, retry_after: str | None) -> GatewayError:
    """See ports.dialect.Dialect.upstream_error. A date in `retry_after` is kept as text only."""
    words = words_of_body(body)
    if words is None or not words.message:
        words = Words(message=f"The upstream answered {status} with {summary(body)}.")
        return _error(status, words, None, retry_after)
    return _error(status, words, words.as_error(), retry_after)


def in_band_error(thing: object) -> GatewayError:
    """An error the upstream put where an answer was due: treated as the status it names, if it names one."""
    words = words_of(thing)
    status = words.status
    for name in (words.code, words.type):
        if status is None and name is not None:
            status = _STATUS_BY_NAME.get(name.lower())
    if not words.message:
        words = msgspec.structs.replace(
            words, message="The upstream reported an error instead of an answer and did not say which."
        )
    return _error(status if status is not None else 200, words, words.as_error(), None)


def not_an_answer(what: str) -> GatewayError:
    """What came is not of the dialect. `what` completes the sentence `The upstream …`."""
    return GatewayError(
        ErrorKind.UPSTREAM_INVALID_RESPONSE, f"The upstream {what}.", blame=Blame.UPSTREAM, hint=_AGAIN
    )


def _error(
    status: int, words: Words, theirs: dict[str, object] | None, retry_after: str | None
) -> GatewayError:
    meaning = _meaning(status, words)
    if retry_after is not None and len(retry_after) > _LONGEST_RETRY_AFTER:
        retry_after = None
    return GatewayError(
        meaning.kind,
        words.message,
        blame=meaning.blame,
        hint=meaning.hint,
        param=words.param,
        retry_after_s=_seconds(retry_after),
        upstream=UpstreamFault(status=status, error=theirs, retry_after=retry_after),
    )


def _meaning(status: int, words: Words) -> _Meaning:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status == 429:
        return _QUOTA if "insufficient_quota" in (words.code, words.type) else _LIMITED
    if 400 <= status < 500:
        return _client_fault(status, words)
    return _FAILED if 500 <= status < 600 else _NOT_AN_ANSWER


def _client_fault(status: int, words: Words) -> _Meaning:
    if (
        words.code in _OVERFLOW_CODES
        or words.type in _OVERFLOW_CODES
        or _OVERFLOW_WORDS.search(words.message)
    ):
        return _TOO_LONG
    if status == 404:
        return _NO_SUCH_MODEL
    return _UNSUPPORTED if words.code == "unsupported_parameter" else _REFUSED


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None or _SECONDS.fullmatch(retry_after.strip()) is None:
        return None
    return float(retry_after)
