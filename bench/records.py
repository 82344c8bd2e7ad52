"""What one run of the bench leaves behind: raw figures only. Everything else is computed from them."""

from __future__ import annotations

import msgspec


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rounds: int
    connections: int
    """Of the load generator, each with one request in flight."""
    warm_s: float
    load_s: float
    latency_calls: int
    """On each side: direct and through the gateway."""
    streams: int
    """Concurrent streams while CPU per chunk is measured."""
    stream_s: float
    idle_steps: tuple[int, int]
    """Numbers of stalled streams between which the memory slope is taken."""
    quiet_limit_s: float
    """How long work a gateway puts off is waited for, and counted."""


DEFAULT = Effort(
    rounds=3,
    connections=64,
    warm_s=1,
    load_s=6,
    latency_calls=2000,
    streams=32,
    stream_s=8,
    idle_steps=(200, 1000),
    quiet_limit_s=60,
)
QUICK = Effort(
    rounds=1,
    connections=64,
    warm_s=0.5,
    load_s=1,
    latency_calls=200,
    streams=16,
    stream_s=1,
    idle_steps=(20, 100),
    quiet_limit_s=20,
)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What the load generator counted."""

    requests: int
    wall_s: float
    bytes_read: int
    p50_ms: float
    p99_ms: float

    @property
    def per_s(self) -> float:
        return self.requests / self.wall_s


class CpuUse(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds of all processes of a gateway."""

    during_s: float
    """While the load ran."""
    after_s: float
    """Put off, and done between the end of the load and the first quiet second."""
    is_quiet: bool
    """False where the gateway was still at work when patience ended: its true cost is higher."""

    @property
    def total_s(self) -> float:
        return self.during_s + self.after_s


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """One connection, one request at a time; direct and through the gateway in turns. Milliseconds."""

    calls: int
    direct_p50_ms: float
    direct_p99_ms: float
    through_p50_ms: float
    through_p99_ms: float

    @property
    def added_p50_ms(self) -> float:
        return self.through_p50_ms - self.direct_p50_ms

    @property
    def added_p99_ms(self) -> float:
        return self.through_p99_ms - self.direct_p99_ms


class ProcessMemory(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of one process; `pss_bytes` is None where the kernel does not tell."""

    pid: int
    name: str
    rss_bytes: int
    pss_bytes: int | None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of all processes of a gateway."""

    processes: tuple[ProcessMemory, ...]

    @property
    def total_bytes(self) -> int:
        """Proportional shares where all are known (pages shared by fork count once), else resident sizes."""
        shares = [process.pss_bytes for process in self.processes if process.pss_bytes is not None]
        if len(shares) == len(self.processes):
            return sum(shares)
        return sum(process.rss_bytes for process in self.processes)


class UnaryRun(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh process under small chat requests."""

    cold_start_s: float
    memory_at_start: Memory
    latency: Latency
    load: Load
    cpu: CpuUse


class StreamLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What the stream callers counted. Every stream was complete, in order and ended as it must."""

    streams: int
    chunks: int
    reads: int
    """Pieces of body the chunks came in: fewer than chunks where some were merged on the way."""
    wall_s: float


class IdleStreams(msgspec.Struct, frozen=True, kw_only=True):
    """Memory with few and with many streams that have begun and stall."""

    opened: tuple[int, int]
    asked: tuple[int, int]
    memory: tuple[Memory, Memory]

    @property
    def bytes_per_stream(self) -> float | None:
        """None where the gateway did not open all streams that were asked of it."""
        if self.opened != self.asked:
            return None
        less, more = self.memory
        return (more.total_bytes - less.total_bytes) / (self.asked[1] - self.asked[0])


class StreamRun(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh process under streams."""

    cold_start_s: float
    load: StreamLoad
    cpu: CpuUse
    idle: IdleStreams


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway in one round. `void` says why it does not count, or is None."""

    round: int
    gateway: str
    unary: UnaryRun | None = None
    stream: StreamRun | None = None
    void: str | None = None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where and with what it was measured."""

    date: str
    cpu: str
    cores: int
    gateway_cores: tuple[int, ...]
    other_cores: tuple[int, ...]
    """Load generator and upstream."""
    memory_bytes: int
    kernel: str
    python: str
    load_average: float
    """Over the minute before: near 0 on a machine that does nothing else."""
    commit: str | None
    versions: dict[str, str]


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run, as written to results.json."""

    machine: Machine
    effort: Effort
    seed: int
    direct: tuple[Load, ...]
    """Generator straight to the upstream, before each round."""
    runs: tuple[Run, ...]
    missing: dict[str, str]
    """Gateways not measured, and why."""
