"""What is paused lets nobody through, and says why."""

from __future__ import annotations

import pytest

from tollhouse.core.errors import ErrorKind
from tollhouse.core.pauses import Pause, PauseKind, Pauses

ASKED = {
    "provider": "openai",
    "deployment": "openai/gpt",
    "route": "gpt",
    "key_id": "key_1",
    "team": "search",
}


def paused(kind: PauseKind, target: str) -> Pauses:
    return Pauses([Pause(id="p", kind=kind, target=target, reason="leaked key", by="root", at=0.0)], 3)


@pytest.mark.parametrize(
    ("kind", "target", "status"),
    [
        (PauseKind.PROVIDER, "openai", 503),
        (PauseKind.DEPLOYMENT, "openai/gpt", 503),
        (PauseKind.ROUTE, "gpt", 503),
        (PauseKind.KEY, "key_1", 403),
        (PauseKind.TEAM, "search", 403),
    ],
)
def test_call_through_something_paused_is_refused_with_the_reason(
    kind: PauseKind, target: str, status: int
) -> None:
    error = paused(kind, target).refusal(**ASKED)
    assert error is not None
    assert error.status == status
    assert error.kind is (ErrorKind.FORBIDDEN if status == 403 else ErrorKind.OVERLOADED)
    assert "leaked key" in error.message


@pytest.mark.parametrize("kind", list(PauseKind))
def test_call_through_something_else_goes_on(kind: PauseKind) -> None:
    assert paused(kind, "another").refusal(**ASKED) is None
    assert paused(kind, "another").refusal() is None


def test_nothing_paused_is_nothing() -> None:
    assert not Pauses()
    assert Pauses().refusal(**ASKED) is None
    assert paused(PauseKind.KEY, "key_1").version == 3
