"""Metrics for Prometheus: a sink that counts exchanges, and the text a scraper reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tollhouse.core.exchange import ExchangeRecord

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class PrometheusSink:
    """Implements ports.sink.Sink.

    Labels are bounded: route names as configured (a star's route is one label), deployments, outcomes, codes. Callers,
    keys and model names never become labels.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._exchanges = Counter(
            "tollhouse_exchanges",
            "Client calls that ended.",
            ["route", "operation", "outcome", "code"],
            registry=self.registry,
        )
        self._attempts = Counter(
            "tollhouse_attempts",
            "Upstream calls that were begun.",
            ["deployment", "outcome", "code"],
            registry=self.registry,
        )
        self._tokens = Counter(
            "tollhouse_tokens",
            "Tokens that upstreams reported.",
            ["route", "direction"],
            registry=self.registry,
        )
        self._duration = Histogram(
            "tollhouse_exchange_duration_seconds",
            "From the head of the request to the end of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first_byte = Histogram(
            "tollhouse_first_byte_seconds",
            "From the head of the request to the first byte of the answer's body.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._children: dict[tuple[object, ...], Counter | Histogram] = {}
        """Labelled children, kept: looking one up by its labels costs more than counting."""

    def write(self, record: ExchangeRecord) -> None:
        route = record.route or ""
        self._count(
            self._exchanges, route, record.operation.value, record.outcome.value, record.error or ""
        ).inc()
        for attempt in record.attempts:
            self._count(self._attempts, attempt.deployment, attempt.outcome.value, attempt.error or "").inc()
        if record.usage is not None:
            self._count(self._tokens, route, "input").inc(record.usage.input_tokens)
            self._count(self._tokens, route, "output").inc(record.usage.output_tokens)
        if record.duration_s is not None:
            self._observe(self._duration, route, record.duration_s)
        if record.first_byte_s is not None:
            self._observe(self._first_byte, route, record.first_byte_s)

    def _count(self, counter: Counter, *labels: str) -> Counter:
        child = self._children.get((counter, *labels))
        if child is None:
            child = self._children[(counter, *labels)] = counter.labels(*labels)
        assert isinstance(child, Counter)
        return child

    def _observe(self, histogram: Histogram, route: str, seconds: float) -> None:
        child = self._children.get((histogram, route))
        if child is None:
            child = self._children[(histogram, route)] = histogram.labels(route)
        assert isinstance(child, Histogram)
        child.observe(seconds)

    def watch(
        self, numbers: Callable[[], dict[str, float]], *, prefix: str, counters: frozenset[str]
    ) -> None:
        """Expose numbers somebody else keeps, read at each scrape; those named in `counters` only grow."""
        self.registry.register(_Watched(numbers, prefix, counters))

    def exposition(self) -> bytes:
        """The text format, version 0.0.4."""
        return generate_latest(self.registry)


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
