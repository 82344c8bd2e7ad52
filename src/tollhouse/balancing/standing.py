"""What is known of one deployment right now, and the permits to call it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from tollhouse.core.operation import Operation
from tollhouse.core.routing import Breaker

from .breaker import Circuit
from .health import Checked, Health
from .limit import AdaptiveLimit
from .peers import Peers
from .verdict import Refusal, Shut, Verdict
from .view import KindView, StandingView

Key = tuple[str, str, str | None]
"""Provider, the upstream's name of the model, dialect."""

_SPREAD: Final = 0.2
_LONGEST_COOLING_S: Final = 300.0
_LONGEST_ADVISED_S: Final = 60.0
_LONGEST_BACKOFF_S: Final = 8.0
_MOST_DOUBLINGS: Final = 3
_REPEATS_FLOOR: Final = 3
_REPEATS_SHARE: Final = 0.2


class Permit:
    """One attempt at a deployment, from its beginning to its end. `end` must be called, however the attempt ends."""

    __slots__ = ("began", "circuit", "epoch", "is_ended", "is_heard", "is_probe", "is_repeat", "standing")

    def __init__(self, standing: Standing, circuit: Circuit, began: float, *, is_repeat: bool) -> None:
        self.standing = standing
        self.circuit = circuit
        self.epoch = circuit.epoch
        self.began = began
        self.is_probe = circuit.is_open
        """Whether the breaker awaits what becomes of it."""
        self.is_repeat = is_repeat
        self.is_heard = False
        self.is_ended = False

    def heard(self, now: float) -> None:
        """The first token of a stream is there, or a whole answer. Counts once."""
        if self.is_heard or self.is_ended:
            return
        self.is_heard = True
        self.standing._heard(self, now)

    def advised(self, now: float, remaining: int | None, reset_s: float | None) -> None:
        """What the provider's headers say about its rate limit: calls left, and seconds until there are more."""
        if remaining is not None and remaining <= 0 and reset_s is not None and reset_s > 0:
            self.standing._cool(now + min(reset_s, _LONGEST_ADVISED_S))

    def end(self, verdict: Verdict, now: float, retry_after_s: float | None = None) -> None:
        """The attempt is over. Counts once; `retry_after_s` is the provider's wish with `limited`."""
        if self.is_ended:
            return
        self.is_ended = True
        self.standing._ended(self, verdict, now, retry_after_s)


class Standing:
    """One deployment: its breaker for each kind of call, its rate limit, its load. Every question is O(1)."""

    __slots__ = (
        "_circuits", "_cooling_until", "_forced", "_limit", "_limited", "_limited_at", "_limited_in_a_row", "_peers",
        "_repeats", "_settings", "_spread", "dialect", "health", "in_flight", "is_configured", "model", "on_free",
        "provider", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        key: Key,
        settings: Breaker | None = None,
        peers: Peers | None = None,
        max_concurrency: int | None = None,
    ) -> None:
        self.provider, self.model, self.dialect = key
        self._settings = settings or Breaker()
        self._peers = peers or Peers()
        self.health = Health()
        """Shared with the other deployments of the account."""
        self._spread = _spread_of(key)
        self._limit = AdaptiveLimit(max_concurrency)
        self._circuits: dict[Operation, Circuit] = {}
        self._cooling_until = float("-inf")
        self._limited = 0
        self._limited_at = float("-inf")
        self._limited_in_a_row = 0
        self._repeats = 0
        self._forced: Permit | None = None
        """The call that was let through although nobody is to be called, until it has heard something."""
        self.in_flight = 0
        self.waiting = 0
        """Calls in a queue for it; counted by whoever keeps the queue."""
        self.is_configured = False
        """Whether the configuration names its model, so that it is never forgotten."""
        self.on_free: Callable[[], None] | None = None
        """Called after a permit has ended or the limit has grown: there may be room for more than one call."""

    @property
    def key(self) -> Key:
        return self.provider, self.model, self.dialect

    def refusal(self, kind: Operation, now: float) -> Refusal | None:
        """What `try_begin` would say. Changes nothing."""
        circuit = self._circuits.get(kind)
        if now < self._cooling_until:
            if circuit is not None and circuit.is_open and circuit.until > self._cooling_until:
                return Refusal(Shut.OPEN, circuit.until)
            return Refusal(Shut.COOLING, self._cooling_until)
        if circuit is None:
            if now < self.health.unwell_until:
                return Refusal(Shut.OPEN, self.health.unwell_until)
        elif circuit.is_open:
            refusal = circuit.refusal(now)
            if refusal is not None:
                return refusal
        in_flight = self.in_flight
        if in_flight >= self._limit.size and in_flight >= self._limit.at(now):
            return Refusal(Shut.FULL, now)
        return None

    def try_begin(self, kind: Operation, now: float, *, is_repeat: bool = False) -> Permit | Refusal:
        """A permit for one attempt, or why there is none. `is_repeat` counts against the budget of `may_repeat`."""
        refusal = self.refusal(kind, now)
        if refusal is not None:
            return refusal
        return self._begin(kind, now, is_repeat=is_repeat)

    def force(self, kind: Operation, now: float) -> Permit | None:
        """A permit although nobody is to be called, because nobody else is left: one at a time.

        None while that one has not heard anything, and where the limit on concurrency is reached. A rate limit does not
        stand in the way: whoever has but one provider gets its word, and not only ours.
        """
        if self.refusal(kind, now) is None:
            return self._begin(kind, now, is_repeat=False)
        circuit = self._circuits.get(kind)
        is_probing = circuit is not None and circuit.is_open and circuit.probe is not None
        if self._forced is not None or is_probing or self.in_flight >= self._limit.at(now):
            return None
        self._forced = self._begin(kind, now, is_repeat=False)
        return self._forced

    def may_repeat(self) -> bool:
        """Whether another attempt may be one that was made before: a fifth of those in flight, or three."""
        return self._repeats < max(_REPEATS_FLOOR, _REPEATS_SHARE * self.in_flight)

    def latency_s(self, kind: Operation, now: float) -> float | None:
        """What a call begun now may expect to wait for its first token; None where it is not known."""
        circuit = self._circuits.get(kind)
        return None if circuit is None else circuit.latency.at(now)

    def view(self, now: float) -> StandingView:
        kinds = tuple([_kind_view(kind, circuit, now) for kind, circuit in self._circuits.items()])
        return StandingView(
            provider=self.provider,
            model=self.model,
            dialect=self.dialect,
            kinds=kinds,
            cooling_s=max(0.0, self._cooling_until - now),
            in_flight=self.in_flight,
            repeats=self._repeats,
            limit=self._limit.at(now),
            waiting=self.waiting,
            latency_s=max([k.latency_s for k in kinds if k.latency_s is not None], default=None),
            calls=sum([k.calls for k in kinds]),
            failures=sum([k.failures for k in kinds]),
            limited=self._limited,
            ejections=sum([k.ejections for k in kinds]),
            checked=self.health.last,
            checked_before_s=max(0.0, now - self.health.at) if self.health.last is not None else None,
        )

    def place(self, settings: Breaker, peers: Peers, max_concurrency: int | None) -> None:
        """The configuration has changed, and `peers` have counted nobody yet; the rest is kept."""
        self._settings = settings
        self._peers = peers
        for circuit in self._circuits.values():
            circuit.place(settings, peers)
        before = self._limit.size
        self._limit.set_maximum(max_concurrency)
        if self._limit.size > before and self.on_free is not None:
            self.on_free()

    def checked(self, now: float) -> None:
        """Its `health` has just been told of a check. Opens the breakers, or ends their rests; closes none."""
        health = self.health
        if health.is_failing:
            for circuit in self._circuits.values():
                circuit.checked_unwell(now, health.unwell_until)
        elif health.last is Checked.WELL:
            for circuit in self._circuits.values():
                circuit.checked_well(now)

    def leave(self) -> None:
        """It is about to be forgotten: be counted no more among its peers."""
        for circuit in self._circuits.values():
            circuit.leave()

    def _begin(self, kind: Operation, now: float, *, is_repeat: bool) -> Permit:
        circuit = self._circuits.get(kind)
        if circuit is None:
            circuit = self._circuits[kind] = Circuit(kind, self._settings, self._peers, self._spread)
            if now < self.health.unwell_until:  # and nobody else is left
                circuit.checked_unwell(now, self.health.unwell_until)
        permit = Permit(self, circuit, now, is_repeat=is_repeat)
        if circuit.is_open:
            circuit.probe = permit
        circuit.calls += 1
        self.in_flight += 1
        if is_repeat:
            self._repeats += 1
        return permit

    def _heard(self, permit: Permit, now: float) -> None:
        circuit = permit.circuit
        if self._forced is permit:
            self._forced = None
        if circuit.probe is permit:
            # A stream may last for minutes, and others need not wait for its end. If it ends badly, that counts too.
            circuit.good(permit.epoch, now)
            permit.epoch = circuit.epoch
        latency = circuit.latency
        latency.note(now - permit.began, now)
        if latency.is_rising and self._limit.is_in_use(self.in_flight):
            self._limit.ease(latency.rise, now)

    def _ended(self, permit: Permit, verdict: Verdict, now: float, retry_after_s: float | None) -> None:
        circuit = permit.circuit
        in_flight = self.in_flight
        self.in_flight = in_flight - 1
        if permit.is_repeat:
            self._repeats -= 1
        if self._forced is permit:
            self._forced = None
        if circuit.probe is permit:
            circuit.probe = None
        if verdict is Verdict.GOOD:
            circuit.good(permit.epoch, now)
            if permit.began > self._limited_at:
                self._limited_in_a_row = 0
            limit = self._limit
            if in_flight * 2 >= limit.size and not circuit.latency.is_rising:
                limit.grow(now)
        elif verdict is Verdict.BAD:
            circuit.bad(permit.epoch, now)
        elif verdict is Verdict.LIMITED:
            self._note_limited(permit.began, now, retry_after_s)
        if self.on_free is not None:
            self.on_free()

    def _note_limited(self, began: float, now: float, retry_after_s: float | None) -> None:
        self._limited += 1
        if began > self._limited_at or not self._limited_in_a_row:
            # Others of the same burst say the same once more: only a call that began later says that it goes on.
            self._limited_in_a_row += 1
            self._limited_at = now
        if retry_after_s is not None and retry_after_s > 0:  # which NaN is not
            cooling_s = min(retry_after_s, _LONGEST_COOLING_S)
        else:
            cooling_s = min(_LONGEST_BACKOFF_S, 2.0 ** min(self._limited_in_a_row - 1, _MOST_DOUBLINGS))
        self._cool(now + cooling_s)
        self._limit.halve(now)

    def _cool(self, until: float) -> None:
        """A longer wait extends, a shorter one never shortens."""
        self._cooling_until = max(self._cooling_until, until)


def _kind_view(kind: Operation, circuit: Circuit, now: float) -> KindView:
    calls, failures = circuit.recent(now)
    return KindView(
        kind=kind,
        state=circuit.state(now),
        until_s=max(0.0, circuit.until - now) if circuit.is_open else 0.0,
        latency_s=circuit.latency.at(now),
        calls=circuit.calls,
        failures=circuit.failures,
        recent_calls=calls,
        recent_failures=failures,
        ejections=circuit.ejections,
    )


def _spread_of(key: Key) -> float:
    """Between 0.8 and 1.2, always the same for one deployment: those that open together do not probe together."""
    digest = blake2b(
        "\n".join([part or "" for part in key]).encode(errors="surrogatepass"), digest_size=4
    ).digest()
    return 1 - _SPREAD + 2 * _SPREAD * int.from_bytes(digest, "big") / 2**32
