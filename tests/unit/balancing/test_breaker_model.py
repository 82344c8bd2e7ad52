"""Whatever calls do in whatever order, a breaker behaves as its rules say in plain words."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from tollhouse.balancing import Permit, Shut, State, Verdict
from tollhouse.core.routing import Breaker
from unit.balancing.deployments import CHAT, standing_alone

IN_A_ROW = 3
SETTINGS = Breaker(consecutive_failures=IN_A_ROW, open_s=1.0, longest_open_s=8.0)


class BreakerAgainstItsRules(RuleBasedStateMachine):
    """The model keeps all that ever happened, and knows no counters, epochs or slots."""

    permits: Bundle[Permit] = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.standing = standing_alone(breaker=SETTINGS)
        self.now = 1000.0
        self.last_change = 0
        """How many events there were when it opened or closed last."""
        self.events = 0
        self.verdicts: list[Verdict] = []
        """Since then, of calls begun since then."""
        self.is_open = False
        self.opened_at = 0.0
        self.failed_probes = 0
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
                assert self.now >= self.opened_at + 0.8 * self._rest_s() - 1e-9
            self._begun(permit)
            return permit
        assert self.is_open
        if permit.why is Shut.PROBING:
            assert self.unheard_probes
        else:
            assert permit.why is Shut.OPEN
            assert self.now < permit.until <= self.opened_at + min(8.0, 1.2 * self._rest_s()) + 1e-9
        return object()

    @rule(target=permits)
    def force(self) -> Permit | object:
        permit = self.standing.force(CHAT, self.now)
        if permit is None:
            assert self.unheard_probes
            return object()
        self._begun(permit)
        return permit

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

    @precondition(lambda self: not self.is_open)
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

    def _begun(self, permit: Permit) -> None:
        self.begun[id(permit)] = self.events
        self.in_flight.append(permit)
        if self.is_open:
            self.unheard_probes.add(id(permit))

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
