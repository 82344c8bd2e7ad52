"""Made-up results for the tests of summary, report and chart."""

from __future__ import annotations

from bench.records import (
    QUICK,
    CpuUse,
    IdleStreams,
    Latency,
    Load,
    Machine,
    Memory,
    ProcessMemory,
    Results,
    Run,
    StreamLoad,
    StreamRun,
    UnaryRun,
)


def memory(mib: float, *, pss_known: bool = True) -> Memory:
    size = int(mib * 2**20)
    share = size // 2 if pss_known else None
    return Memory(
        processes=tuple(ProcessMemory(pid=n, name="g", rss_bytes=size, pss_bytes=share) for n in (1, 2))
    )


def load(requests: int = 1000, wall_s: float = 1.0) -> Load:
    return Load(requests=requests, wall_s=wall_s, bytes_read=requests * 700, p50_ms=1, p99_ms=2)


def run(
    gateway: str,
    *,
    number: int = 1,
    requests: int = 1000,
    cpu_s: float = 0.5,
    opened: int = 100,
    is_quiet: bool = True,
    void: str | None = None,
) -> Run:
    cpu = CpuUse(during_s=cpu_s * 0.8, after_s=cpu_s * 0.2, is_quiet=is_quiet)
    unary = UnaryRun(
        cold_start_s=0.5,
        memory_at_start=memory(40),
        latency=Latency(
            calls=10, direct_p50_ms=0.03, direct_p99_ms=0.1, through_p50_ms=0.13, through_p99_ms=0.5
        ),
        load=load(requests),
        cpu=cpu,
    )
    stream = StreamRun(
        cold_start_s=0.7,
        load=StreamLoad(streams=10, chunks=2000, reads=1990, wall_s=1),
        cpu=cpu,
        idle=IdleStreams(opened=(20, opened), asked=(20, 100), memory=(memory(50), memory(51))),
    )
    if void is not None:
        return Run(round=number, gateway=gateway, stream=stream, void=void)
    return Run(round=number, gateway=gateway, unary=unary, stream=stream)


def results(
    *runs: Run, direct: int = 100_000, busy: float = 0.1, missing: dict[str, str] | None = None
) -> Results:
    rounds = max((r.round for r in runs), default=1)
    return Results(
        machine=Machine(
            date="2026-11-24T00:00:00+00:00",
            cpu="Abacus 9",
            cores=2,
            gateway_cores=(0,),
            other_cores=(1,),
            memory_bytes=8 * 2**30,
            kernel="6.1",
            python="3.11.7",
            load_average=busy,
            commit="abc1234",
            versions={"nginx": "1.22.1", "tollhouse": "0.1.0", "wrk": "4.1.0"},
        ),
        effort=QUICK,
        seed=7,
        direct=(load(direct),) * rounds,
        runs=runs,
        missing=missing or {},
    )
