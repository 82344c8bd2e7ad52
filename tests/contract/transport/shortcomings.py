"""What aiohttp cannot promise. Each entry is proved on every run: one that began to hold would fail."""

from __future__ import annotations

_PHASE = "does not tell whether a byte of the answer has come before its head is whole"
_STRICT = "takes an answer that is not proper HTTP"

_REFUSED = "test_answer_is_refused_when_it_is_not_proper_http"
_ENDED = "test_call_is_started_when_the_connection_ends_within_the_answer"
_FOLLOWED = "test_connection_is_not_used_when_something_followed_the_answer"
_ENDLESS = "test_answer_is_refused_when_it_is_endless_without_a_body"

AIOHTTP: dict[str, str] = {
    "test_call_is_sent_once_when_a_used_connection_dies_under_it[get]": "sends idempotent calls again by itself",
    "test_call_is_started_when_its_head_comes_too_slowly": _PHASE,
    f"{_ENDED}[closed-within-the-head]": _PHASE,
    f"{_ENDED}[reset-within-the-head]": _PHASE,
    f"{_ENDED}[closed-after-continue]": _PHASE,
    f"{_ENDED}[reset-where-only-a-close-is-an-end]": "takes a reset for the proper end of a body",
    "test_body_until_close_is_cut_off_when_tls_was_not_closed_properly": "takes a cut for the proper end of a body",
    "test_call_is_not_sent_when_the_handshake_takes_too_long[tls]": "has no clock for the TLS handshake alone",
    f"{_REFUSED}[status-too-small]": _STRICT,
    f"{_REFUSED}[status-too-large]": _STRICT,
    f"{_REFUSED}[switching-protocols]": "takes a switch of protocols that was not asked for",
    f"{_REFUSED}[switching-protocols-bare]": "takes a switch of protocols that was not asked for",
    f"{_REFUSED}[gzip-transfer]": "takes a transfer encoding that was not asked for",
    f"{_REFUSED}[unknown-transfer]": "takes a transfer encoding that was not asked for",
    f"{_REFUSED}[bare-line-feeds]": _STRICT,
    f"{_REFUSED}[folded-header]": _STRICT,
    f"{_REFUSED}[space-before-colon]": _STRICT,
    f"{_ENDLESS}[hints]": "passes over any number of interim answers",
    f"{_ENDLESS}[extension]": "passes over chunk extensions of any length",
    f"{_FOLLOWED}[garbage-in-one-piece]": "loses an answer that is whole when garbage follows it",
    f"{_FOLLOWED}[second-answer-later]": "takes a stray answer for that of the next call",
    f"{_FOLLOWED}[half-an-answer-later]": "uses a connection on which bytes came while it was idle",
}
