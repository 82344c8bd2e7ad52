"""Counts exchanges in plain numbers, and turns them into metric families when a scraper asks.

Counting stands on the serving path and costs a few dictionary look-ups; the families of the client library, with their
locks and label checks, are made once a scrape.

Labels are bounded: route names as configured (a star's route is one label), deployments, outcomes, codes. Callers, keys
and model names never become labels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tollhouse.core.exchange import ExchangeRecord

from .families import Family, lines

_BOUNDS_S: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
)
_EXCHANGE: Final = ("route", "operation", "outcome", "code")
_ATTEMPT: Final = ("deployment", "outcome", "code")
_TOKENS: Final = ("route", "direction")
_MIRROR: Final = ("route", "outcome")


class _Spread:
    """How values spread over the bounds."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_S) + 1)
        self.total_s = 0.0

    def note(self, value_s: float) -> None:
        self.counts[bisect_left(_BOUNDS_S, value_s)] += 1
        self.total_s += value_s

    def buckets(self) -> Iterator[tuple[str, float]]:
        """Bound and count of all values up to it, as the format wants them."""
        so_far = 0
        for bound, count in zip((*map(str, _BOUNDS_S), "+Inf"), self.counts, strict=True):
            so_far += count
            yield bound, so_far


class PrometheusSink(Collector):
    """Implements ports.sink.Sink.

    Copies that mirrors get are counted apart from the exchanges and durations of callers; what they cost, attempts and
    tokens, is counted with that of everybody.
    """

    def __init__(self) -> None:
        self._exchanges: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._attempts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._tokens: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._mirrors: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._durations: defaultdict[str, _Spread] = defaultdict(_Spread)
        self._first_bytes: defaultdict[str, _Spread] = defaultdict(_Spread)
        self._families: list[tuple[Callable[[], Iterable[Family]], str]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def write(self, record: ExchangeRecord) -> None:
        route = record.route or ""
        for attempt in record.attempts:
            self._attempts[attempt.deployment, attempt.outcome, attempt.error or ""] += 1
        usage = record.usage
        if usage is not None:
            self._tokens[route, "input"] += usage.input_tokens
            self._tokens[route, "output"] += usage.output_tokens
        if record.mirrors is not None:
            self._mirrors[route, record.outcome] += 1
            return
        self._exchanges[route, record.operation, record.outcome, record.error or ""] += 1
        if record.duration_s is not None:
            self._durations[route].note(record.duration_s)
        if record.first_byte_s is not None:
            self._first_bytes[route].note(record.first_byte_s)

    def collect(self) -> Iterable[Metric]:
        """The families, for the client library."""
        yield _counter("exchanges", "Client calls that ended.", _EXCHANGE, self._exchanges)
        yield _counter("attempts", "Upstream calls that were begun.", _ATTEMPT, self._attempts)
        yield _counter("tokens", "Tokens that upstreams reported.", _TOKENS, self._tokens)
        about = "Copies of calls that ended, by the route that got them."
        yield _counter("mirrors", about, _MIRROR, self._mirrors)
        about = "From the head of the request to the end of the answer."
        yield _histogram("exchange_duration_seconds", about, self._durations)
        about = "From the head of the request to the first byte of the answer's body."
        yield _histogram("first_byte_seconds", about, self._first_bytes)

    def watch(
        self, numbers: Callable[[], dict[str, float]], *, prefix: str, counters: frozenset[str]
    ) -> None:
        """Expose numbers somebody else keeps, read at each scrape; those named in `counters` only grow."""
        self._registry.register(_Watched(numbers, prefix, counters))

    def watch_families(self, read: Callable[[], Iterable[Family]], *, prefix: str) -> None:
        """The same for numbers with labels. Whoever gives them sees to it that these are bounded."""
        self._families.append((read, prefix))

    def exposition(self) -> bytes:
        """The text format, version 0.0.4."""
        text = [
            line for read, prefix in self._families for family in read() for line in lines(family, prefix)
        ]
        return generate_latest(self._registry) + "".join(text).encode()


def _counter(name: str, about: str, labels: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(f"tollhouse_{name}", about, labels=labels)
    for values, count in counts.items():
        family.add_metric([str(value) for value in values], count)
    return family


def _histogram(name: str, about: str, spreads: dict[str, _Spread]) -> Metric:
    family = HistogramMetricFamily(f"tollhouse_{name}", about, labels=("route",))
    for route, spread in spreads.items():
        family.add_metric([route], list(spread.buckets()), sum_value=spread.total_s)
    return family


class _Watched(Collector):
    def __init__(
        self, numbers: Callable[[], dict[str, float]], prefix: str, counters: frozenset[str]
    ) -> None:
        self._numbers = numbers
        self._prefix = prefix
        self._counters = counters

    def collect(self) -> Iterable[Metric]:
        for name, value in self._numbers().items():
            kind = CounterMetricFamily if name in self._counters else GaugeMetricFamily
            yield kind(f"{self._prefix}{name}", f"{name.replace('_', ' ')} of this process", value=value)
