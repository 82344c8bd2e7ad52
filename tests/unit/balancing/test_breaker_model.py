"""Whatever calls do in whatever order, a breaker behaves as its rules say in plain words."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from tollhouse.balancing import Permit, Shut, Standings, State, Verdict
from tollhouse.core.routing import Breaker
from unit.balancing.deployments import CHAT, deployment

IN_A_ROW = 3
HELD_S = 4.0
"""How long a failed check counts."""
SETTINGS = Breaker(consecutive_failures=IN_A_ROW, open_s=1.0, longest_open_s=8.0)


class BreakerAgainstItsRules(RuleBasedStateMachine):
    """The model keeps all that ever happened, and knows no counters, epochs or slots."""

    permits: Bundle[Permit] = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.standings = Standings()
        self.standings.configure({"solo": SETTINGS}, {"route": [deployment("solo")]})
        self.standing = self.standings.of(deployment("solo"), "m")
        self.now = 1000.0
        self.last_change = 0
        """How many events there were when it opened or closed last."""
        self.events = 0
        self.verdicts: list[Verdict] = []
        """Since then, of calls begun since then."""
        self.is_open = False
        self.opened_at = 0.0
        self.failed_probes = 0
        self.checks: list[bool] = []
        self.held_until = 0.0
        """By a failed check, whether the breaker is open or was never seen."""
        self.is_released = False
        """Whether a good check has ended its rest, since it opened or since checks failed."""
        self.is_condemned = False
        """Whether failed checks have had their word, since the last good one."""
        self.was_called = False
        self.begun: dict[int, int] = {}
        self.unheard_probes: set[int] = set()
        self.in_flight: list[Permit] = []

    @rule(passed_s=st.sampled_from([0.0, 0.1, 1.0, 1.3, 5.0, 10.0]))
    def time_passes(self, passed_s: float) -> None:
        self.now += passed_s

    @rule(target=permits)
    def begin(self) -> Permit | object:
        permit = self.standing.try_begin(CHAT, self.now)
        if isinstance(permit, Permit):
            assert not (self.is_open and self.unheard_probes)
            assert permit.is_probe == self.is_open
            if self.is_open:
                assert self.now >= self._earliest() - 1e-9
            self._begun(permit)
            return permit
        assert self.is_open or (not self.was_called and self.now < self.held_until)
        if permit.why is Shut.PROBING:
            assert self.unheard_probes
        else:
            assert permit.why is Shut.OPEN
            latest = self.opened_at + min(8.0, 1.2 * self._rest_s())
            assert self.now < permit.until <= max(latest, self.held_until) + 1e-9
        return object()

    @rule(target=permits)
    def force(self) -> Permit | object:
        permit = self.standing.force(CHAT, self.now)
        if permit is None:
            assert self.unheard_probes
            return object()
        if not self.was_called and self.now < self.held_until:
            self._condemn()
        self._begun(permit)
        return permit

    @rule(is_well=st.booleans())
    def check(self, is_well: bool) -> None:
        self.standings.checked("solo", self.now, is_well=is_well, until=self.now + HELD_S)
        self.checks.append(is_well)
        if is_well:
            self.is_released |= self.is_open
            self.is_condemned = False
            self.held_until = min(self.held_until, self.now)
        elif self.checks[-2:] == [False, False]:
            self.held_until = self.now + HELD_S
            if self.was_called:
                self._condemn()

    def _condemn(self) -> None:
        """Checks fail. Whatever a call has closed since they began to stays closed."""
        if not self.is_open and not self.is_condemned:
            self.events += 1
            self._change(is_open=True)
        self.is_released = False
        self.is_condemned = True

    @rule(permit=permits)
    def hear(self, permit: Permit | object) -> None:
        if isinstance(permit, Permit):
            permit.heard(self.now)
            if id(permit) in self.unheard_probes:
                self.events += 1
                self.failed_probes = 0
                self._change(is_open=False)
                self.begun[id(permit)] = self.events

    @rule(
        permit=consumes(permits),
        verdict=st.sampled_from([Verdict.GOOD, Verdict.BAD, Verdict.BAD, Verdict.NEUTRAL]),
    )
    def end(self, permit: Permit | object, verdict: Verdict) -> None:
        if not isinstance(permit, Permit):
            return
        permit.end(verdict, self.now)
        permit.end(Verdict.BAD, self.now)
        self.events += 1
        self.in_flight.remove(permit)
        self.unheard_probes.discard(id(permit))
        if self.begun[id(permit)] < self.last_change or verdict is Verdict.NEUTRAL:
            return
        self.verdicts.append(verdict)
        if self.is_open:
            self.failed_probes = self.failed_probes + 1 if verdict is Verdict.BAD else 0
            self._change(is_open=verdict is Verdict.BAD)
        elif self.verdicts[-IN_A_ROW:] == [Verdict.BAD] * IN_A_ROW:
            self._change(is_open=True)

    @precondition(lambda self: not self.is_open and (self.was_called or self.now >= self.held_until))
    @invariant()
    def closed_breaker_lets_everything_through(self) -> None:
        assert self.standing.refusal(CHAT, self.now) is None

    @invariant()
    def view_shows_what_is(self) -> None:
        view = self.standing.view(self.now)
        assert view.in_flight == len(self.in_flight)
        for kind in view.kinds:
            assert (kind.state is State.CLOSED) == (not self.is_open)
            assert 0 <= kind.until_s <= 8.0001
        assert (view.checked == "well") == (self.checks[-1:] == [True])

    def _begun(self, permit: Permit) -> None:
        self.was_called = True
        self.begun[id(permit)] = self.events
        self.in_flight.append(permit)
        if self.is_open:
            self.unheard_probes.add(id(permit))

    def _earliest(self) -> float:
        """When a probe may go out: after the rest, which failed checks make longer and one good check ends."""
        rested = 0.0 if self.is_released else self.opened_at + 0.8 * self._rest_s()
        return max(rested, self.held_until if self.is_condemned else 0.0)

    def _change(self, *, is_open: bool) -> None:
        self.is_open = is_open
        self.opened_at = self.now
        self.last_change = self.events
        self.verdicts = []
        self.unheard_probes = set()

    def _rest_s(self) -> float:
        return float(min(8.0, 2.0**self.failed_probes))


BreakerAgainstItsRules.TestCase.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
TestBreakerAgainstItsRules = BreakerAgainstItsRules.TestCase
