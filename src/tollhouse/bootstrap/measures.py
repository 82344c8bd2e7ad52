"""What the metrics tell of a worker's rooms: queues, calls without callers, recorded answers, copies, deployments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tollhouse.config.snapshot import Snapshot

from .fixtures import Fixtures

if TYPE_CHECKING:
    from tollhouse.adapters.prometheus import Family
    from tollhouse.adapters.redis import RedisAnswers, Standing

COUNTERS: Final = frozenset(
    [
        "queue_timed_out", "queue_turned_away", "detached_refused", "budget_overruns",
        "shared_decisions_here", "shared_decisions_asked", "shared_round_trips", "shared_failures",
        "replay_shared_claims", "replay_shared_unknown", "replay_shared_put", "replay_shared_lost",
        "replay_shared_taken", "replay_shared_round_trips", "replay_shared_failures",
    ]
)  # fmt: skip
"""Those of the `room_numbers` that only grow."""
_MOST_STRANGERS: Final = 1_000
"""Models behind stars that are looked at for a scrape, those last called: looking takes some microseconds each."""


def room_numbers(fixtures: Fixtures) -> dict[str, float]:
    """Numbers without labels."""
    return {
        "queue_waiting": fixtures.turnstile.waiting,
        "queue_timed_out": fixtures.turnstile.timed_out,
        "queue_turned_away": fixtures.turnstile.turned_away,
        "detached": fixtures.detached.count,
        "detached_refused": fixtures.detached.refused,
        "replay_keys": len(fixtures.replays),
        "replay_bytes": fixtures.replays.held_bytes,
        "mirrors_in_flight": fixtures.mirrors.count,
        "budget_overruns": fixtures.accountant.overruns,
        **(_shared_numbers(fixtures.shared.standing) if fixtures.shared is not None else {}),
        **(_answer_numbers(fixtures.answers) if fixtures.answers is not None else {}),
    }


def _shared_numbers(standing: Standing) -> dict[str, float]:
    """How it stands between this worker and the counters that are shared."""
    return {
        "shared_up": standing.is_up,
        "shared_frozen": standing.is_frozen,
        "shared_owners": standing.owners,
        "shared_decisions_here": standing.decisions_here,
        "shared_decisions_asked": standing.decisions_asked,
        "shared_round_trips": standing.round_trips,
        "shared_failures": standing.failures,
    }


def _answer_numbers(answers: RedisAnswers) -> dict[str, float]:
    """What came of asking others for the answers to idempotency keys."""
    standing = answers.standing
    return {
        "replay_shared_up": answers.is_up,
        "replay_shared_claims": standing.asked,
        "replay_shared_unknown": standing.unknown,
        "replay_shared_put": standing.put,
        "replay_shared_lost": standing.lost,
        "replay_shared_taken": standing.taken,
        "replay_shared_round_trips": answers.round_trips,
        "replay_shared_failures": answers.failures,
    }


def room_families(fixtures: Fixtures, snapshot: Snapshot) -> Iterator[Family]:
    """Those with labels, under the names of the configuration in force."""
    from tollhouse.adapters.prometheus import deployment_families  # noqa: PLC0415

    views = fixtures.standings.views(fixtures.clock.monotonic(), most_strangers=_MOST_STRANGERS)
    yield from deployment_families(
        views, [deployment for route in snapshot.routes.values() for deployment in route.deployments]
    )
    yield _copies_not_made(fixtures, snapshot)
    yield _calls_shed(fixtures)
    yield _health_checks(fixtures)


def _copies_not_made(fixtures: Fixtures, snapshot: Snapshot) -> Family:
    """All there can be, from 0 on."""
    from tollhouse.adapters.prometheus import Family  # noqa: PLC0415
    from tollhouse.stages.mirrors import WHYS  # noqa: PLC0415

    routes = dict.fromkeys(
        [route.mirror.route for route in snapshot.routes.values() if route.mirror is not None]
    )
    return Family(
        name="mirrors_not_made",
        about="Copies of calls that were due and were not made, by the route that would have got them.",
        labels=("route", "why"),
        rows=[((name, why), fixtures.mirrors.not_made[name, why]) for name in routes for why in WHYS],
        is_counter=True,
    )


def _calls_shed(fixtures: Fixtures) -> Family:
    """All there can be, from 0 on."""
    from tollhouse.adapters.prometheus import Family  # noqa: PLC0415
    from tollhouse.core.routing import Priority  # noqa: PLC0415
    from tollhouse.runtime.pressure import WHATS  # noqa: PLC0415

    shed = fixtures.gate.shed
    return Family(
        name="shed_calls",
        about="Calls that were turned away, by their priority and by what there was too little of.",
        labels=("priority", "why"),
        rows=[((priority.value, what), shed[priority, what]) for priority in Priority for what in WHATS],
        is_counter=True,
    )


def _health_checks(fixtures: Fixtures) -> Family:
    """Of the providers that are looked at now."""
    from tollhouse.adapters.prometheus import Family  # noqa: PLC0415

    return Family(
        name="health_checks",
        about="Active checks of providers that ended, none of them a call to a model.",
        labels=("provider", "outcome"),
        rows=fixtures.checkups.counts(),
        is_counter=True,
    )
