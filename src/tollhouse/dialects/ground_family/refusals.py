"""What an upstream's refusal means: whose fault it is, under which code it goes, what to do. Total functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, UpstreamFault

from . import reasons
from .overflow import is_named_overflow, is_overflow
from .words import Words, summary, words_of, words_of_body

_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_LONGEST_RETRY_AFTER: Final = 100

_STATUS_BY_NAME: Final = {
    "rate_limit_exceeded": 429, "rate_limit_error": 429, "insufficient_quota": 429, "too_many_requests_error": 429,
    "resource_exhausted": 429, "billing_error": 402,
    "server_error": 500, "api_error": 500, "internal_error": 500, "internal_server_error": 500, "internal": 500,
    "service_unavailable": 503, "overloaded": 503, "engine_overloaded": 503, "unavailable_error": 503,
    "unavailable": 503, "overloaded_error": 529, "timeout_error": 504, "timeout": 504, "deadline_exceeded": 504,
    "invalid_request_error": 400, "context_length_exceeded": 400, "exceed_context_size_error": 400,
    "content_policy_violation": 400, "content_filter": 400, "tool_use_failed": 400, "invalid_argument": 400,
    "failed_precondition": 400, "request_too_large": 413, "conflict_error": 409,
    "authentication_error": 401, "invalid_api_key": 401, "unauthenticated": 401,
    "permission_error": 403, "permission_denied": 403,
    "not_found_error": 404, "not_found": 404, "model_not_found": 404,
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
_TOO_MUCH: Final = _Meaning(
    ErrorKind.UPSTREAM_RATE_LIMITED,
    Blame.OPERATOR,
    "This request alone is more than the house's account may send in a minute; waiting will not help. Shorten it or "
    "lower the output limit, or tell the operator.",
)
_BLOCKED: Final = _Meaning(
    ErrorKind.CONTENT_BLOCKED,
    Blame.CLIENT,
    "The provider's policy on contents refused the request or its answer; your key is fine. Change what is asked.",
)
_NOT_SERVED: Final = _Meaning(
    ErrorKind.UPSTREAM_UNAVAILABLE,
    Blame.OPERATOR,
    "The provider does not serve the house from where it stands or without a bill; your key is fine. Tell the "
    "operator.",
)
_FAILED: Final = _Meaning(ErrorKind.UPSTREAM_UNAVAILABLE, Blame.UPSTREAM, _AGAIN)
_NOT_AN_ANSWER: Final = _Meaning(ErrorKind.UPSTREAM_INVALID_RESPONSE, Blame.UPSTREAM, _AGAIN)

_BY_STATUS: Final = {
    401: _CREDENTIAL, 402: _UNPAID, 403: _CREDENTIAL, 404: _NO_SUCH_MODEL, 405: _NO_SUCH_MODEL, 407: _CREDENTIAL,
    408: _FAILED, 409: _FAILED, 410: _NO_SUCH_MODEL, 421: _FAILED, 424: _FAILED, 425: _FAILED,
    498: _FAILED, 499: _FAILED,
}  # fmt: skip
"""498 is Groq's flex tier without capacity, 499 Google's cancelled call, 424 a model that failed behind its server."""
_ABOUT_THE_REQUEST: Final = frozenset([400, 404, 413, 422])
"""Where an overflow is believed by its words alone."""


def upstream_error(status: int, body: bytes, retry_after: str | None) -> GatewayError:
    """See ports.dialect.Dialect.upstream_error. A date in `retry_after` is kept as text only; where there is no such
    header, a wait named in the body counts."""
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
    if status is None and words.message and (_is_overflow(words) or reasons.is_blocked(words)):
        status = 400
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
        retry_after_s=_seconds(retry_after) if retry_after is not None else words.wait_s,
        upstream=UpstreamFault(status=status, error=theirs, retry_after=retry_after),
    )


def _meaning(status: int, words: Words) -> _Meaning:
    """The words go before the status where they are surer: a 400 may be about the house's key, a 403 about contents."""
    if status == 429:
        return _limit(words)
    if 400 <= status < 500:
        return _worded(status, words) or _BY_STATUS.get(status) or _refusal(words)
    if 500 <= status < 600:
        if is_named_overflow(words.code, words.type):
            return _TOO_LONG
        return _BLOCKED if reasons.is_named_blocked(words) else _FAILED
    return _NOT_AN_ANSWER


def _limit(words: Words) -> _Meaning:
    if reasons.is_unpaid(words):
        return _QUOTA
    return _TOO_MUCH if reasons.is_too_much_at_once(words) else _LIMITED


def _worded(status: int, words: Words) -> _Meaning | None:
    """What the words of a 4xx tell, the surest first. A 401 is about the credential whatever it says."""
    if status == 401:
        return None
    for is_so, meaning in _BY_WORDS:
        if (meaning is not _TOO_LONG or status in _ABOUT_THE_REQUEST) and is_so(words):
            return meaning
    return None


def _refusal(words: Words) -> _Meaning:
    return _UNSUPPORTED if reasons.is_parameter_refused(words) else _REFUSED


def _is_overflow(words: Words) -> bool:
    return is_overflow(words.message, words.code, words.type, words.param)


def _seconds(retry_after: str) -> float | None:
    if _SECONDS.fullmatch(retry_after.strip()) is None:
        return None
    return float(retry_after)


_BY_WORDS: Final[tuple[tuple[Callable[[Words], bool], _Meaning], ...]] = (
    (reasons.is_blocked, _BLOCKED),
    (reasons.is_too_much_at_once, _TOO_MUCH),
    (_is_overflow, _TOO_LONG),
    (reasons.is_unpaid, _UNPAID),
    (reasons.is_unknown_model, _NO_SUCH_MODEL),
    (reasons.is_place_refused, _NOT_SERVED),
    (reasons.is_key_refused, _CREDENTIAL),
)
