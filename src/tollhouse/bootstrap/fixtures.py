"""What a worker has for as long as it lives, and the house it makes of it for one configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tollhouse.adapters.system import SystemClock
from tollhouse.config.address import parse_network
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.house_scopes import HouseScopes
from tollhouse.core.pauses import Pauses

if TYPE_CHECKING:
    from tollhouse.adapters.http1 import Http1Transport
    from tollhouse.adapters.journal import FileJournal
    from tollhouse.adapters.prometheus import PrometheusSink
    from tollhouse.adapters.redis import RedisAnswers, RedisCounters
    from tollhouse.balancing.standings import Standings
    from tollhouse.pipeline import House, Presence
    from tollhouse.plugins import Plugins
    from tollhouse.ports.counters import Counters
    from tollhouse.ports.log import Log
    from tollhouse.ports.recall import Recall
    from tollhouse.runtime.checkups import Checkups
    from tollhouse.runtime.link import Boot
    from tollhouse.runtime.pressure import PressureGate, Shares
    from tollhouse.runtime.upkeep import Upkeep
    from tollhouse.stages.account import Accountant
    from tollhouse.stages.authenticate import Keyring, TrustedIssuers
    from tollhouse.stages.detach import Detached
    from tollhouse.stages.dispatch import Binding, Turnstile
    from tollhouse.stages.mirrors import Mirrors
    from tollhouse.stages.replay import ReplayBook

from .identity import signing_keys, trusted_certificates
from .sharing import shared_answers, shared_counters


class Fixtures(msgspec.Struct, frozen=True, kw_only=True):
    """What stays over every reload."""

    plugins: Plugins
    clock: SystemClock
    log: Log
    journal: FileJournal
    transport: Http1Transport
    metrics: PrometheusSink
    recall: Recall
    keyring: Keyring
    issuers: TrustedIssuers
    presence: Presence
    pauses: Pauses
    house_scopes: HouseScopes
    counters: Counters
    shared: RedisCounters | None
    """The same, where they are shared with others."""
    answers: RedisAnswers | None
    """Answers that are shared with others."""
    joining: tuple[asyncio.Task[None], ...]
    """The first words with them."""
    accountant: Accountant
    standings: Standings
    turnstile: Turnstile
    replays: ReplayBook
    detached: Detached
    mirrors: Mirrors
    checkups: Checkups
    gate: PressureGate
    upkeep: Upkeep
    shares: Shares
    """Of the open files this process may have."""


def furnish(boot: Boot, snapshot: Snapshot, plugins: Plugins) -> Fixtures:
    """To be called inside the worker's loop, once."""
    from tollhouse.adapters.http1 import Http1Transport  # noqa: PLC0415
    from tollhouse.adapters.http1.limits import Limits as TransportLimits  # noqa: PLC0415
    from tollhouse.adapters.journal import FileJournal  # noqa: PLC0415
    from tollhouse.adapters.log import StderrLog  # noqa: PLC0415
    from tollhouse.adapters.memory import LOAD_WAIT_S, MemoryCounters, MemoryRecall  # noqa: PLC0415
    from tollhouse.adapters.prometheus import PrometheusSink  # noqa: PLC0415
    from tollhouse.balancing.standings import Standings  # noqa: PLC0415
    from tollhouse.core.client_token import ClientTokenSigner  # noqa: PLC0415
    from tollhouse.pipeline import Presence  # noqa: PLC0415
    from tollhouse.runtime.checkups import Checkups  # noqa: PLC0415
    from tollhouse.runtime.pressure import PressureGate, share_files  # noqa: PLC0415
    from tollhouse.runtime.resources import Resources  # noqa: PLC0415
    from tollhouse.runtime.upkeep import Upkeep  # noqa: PLC0415
    from tollhouse.stages.account import Accountant  # noqa: PLC0415
    from tollhouse.stages.authenticate import Keyring, TrustedIssuers  # noqa: PLC0415
    from tollhouse.stages.detach import Detached  # noqa: PLC0415
    from tollhouse.stages.dispatch import Turnstile  # noqa: PLC0415
    from tollhouse.stages.mirrors import Mirrors  # noqa: PLC0415
    from tollhouse.stages.replay import ReplayBook  # noqa: PLC0415

    clock = SystemClock()
    log = StderrLog(as_json=snapshot.observability.log == "json")
    standings = Standings()
    journal = FileJournal(
        Path(snapshot.journal.folder),
        boot.writer,
        durability=snapshot.journal.durability,
        max_bytes=snapshot.journal.max_bytes,
    )
    metrics = PrometheusSink()
    resources = Resources(snapshot.server.max_memory_bytes)
    shares = share_files(resources.files_limit)
    transport = Http1Transport(TransportLimits(connections=shares.upstreams))
    gate = PressureGate()
    shared, answers = shared_counters(boot, clock), shared_answers(boot, clock)
    # Several that count for themselves are never told what budgets have been spent: nobody with a hard one comes in.
    counters = shared or MemoryCounters(
        clock, load_wait_s=LOAD_WAIT_S if boot.seats == 1 else 0.0, era=boot.writer
    )
    return Fixtures(
        plugins=plugins,
        clock=clock,
        log=log,
        journal=journal,
        transport=transport,
        metrics=metrics,
        recall=MemoryRecall(clock),
        keyring=Keyring(boot.pepper, ClientTokenSigner(boot.client_token_keys)),
        issuers=TrustedIssuers(signing_keys),
        presence=Presence(),
        pauses=Pauses(),
        house_scopes=HouseScopes(),
        counters=counters,
        shared=shared,
        answers=answers,
        joining=tuple([asyncio.create_task(part.start()) for part in (shared, answers) if part is not None]),
        accountant=Accountant(journal, [metrics], clock, counters),
        standings=standings,
        turnstile=Turnstile(standings, clock),
        replays=ReplayBook(clock),
        detached=Detached(lambda defect: report(log, "", defect)),
        mirrors=Mirrors(lambda defect: report(log, "", defect)),
        checkups=Checkups(transport, standings, clock, log, lambda defect: report(log, "", defect)),
        gate=gate,
        upkeep=Upkeep(gate, resources, log),
        shares=shares,
    )


def house_of(fixtures: Fixtures, snapshot: Snapshot, bindings: Mapping[str, Binding]) -> House:
    """The house of one configuration. Cheap: it is made on the loop, between two exchanges."""
    from tollhouse.adapters.fetch import GuardedFetcher  # noqa: PLC0415
    from tollhouse.pipeline import House  # noqa: PLC0415
    from tollhouse.stages.admit import Admission, Prices  # noqa: PLC0415
    from tollhouse.stages.dispatch import Dispatcher  # noqa: PLC0415
    from tollhouse.stages.list_models import ModelBook  # noqa: PLC0415
    from tollhouse.stages.route import Router  # noqa: PLC0415
    from tollhouse.stages.translate import Workbench, find_way  # noqa: PLC0415

    dialects, clock, transport = fixtures.plugins.dialects, fixtures.clock, fixtures.transport
    fetcher = GuardedFetcher(
        transport,
        clock,
        allow=[parse_network(network) for network in snapshot.fetch.allow],
        max_bytes=snapshot.fetch.max_bytes,
        timeout_s=snapshot.fetch.timeout_s,
    )
    standings = fixtures.standings
    standings.configure(
        {name: upstream.breaker for name, upstream in snapshot.providers.items()},
        {name: route.deployments for name, route in snapshot.routes.items()},
    )
    return House(
        snapshot=snapshot,
        router=Router(snapshot, standings),
        workbench=Workbench(dialects, fixtures.recall, fetcher),
        models=ModelBook(snapshot, dialects, find_way),
        keyring=fixtures.keyring,
        issuers=fixtures.issuers if snapshot.identity.jwt else None,
        certificates=trusted_certificates(snapshot.identity),
        admission=Admission(snapshot, fixtures.counters, clock, Prices(snapshot), fixtures.house_scopes),
        dispatcher=Dispatcher(transport, fixtures.journal, clock, bindings, fixtures.turnstile),
        accountant=fixtures.accountant,
        clock=clock,
        gate=fixtures.gate,
        replays=fixtures.replays,
        shared_answers=fixtures.answers,
        detached=fixtures.detached,
        mirrors=fixtures.mirrors,
        presence=fixtures.presence,
        pauses=fixtures.pauses,
        report=lambda id_, defect: report(fixtures.log, id_, defect),
    )


def report(log: Log, request_id: str, defect: BaseException) -> None:
    """A defect's place, without any value: a traceback's lines may quote what somebody sent."""
    frames = []
    trace = defect.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    log.error("defect", request_id=request_id, kind=type(defect).__name__, where=" > ".join(frames[-8:]))
