"""The keeper's process: what it keeps, and how it starts its workers."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollhouse.adapters.system import SystemClock, forbid_dumps
from tollhouse.config.address import Listen
from tollhouse.core.ids import time_ordered_id
from tollhouse.core.master_key import Purpose
from tollhouse.core.problem import ConfigProblem
from tollhouse.core.secret import Secret

from .administration import ErrandDesk, check_admin_key, rules_since
from .books import feeder_of, only_keeper, open_books
from .editions import Editions
from .identity import IdTokens, KeyFetches
from .reading import CannotServe, Environment, Loaded, journal_folder, read_config
from .sealing import KeeperSeal, client_token_keys, keeper_seal, keyring_of
from .secrets import SecretResolver, resolver_of, without_secrets
from .sharing import news_of, treasury_of

if TYPE_CHECKING:
    from tollhouse.adapters.store_snapshot import SignedSnapshotFile
    from tollhouse.ports.administration import HouseRules
    from tollhouse.runtime.bookkeeping import Books
    from tollhouse.runtime.edition import Edition
    from tollhouse.runtime.keeper import FirstKeys
    from tollhouse.runtime.link import Boot

_BACKLOG: Final = 4096
_SNAPSHOT_FILE: Final = "store.snapshot"
_WORKER: Final = "from tollhouse.bootstrap import run_worker; run_worker()"


def serve_house(
    path: Path,
    environment: Environment,
    listen: Listen | None,
    *,
    warn: Callable[[tuple[ConfigProblem, ...]], None],
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until a signal ends it.

    `warn` is told what is not wrong but odd; `on_ready` the address, once known keys can be served.
    Raises: ConfigInvalid, CannotServe, StoreUnavailable.
    """
    forbid_dumps()
    check_admin_key(environment)
    loaded = read_config(path, environment)
    warn(loaded.snapshot.warnings)
    folder = journal_folder(loaded)
    seal = keeper_seal(loaded, environment, folder)
    resolver = resolver_of(loaded, environment, sealer=seal.sealer, last_known=seal.last_known)
    secrets = resolver.usable(loaded, warn)
    with (
        only_keeper(folder) as is_ours,
        _listener(listen or loaded.snapshot.listen) as listener,
    ):
        if not is_ours:
            raise CannotServe(
                f"Another house keeps the journal in {folder}.",
                "Stop it first, or give this one a journal.folder of its own.",
            )
        keeping = _Keeping(
            loaded=loaded,
            secrets=secrets,
            environment=environment,
            seal=seal,
            resolver=resolver,
            folder=folder,
            listener=listener,
            clock=SystemClock(),
        )
        asyncio.run(keeping.keep(path, on_ready))


@contextmanager
def _listener(listen: Listen) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((listen.host, listen.port))
            listener.listen(_BACKLOG)
        except OSError as error:
            raise CannotServe(
                f"Cannot listen on {listen.host} port {listen.port}: {error.strerror or error}.",
                "Free the address, or choose another with --listen or server.listen.",
            ) from error
        listener.settimeout(0.0)
        yield listener


class _Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """How the keeper of one house does what it is there for."""

    loaded: Loaded
    """What the house was started with."""
    secrets: Mapping[str, Secret]
    environment: Environment
    seal: KeeperSeal
    resolver: SecretResolver
    folder: Path
    """The journal's."""
    listener: socket.socket
    clock: SystemClock

    async def keep(self, path: Path, on_ready: Callable[[str], None] | None) -> None:
        """Until a signal ends it."""
        from tollhouse.adapters.log import StderrLog  # noqa: PLC0415
        from tollhouse.runtime.keeper import Keeper, Orders  # noqa: PLC0415
        from tollhouse.runtime.seat import NeverServed  # noqa: PLC0415

        log = StderrLog(as_json=self.loaded.config.observability.log == "json")
        address = self._address()

        def ready() -> None:
            log.info("ready", address=address, config=self.loaded.snapshot.hash, pid=os.getpid())
            if on_ready is not None:
                on_ready(address)

        id_tokens = IdTokens(self.clock.now)
        desk = ErrandDesk(lambda: self.seal.pepper, id_tokens)
        editions = Editions(
            path,
            self.environment,
            self.loaded,
            self.resolver,
            client_token_keys=lambda: client_token_keys(
                self.loaded.folder, self.environment, self.seal.sealer
            ),
        )
        try:
            orders = Orders(
                edition=await editions.first(self.loaded, self.secrets),
                seats=self.loaded.config.server.workers,
                read_again=editions.read_again,
                renew_secrets=editions.renew_secrets,
                boot=self._boot,
                spawn=self._spawn,
                close_listener=self.listener.close,
                first_keys=self._first_keys,
                first_rules=self._first_rules,
                open_books=self._open_books,
                new_writer=lambda: time_ordered_id("w", self.clock.now(), self.clock.entropy(4)),
                folder=self.folder,
                snapshots=self._snapshots(),
                administrate=desk,
                note_reload=desk.note_reload,
                rules_since=rules_since,
                key_sets=KeyFetches(self.loaded.folder),
                sign_on=id_tokens,
                now=self.clock.now,
                treasury=treasury_of(self.loaded.shared, self.clock),
                news=news_of(self.loaded.shared, self.clock),
            )
            await Keeper(orders, log).run(ready)
        except NeverServed as failure:
            raise CannotServe(
                f"The gateway cannot be opened: {failure}.",
                "What they said last stands above. Look for what they lack here, such as memory, open files or a "
                "library; if they lack nothing, it is a defect of the gateway: report it.",
            ) from failure
        finally:
            await editions.close()
        log.info("stopped")

    def _address(self) -> str:
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _boot(self, edition: Edition, writer: str, seat: int) -> Boot:
        from tollhouse.runtime.link import Boot  # noqa: PLC0415

        return Boot(
            config=edition.config,
            secrets=dict(edition.secrets),
            pepper=self.seal.pepper,
            client_token_keys=edition.client_token_keys,
            base_urls=dict(edition.base_urls),
            folder=str(self.loaded.folder),
            writer=writer,
            answer_keys=self.seal.sealer.keyring.derive(Purpose.ANSWERS),
            shared=self.loaded.shared,
            listener_fd=self.listener.fileno(),
            seat=seat,
            seats=self.loaded.config.server.workers,
            admin_key=self.environment.admin_key,
            waits_for_restart=edition.waits_for_restart,
        )

    async def _spawn(
        self, end: socket.socket, stacks_fd: int, edition: Edition
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _WORKER,
            str(end.fileno()),
            str(stacks_fd),
            pass_fds=(end.fileno(), stacks_fd, self.listener.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            env=without_secrets(self.environment.variables, edition.secrets),
        )

    def _snapshots(self) -> SignedSnapshotFile | None:
        most_hours = self.loaded.config.server.snapshot_max_age_hours
        if not most_hours:
            return None
        from tollhouse.adapters.store_snapshot import SignedSnapshotFile  # noqa: PLC0415

        return SignedSnapshotFile(
            self.folder / _SNAPSHOT_FILE,
            self._signing_keys,
            store=self.loaded.config.store,
            most_hours=most_hours,
        )

    def _signing_keys(self) -> tuple[Secret, ...]:
        """By the master keys as they are now: they may be rotated while the house serves."""
        try:
            keyring = keyring_of(self.loaded.folder, self.environment)
        except CannotServe:
            keyring = self.seal.sealer.keyring
        return keyring.derive(Purpose.SNAPSHOTS)

    def _first_keys(self) -> FirstKeys:
        from tollhouse.adapters.first_keys import first_keys  # noqa: PLC0415

        return first_keys(Path(self.loaded.snapshot.store.removeprefix("sqlite:///")))

    def _first_rules(self) -> HouseRules | None:
        from tollhouse.adapters.first_keys import first_rules  # noqa: PLC0415

        return first_rules(Path(self.loaded.snapshot.store.removeprefix("sqlite:///")))

    def _open_books(self) -> Books:
        from tollhouse.runtime.bookkeeping import Books  # noqa: PLC0415

        store = open_books(self.loaded)
        try:
            self.seal.confirm(store)
        except BaseException:
            store.close()
            raise
        return Books(store, feeder_of(store, self.folder))
