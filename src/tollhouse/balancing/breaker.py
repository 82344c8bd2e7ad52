"""The breaker of one deployment for one kind of call."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tollhouse.core.operation import Operation
from tollhouse.core.routing import Breaker

from .health import Checked
from .latency import Latency
from .peers import Peers
from .verdict import Refusal, Shut
from .window import Window

if TYPE_CHECKING:
    from .standing import Permit

_MOST_DOUBLINGS: Final = 30


class State(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    """Everything."""
    OPEN = "open"
    """Nothing."""
    HALF_OPEN = "half_open"
    """One probe at a time, a call like any other."""


class Circuit:
    """Opens on failures in a row, or as an outlier among its peers; closes when a probe has gone well.

    Calls are judged by the state they began in: each opening and closing starts a new epoch, and verdicts that bring
    an older one change nothing.

    Active checks have one word each time they change their mind: failed ones open it, good ones end its rest. After
    that, what calls meet says more than what checks find.
    """

    __slots__ = (
        "_failed_probes", "_heeded", "_in_a_row", "_kind", "_peers", "_settings", "_spread", "_window", "calls",
        "ejections", "epoch", "failures", "is_open", "latency", "probe", "until",
    )  # fmt: skip

    def __init__(self, kind: Operation, settings: Breaker, peers: Peers, spread: float) -> None:
        """`spread` is the factor, near 1, by which its rests differ from those of others that opened with it."""
        self._kind = kind
        self._settings = settings
        self._peers = peers
        self._spread = spread
        self._window = Window(settings.window_s)
        self._in_a_row = 0
        self._failed_probes = 0
        self._heeded: Checked | None = None
        """What checks have said, where that has opened this one or ended its rest already."""
        self.latency = Latency()
        self.calls = 0
        self.failures = 0
        self.ejections = 0
        self.epoch = 0
        self.is_open = False
        """Or half-open, which is an open one whose rest is over."""
        self.until = 0.0
        """Monotonic: the end of the rest."""
        self.probe: Permit | None = None
        """The call that decides: by its first token, or by its end where there is none."""

    def refusal(self, now: float) -> Refusal | None:
        if not self.is_open:
            return None
        if now < self.until:
            return Refusal(Shut.OPEN, self.until)
        return Refusal(Shut.PROBING, now) if self.probe is not None else None

    def good(self, epoch: int, now: float) -> None:
        """A call of this epoch went well."""
        if epoch != self.epoch:
            return
        if self.is_open:
            self._close()
            return
        self._in_a_row = 0
        self._window.note(now, failed=False)

    def bad(self, epoch: int, now: float) -> None:
        """A call of this epoch failed."""
        self.failures += 1
        if epoch != self.epoch:
            return
        if self.is_open:
            held_until = self.until if self._heeded is Checked.UNWELL else now
            self._failed_probes += 1
            self._open(now)
            self.until = max(self.until, held_until)
            return
        self._in_a_row += 1
        self._window.note(now, failed=True)
        if self._in_a_row >= self._settings.consecutive_failures or self._is_outlier():
            self._open(now)
            self._peers.out(self._kind)

    def checked_unwell(self, now: float, until: float) -> None:
        """Checks fail, and the next of them has an outcome by `until`: the rest lasts at least so long."""
        if self.is_open:
            self.until = max(self.until, until)  # and a probe that is under way still decides
        elif self._heeded is not Checked.UNWELL:
            self._open(now)
            self.until = max(self.until, until)
            self._peers.out(self._kind)
        self._heeded = Checked.UNWELL

    def checked_well(self, now: float) -> None:
        """A check went well: whoever calls next is the probe. If that fails, its rest is as long as it would be
        without checks."""
        if not self.is_open:
            self._heeded = None
        elif self._heeded is not Checked.WELL:
            self._heeded = Checked.WELL
            self.until = min(self.until, now)

    def state(self, now: float) -> State:
        if not self.is_open:
            return State.CLOSED
        return State.OPEN if now < self.until else State.HALF_OPEN

    def recent(self, now: float) -> tuple[int, int]:
        """Calls and failures in the window."""
        self._window.age(now)
        return self._window.calls, self._window.failures

    def place(self, settings: Breaker, peers: Peers) -> None:
        """The configuration has changed. `peers` are new, and learn here whether this one is out."""
        if settings.window_s != self._settings.window_s:
            self._window = Window(settings.window_s)
        self._settings = settings
        self._peers = peers
        if self.is_open:
            peers.out(self._kind)

    def leave(self) -> None:
        """Be counted no more among the peers."""
        if self.is_open:
            self._peers.back(self._kind)
        self._peers = Peers()

    def _is_outlier(self) -> bool:
        settings = self._settings
        window = self._window
        return (
            window.calls >= settings.minimum_calls
            and window.failures * 100 >= settings.failure_percent * window.calls
            and self._peers.may_eject(self._kind, settings.most_ejected_percent)
        )

    def _open(self, now: float) -> None:
        settings = self._settings
        rest_s = min(
            settings.longest_open_s, settings.open_s * 2.0 ** min(self._failed_probes, _MOST_DOUBLINGS)
        )
        self.until = now + min(settings.longest_open_s, rest_s * self._spread)
        self.is_open = True
        self.ejections += 1
        self._begin_epoch()

    def _close(self) -> None:
        self.is_open = False
        self._failed_probes = 0
        if self._heeded is Checked.WELL:
            self._heeded = None
        self._begin_epoch()
        self._peers.back(self._kind)

    def _begin_epoch(self) -> None:
        self.epoch += 1
        self._in_a_row = 0
        self._window.clear()
        self.probe = None
