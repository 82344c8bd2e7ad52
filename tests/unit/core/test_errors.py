"""Every kind of error has its status, its envelope and the caller's chance to know what to do."""

from __future__ import annotations

import pytest

from tollhouse.core.errors import (
    Blame,
    ErrorKind,
    GatewayError,
    UpstreamFault,
    error_document,
    invalid_request,
    status_of,
)

STATUSES = {
    "invalid_request": 400, "unsupported_parameter": 400, "context_length_exceeded": 400, "content_blocked": 400,
    "idempotency_mismatch": 422, "idempotency_answer_gone": 409, "unauthenticated": 401,
    "key_expired": 401, "forbidden": 403, "route_not_found": 404, "upstream_rate_limited": 429, "internal": 500,
    "upstream_unavailable": 502, "upstream_invalid_response": 502, "auth_unavailable": 503, "overloaded": 503,
    "timeout_connect": 504, "timeout_tls": 504, "timeout_first_header": 504, "timeout_first_token": 504,
    "timeout_idle": 504, "timeout_total": 504,
    "rate_limited": 429, "budget_exceeded": 429, "model_price_unknown": 400, "limits_unavailable": 503,
}  # fmt: skip


def test_statuses_are_those_of_the_contract() -> None:
    assert {kind.value: status_of(kind) for kind in ErrorKind} == STATUSES


def error(
    kind: ErrorKind, blame: Blame = Blame.UPSTREAM, upstream: UpstreamFault | None = None
) -> GatewayError:
    return GatewayError(kind, "what happened", blame=blame, hint="what to do", upstream=upstream)


@pytest.mark.parametrize("kind", ErrorKind)
def test_envelope_has_every_field_of_the_contract(kind: ErrorKind) -> None:
    document = error_document(error(kind), "req_1")["error"]
    assert set(document) == {"type", "code", "message", "param", "request_id", "source", "hint", "docs"}
    assert document["code"] == kind.value
    assert document["request_id"] == "req_1"
    assert document["docs"].endswith(f"#{kind.value}")


def test_upstream_4xx_keeps_status_words_and_code() -> None:
    fault = UpstreamFault(status=422, error={"type": "their_type", "param": "tools", "code": "their_code"})
    refused = error(ErrorKind.INVALID_REQUEST, upstream=fault)
    document = error_document(refused, "req_1")["error"]
    assert refused.status == 422
    assert (document["type"], document["param"], document["upstream_code"]) == (
        "their_type",
        "tools",
        "their_code",
    )
    assert document["code"] == "invalid_request"


def test_upstream_5xx_is_a_bad_gateway() -> None:
    assert error(ErrorKind.UPSTREAM_UNAVAILABLE, upstream=UpstreamFault(status=500)).status == 502


@pytest.mark.parametrize(
    ("blame", "source"),
    [
        (Blame.UPSTREAM, "upstream"),
        (Blame.CLIENT, "gateway"),
        (Blame.OPERATOR, "gateway"),
        (Blame.GATEWAY, "gateway"),
    ],
)
def test_source_says_who_failed(blame: Blame, source: str) -> None:
    assert error(ErrorKind.INTERNAL, blame).source == source


def test_only_what_may_change_is_worth_another_try() -> None:
    assert invalid_request("no").is_retried_in_vain
    assert error(ErrorKind.IDEMPOTENCY_MISMATCH).is_retried_in_vain
    assert error(ErrorKind.IDEMPOTENCY_ANSWER_GONE).is_retried_in_vain
    assert not error(ErrorKind.UPSTREAM_RATE_LIMITED).is_retried_in_vain
    assert not error(ErrorKind.UPSTREAM_UNAVAILABLE).is_retried_in_vain
