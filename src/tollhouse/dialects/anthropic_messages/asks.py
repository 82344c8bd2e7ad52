"""Callers' requests, judged as far as the house must know them before they are forwarded."""

from __future__ import annotations

from typing import Final

from tollhouse.core.errors import invalid_request
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.asks import call_of, flag_in, member, model_in, scanned
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.wire.json_scan import TopLevel

_READ: Final = ("model", "messages", "max_tokens", "stream")
"""Members the house acts on."""


def read(ask: Ask) -> ClientCall:
    """See ports.dialect.Dialect.read."""
    body = ask.body
    scan = scanned(body, once=_READ)
    model = ask.path_model or model_in(body, scan)
    _check_messages(body, scan)
    is_stream = False
    if ask.operation is Operation.CHAT:
        _check_limit(body, scan)
        is_stream = flag_in(body, scan, "stream") if ask.path_stream is None else ask.path_stream
    return call_of(ask, scan, model=model, is_stream=is_stream)


def _check_messages(body: bytes, scan: TopLevel) -> None:
    text = member(body, scan, "messages")
    if text[:1] == b"[":
        return
    said = "is missing" if text == b"null" else "is of the wrong type"
    raise invalid_request(
        f"`messages` {said}.", param="messages", hint="Send `messages` as a list of messages."
    )


def _check_limit(body: bytes, scan: TopLevel) -> None:
    text = member(body, scan, "max_tokens")
    if text.isdigit():
        return
    said = "is missing" if text == b"null" else "must be an integer that is not negative"
    raise invalid_request(
        f"`max_tokens` {said}.",
        param="max_tokens",
        hint="Send `max_tokens`, the most tokens the answer may have; the Messages API demands it.",
    )
