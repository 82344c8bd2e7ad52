"""A worker's process: everything it serves with."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.snapshot import Snapshot, from_wire
from tollhouse.core.problem import ConfigInvalid
from tollhouse.core.reload import ReloadReport
from tollhouse.core.secret import Secret
from tollhouse.plugins import load_plugins

from .bindings import bind, bind_checks
from .fixtures import Fixtures, furnish, house_of, report
from .measures import COUNTERS, room_families, room_numbers

if TYPE_CHECKING:
    from tollhouse.balancing.view import StandingView
    from tollhouse.pipeline import House
    from tollhouse.plugins import Plugins
    from tollhouse.runtime.checkups import Subject
    from tollhouse.runtime.link import Boot, Reload
    from tollhouse.runtime.worker import AskKeeper
    from tollhouse.stages.authenticate import Entry
    from tollhouse.stages.dispatch import Binding
    from tollhouse.surface.admin import InForce
    from tollhouse.surface.http.limits import Limits
    from tollhouse.surface.http.server import HttpServer

_JOURNAL_COUNTERS: Final = ("entries", "written_bytes", "flushes", "failures", "dropped", "refused")

_ALONE_S: Final = 2.0
"""How long exchanges whose callers have left may go on when everybody else is gone."""


def run_worker() -> None:
    """The entry of a worker process. Its arguments: the numbers of its end of the link, and of its pipe for stacks."""
    import uvloop  # noqa: PLC0415

    from tollhouse.runtime.worker import work  # noqa: PLC0415

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
    declared_keys: dict[str, Entry]
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


class Workshop:
    """Implements runtime.worker.Workshop, and surface.admin.Office for the operator's door."""

    def __init__(self, boot: Boot, fixtures: Fixtures, plan: Plan, ask_keeper: AskKeeper) -> None:
        from tollhouse.surface.admin import AdminDoor  # noqa: PLC0415
        from tollhouse.surface.http.server import HttpServer  # noqa: PLC0415

        self._fixtures = fixtures
        self._folder = boot.folder
        self._ask_keeper = ask_keeper
        self._lag_s = 0.0
        self._blocked: str | None = None
        self._started = time.monotonic()
        self._note(plan)
        self.server: HttpServer = HttpServer(
            house_of(fixtures, plan.snapshot, plan.bindings),
            _limits(plan.snapshot, fixtures),
            self._exposition,
            AdminDoor(Secret(boot.admin_key) if boot.admin_key else None, self),
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
        self.server.serve_by(house, _limits(plan.snapshot, self._fixtures), self._exposition)
        return plan.snapshot.hash

    def _plan_anew(self, word: Reload) -> Plan:
        snapshot = _compiled(word, self._folder, self._fixtures.plugins)
        return _planned(word, snapshot, self._fixtures, self._plan)

    def _note(self, plan: Plan) -> None:
        """Take in what does not lie in the house itself."""
        self._fixtures.keyring.declare(plan.declared_keys)
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

    def tell(self, about: str) -> bytes | None:
        """See runtime.worker."""
        return msgspec.json.encode({"deployments": self.deployments()}) if about == "deployments" else None

    def deployments(self) -> Sequence[StandingView]:
        """See surface.admin.Office."""
        return self._fixtures.standings.views(self._fixtures.clock.monotonic())

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
    def _exposition(self) -> Callable[[], bytes] | None:
        return self._fixtures.metrics.exposition if self._plan.snapshot.observability.prometheus else None

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
