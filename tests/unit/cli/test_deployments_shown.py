"""What people see of deployments: the worst of each, and what nobody knows as such."""

from __future__ import annotations

from typing import Any

import pytest

from tollhouse.balancing import Checked, KindView, StandingView, State
from tollhouse.cli.commands.deployments import _row
from tollhouse.core.operation import Operation


def kind(state: State, until_s: float = 0.0) -> KindView:
    return KindView(
        kind=Operation.CHAT,
        state=state,
        until_s=until_s,
        latency_s=None,
        calls=0,
        failures=0,
        recent_calls=0,
        recent_failures=0,
        ejections=0,
    )


def view(*kinds: KindView, **more: Any) -> StandingView:
    fields: dict[str, Any] = {
        "provider": "up",
        "model": "m",
        "dialect": None,
        "cooling_s": 0.0,
        "in_flight": 2,
        "repeats": 0,
        "limit": 8,
        "waiting": 0,
        "latency_s": None,
        "calls": 1234,
        "failures": 1,
        "limited": 0,
        "ejections": 0,
    }
    return StandingView(kinds=kinds, **fields | more)


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        (view(), "closed"),
        (view(kind(State.CLOSED)), "closed"),
        (view(kind(State.CLOSED), kind(State.HALF_OPEN)), "half open"),
        (view(kind(State.HALF_OPEN), kind(State.OPEN, 1.25)), "open for 1.2 s"),
        (view(kind(State.CLOSED), cooling_s=17.4), "rate limited for 17 s"),
    ],
)
def test_state_is_the_worst_there_is_to_say(shown: StandingView, state: str) -> None:
    assert _row(shown)[1] == state


def test_numbers_are_as_they_are_and_unknown_is_not_zero() -> None:
    assert _row(view(dialect="openai_responses")) == (
        "up/m (openai_responses)", "closed", "2", "8", "0", "unknown", "1,234", "1", "0", "0", "never",
    )  # fmt: skip
    assert _row(view(latency_s=0.25))[5] == "0.250 s"
    assert _row(view(checked=Checked.UNWELL, checked_before_s=3.4))[-1] == "unwell, 3 s ago"
