"""A worker's process: everything it serves with."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import msgspec

from tollhouse.adapters.system import forbid_dumps
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.identity import issuers_of
from tollhouse.config.snapshot import Snapshot, from_wire
from tollhouse.core.problem import ConfigInvalid
from tollhouse.core.reload import ReloadReport
from tollhouse.plugins import load_plugins

from .bindings import bind, bind_checks
from .fixtures import Fixtures, furnish, house_of, report
from .measures import COUNTERS, room_families, room_numbers

if TYPE_CHECKING:
    from tollhouse.administration import Answer, Errand
    from tollhouse.pipeline import House
    from tollhouse.plugins import Plugins
    from tollhouse.ports.administration import HouseRules
    from tollhouse.runtime.checkups import Subject
    from tollhouse.runtime.link import Boot, KeySet, Reload
    from tollhouse.runtime.worker import AskKeeper
    from tollhouse.stages.authenticate import Declared
    from tollhouse.stages.dispatch import Binding
    from tollhouse.surface.admin import InForce
    from tollhouse.surface.http.limits import Limits
    from tollhouse.surface.http.server import Exposition, HttpServer

_JOURNAL_COUNTERS: Final = ("entries", "written_bytes", "flushes", "failures", "dropped", "refused")

_SCRAPE_S: Final = 2.0
"""How long a scrape waits for the keeper, which waits for each worker for a second."""
_ALONE_S: Final = 2.0
"""How long exchanges whose callers have left may go on when everybody else is gone."""


def run_worker() -> None:
    """The entry of a worker process. Its arguments: the numbers of its end of the link, and of its pipe for stacks."""
    import uvloop  # noqa: PLC0415

    from tollhouse.runtime.worker import work  # noqa: PLC0415

    forbid_dumps()
    _raise_open_files()
    uvloop.run(work(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), assemble))


def _raise_open_files() -> None:
    """As many open files as the system lets us have: every caller is one, and every upstream connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def assemble(boot: Boot, ask_keeper: AskKeeper) -> Workshop:
    """Everything a worker serves with, from the keeper's word. Runs inside the worker's loop."""
    plugins = load_plugins()
    snapshot = _compiled(boot, boot.folder, plugins)
    fixtures = furnish(boot, snapshot, plugins)
    plan = _planned(boot, snapshot, fixtures, None)
    return Workshop(boot, fixtures, plan, ask_keeper)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of a configuration, all but the house that serves by it."""

    snapshot: Snapshot
    bindings: Mapping[str, Binding]
    checks: Mapping[str, Subject]
    declared_keys: Declared
    waits_for_restart: tuple[str, ...]


def _compiled(word: Boot | Reload, folder: str, plugins: Plugins) -> Snapshot:
    return compile_config(from_wire(word.config), plugins.providers, base_urls=word.base_urls, folder=folder)


def _planned(word: Boot | Reload, snapshot: Snapshot, fixtures: Fixtures, before: Plan | None) -> Plan:
    from tollhouse.stages.authenticate import entries_of  # noqa: PLC0415

    transport = fixtures.transport
    return Plan(
        snapshot=snapshot,
        bindings=bind(
            snapshot, word.secrets, transport, fixtures.clock, before.bindings if before is not None else {}
        ),
        checks=bind_checks(snapshot, transport, before.checks if before is not None else {}),
        declared_keys=entries_of(snapshot.declared_keys),
        waits_for_restart=word.waits_for_restart,
    )


@runtime_checkable
class Loadable(Protocol):
    """Counters of this process alone, which must be told what there was before it."""

    def load(self, spent: Mapping[str, int]) -> None:
        """Nano-USD by budget counter, in place of what was loaded before."""


class Workshop:
    """Implements runtime.worker.Workshop, and surface.admin.Office for the operator's door."""

    def __init__(self, boot: Boot, fixtures: Fixtures, plan: Plan, ask_keeper: AskKeeper) -> None:
        from tollhouse.surface.admin import AdminDoor  # noqa: PLC0415
        from tollhouse.surface.http.server import HttpServer  # noqa: PLC0415

        self._fixtures = fixtures
        self._folder = boot.folder
        self._is_alone = boot.seats == 1
        self._ask_keeper = ask_keeper
        self._seat, self._seats = boot.seat, boot.seats
        self._lag_s = 0.0
        self._blocked: str | None = None
        self._started = time.monotonic()
        self._note(plan)
        self.server: HttpServer = HttpServer(
            house_of(fixtures, plan.snapshot, plan.bindings),
            _limits(plan.snapshot, fixtures),
            self._exposition,
            AdminDoor(boot.admin_key, self),
        )
        counters = frozenset(
            [
                *[f"journal_{name}" for name in _JOURNAL_COUNTERS],
                "refused_bodies",
                "refused_connections",
                *COUNTERS,
            ]
        )
        fixtures.metrics.watch(self._numbers, prefix="tollhouse_", counters=counters)
        fixtures.metrics.watch_families(
            lambda: room_families(fixtures, self._plan.snapshot), prefix="tollhouse_"
        )

    @property
    def house(self) -> House:
        return self.server.house

    # -- the configuration

    async def reload(self, word: Reload) -> str:
        """See runtime.worker. What takes long is done beside the loop; the change itself is between two exchanges."""
        plan = await asyncio.to_thread(self._plan_anew, word)
        house = house_of(self._fixtures, plan.snapshot, plan.bindings)
        self._note(plan)
        self._fixtures.keyring.client_tokens.renew(word.client_token_keys)
        self.server.serve_by(house, _limits(plan.snapshot, self._fixtures), self._exposition)
        return plan.snapshot.hash

    def _plan_anew(self, word: Reload) -> Plan:
        snapshot = _compiled(word, self._folder, self._fixtures.plugins)
        return _planned(word, snapshot, self._fixtures, self._plan)

    def _note(self, plan: Plan) -> None:
        """Take in what does not lie in the house itself."""
        self._fixtures.keyring.declare(plan.declared_keys)
        self._fixtures.issuers.trust(issuers_of(plan.snapshot.identity))
        self._fixtures.checkups.follow(plan.checks)
        self._fixtures.upkeep.bound_memory(plan.snapshot.server.max_memory_bytes)
        self._plan = plan
        self._loaded_at = self._fixtures.clock.now()

    def describe(self, defect: Exception) -> str:
        """See runtime.worker."""
        if isinstance(defect, ConfigInvalid | ValueError | OSError):
            return str(defect)
        report(self._fixtures.log, "reload", defect)
        return f"The gateway has a defect and cannot serve by it ({type(defect).__name__})."

    # -- what is asked

    def take_rules(self, rules: HouseRules) -> None:
        """See runtime.worker."""
        self._fixtures.pauses.take(rules.pauses, rules.version)
        self._fixtures.house_scopes.take(rules.scopes, rules.team_routes, rules.project_routes, rules.version)

    def take_key_set(self, keys: KeySet) -> None:
        """See runtime.worker."""
        self._fixtures.issuers.learn(keys.name, keys.document, keys.fetched_at, keys.usable_until)

    def take_wanted(self) -> list[str]:
        """See runtime.worker."""
        return self._fixtures.issuers.take_wanted()

    def take_spending(self, purses: Mapping[str, int]) -> None:
        """See runtime.worker. Counters that are kept elsewhere are told by the keeper."""
        if isinstance(self._fixtures.counters, Loadable) and self._is_alone:
            self._fixtures.counters.load(purses)

    def tell(self, about: str) -> bytes | None:
        """See runtime.worker."""
        match about:
            case "deployments":
                return self._own_deployments()
            case "metrics" if self._plan.snapshot.observability.prometheus:
                return self._fixtures.metrics.exposition()
            case _:
                return None

    def _own_deployments(self) -> bytes:
        views = self._fixtures.standings.views(self._fixtures.clock.monotonic())
        return msgspec.json.encode({"deployments": views})

    async def deployments(self) -> bytes:
        """See surface.admin.Office."""
        if self._seats == 1:
            return self._own_deployments()
        document = await self._ask_keeper("deployments")
        if document is None:
            raise OSError("the keeper has no answer")
        return document

    def in_force(self) -> InForce:
        """See surface.admin.Office."""
        from tollhouse.surface.admin import InForce  # noqa: PLC0415

        snapshot = self._plan.snapshot
        loaded_at = datetime.fromtimestamp(self._loaded_at, UTC).isoformat(timespec="milliseconds")
        return InForce(
            hash=snapshot.hash,
            loaded_at=loaded_at.replace("+00:00", "Z"),
            warnings=snapshot.warnings,
            waits_for_restart=self._plan.waits_for_restart,
        )

    async def administrate(self, errand: Errand) -> Answer:
        """See surface.admin.Office."""
        from tollhouse.administration import Answer  # noqa: PLC0415

        document = await self._ask_keeper("administrate", msgspec.json.encode(errand))
        if document is None:
            raise OSError("the keeper has no answer")
        return msgspec.json.decode(document, type=Answer)

    async def reload_by_keeper(self) -> ReloadReport:
        """See surface.admin.Office."""
        document = await self._ask_keeper("reload")
        if document is None:
            raise OSError("the keeper has no answer")
        return msgspec.json.decode(document, type=ReloadReport)

    # -- looking after itself

    def tick(self, lag_s: float) -> None:
        """See runtime.worker."""
        self._lag_s = lag_s
        self._fixtures.presence.end_closed(
            self._fixtures.keyring, self._fixtures.pauses, self._fixtures.clock.now()
        )
        log, blocked = self._fixtures.log, self._fixtures.journal.blocked
        if blocked != self._blocked:
            self._blocked = blocked
            if blocked is not None:
                log.error(
                    "journal_blocked", why=blocked, effect="nothing is sent upstream until it is mended"
                )
            else:
                log.info("journal_written_again")

    def watch(self, late_s: float) -> None:
        """See runtime.worker."""
        self._fixtures.upkeep.look(late_s)

    @property
    def _exposition(self) -> Exposition | None:
        return self._metrics if self._plan.snapshot.observability.prometheus else None

    async def _metrics(self) -> bytes:
        """Of all workers; where the keeper does not say anything, of this one and of nobody else."""
        if self._seats == 1:
            return self._fixtures.metrics.exposition()
        from tollhouse.runtime.exposition import joined  # noqa: PLC0415

        with contextlib.suppress(OSError):
            document = await asyncio.wait_for(self._ask_keeper("metrics"), _SCRAPE_S)
            if document is not None:
                return document
        return joined({self._seat: self._fixtures.metrics.exposition()}, self._seats)

    def _numbers(self) -> dict[str, float]:
        journal = self._fixtures.journal
        return {
            "connections": self.server.connection_count,
            "keys": len(self._fixtures.keyring),
            "tasks": len(asyncio.all_tasks()),
            "loop_lag_seconds": self._lag_s,
            "uptime_seconds": time.monotonic() - self._started,
            **self._fixtures.upkeep.numbers(),
            "buffered_bytes": self.server.room.held_bytes,
            "buffered_bytes_limit": self.server.room.limit_bytes,
            "refused_bodies": self.server.room.refused,
            "refused_connections": self.server.refused_count,
            **room_numbers(self._fixtures),
            **{f"journal_{name}": getattr(journal, name) for name in _JOURNAL_COUNTERS},
        }

    async def close(self) -> None:
        """See runtime.worker."""
        await self._fixtures.checkups.close()
        await self._fixtures.mirrors.close()
        await self._fixtures.detached.close(_ALONE_S)
        for shared in (self._fixtures.answers, self._fixtures.shared):
            if shared is not None:
                await shared.close()
        self._fixtures.journal.close()
        await self._fixtures.transport.close()


def _limits(snapshot: Snapshot, fixtures: Fixtures) -> Limits:
    from tollhouse.runtime.pressure import most_buffered_bytes  # noqa: PLC0415
    from tollhouse.surface.http.limits import Limits  # noqa: PLC0415

    server = snapshot.server
    most = most_buffered_bytes(fixtures.upkeep.least_memory_bytes, server.max_body_bytes)
    return Limits(
        connections=fixtures.shares.callers,
        refused_connections=fixtures.shares.refused,
        body_bytes=server.max_body_bytes,
        buffered_bytes=max(server.max_buffered_bytes or most, server.max_body_bytes),
    )
