"""The composition root: the only place that knows which adapter stands behind which port.

Adapters are imported where they are needed: a serving worker never loads the database library, a command never loads
the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollhouse.adapters.system import MasterKeyUnusable, SystemClock, load_master_key
from tollhouse.config.address import Listen, parse_network
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.snapshot import Snapshot, Upstream, from_wire, to_wire
from tollhouse.config.tree import Config, references
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import key_hint, time_ordered_id, virtual_key_text
from tollhouse.core.problem import ConfigInvalid, ConfigProblem
from tollhouse.core.secret import Secret
from tollhouse.plugins import load_plugins, load_providers
from tollhouse.stages.authenticate import key_digest, pepper_of

if TYPE_CHECKING:
    from tollhouse.adapters.http1 import Http1Transport
    from tollhouse.adapters.journal import FileJournal
    from tollhouse.adapters.mock_server import MockServer
    from tollhouse.adapters.prometheus import PrometheusSink
    from tollhouse.config.resolve import Resolution
    from tollhouse.pipeline import House
    from tollhouse.ports.credential import Opener
    from tollhouse.ports.log import Log
    from tollhouse.ports.secrets import SecretSource
    from tollhouse.ports.store import Store
    from tollhouse.ports.transport import Transport
    from tollhouse.runtime.feeder import Feeder
    from tollhouse.runtime.link import Boot
    from tollhouse.runtime.worker import Workshop
    from tollhouse.stages.dispatch import Binding
    from tollhouse.surface.http.server import HttpServer

MASTER_KEY_FILE: Final = "tollhouse.master-key"
_LOCK_FILE: Final = "keeper.lock"
_BACKLOG: Final = 4096
_PATIENCE_S: Final = 3.0
"""For a house that is about to open its control socket."""
_WORKER: Final = "from tollhouse.bootstrap import run_worker; run_worker()"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What the process was started with, as far as it matters."""

    variables: Mapping[str, str]
    """For `env:` references, and handed on to workers without them."""
    master_key: Secret | None = None
    store: str | None = None
    """Instead of the configuration's."""


class Loaded(msgspec.Struct, frozen=True):
    """A configuration that can be used."""

    config: Config
    snapshot: Snapshot
    folder: Path
    """Where the file is, and relative paths begin."""


class CannotServe(Exception):
    """The environment does not let the house be opened; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def read_config(path: Path, environment: Environment | None = None) -> Loaded:
    """Load and compile a configuration file. Raises: ConfigInvalid with everything that is wrong, OSError."""
    from tollhouse.config.load import load, locate  # noqa: PLC0415 - workers never read YAML

    text = path.read_text("utf-8", errors="replace")
    config = load(text)
    if environment is not None and environment.store is not None:
        config = msgspec.structs.replace(config, store=environment.store)
    try:
        snapshot = compile_config(config, load_providers(), folder=str(path.resolve().parent))
    except ConfigInvalid as invalid:
        raise ConfigInvalid(locate(text, invalid.problems)) from None
    snapshot = msgspec.structs.replace(snapshot, warnings=locate(text, snapshot.warnings))
    return Loaded(config, snapshot, path.resolve().parent)


def _pepper(folder: Path, environment: Environment) -> Secret:
    try:
        return pepper_of(environment.master_key or load_master_key(folder / MASTER_KEY_FILE))
    except MasterKeyUnusable as error:
        raise CannotServe(str(error)) from error


def _journal_folder(loaded: Loaded) -> Path:
    path = Path(loaded.snapshot.journal.folder)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotServe(f"The journal's folder {path} cannot be made: {error.strerror}.") from error
    return path


@contextmanager
def _only_keeper(folder: Path) -> Iterator[bool]:
    """Whether we are the one who keeps this journal, for as long as the block runs."""
    with (folder / _LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


# -- for the commands


class OpenHouse:
    """A house's store as commands use it, whether the house is running or not."""

    def __init__(self, snapshot: Snapshot, store: Store, pepper: Secret, folder: Path) -> None:
        self.snapshot = snapshot
        self.store = store
        self.pepper = pepper
        self._folder = folder

    def create_key(
        self, *, name: str, routes: Iterable[str], team: str | None = None, expires_s: float | None = None
    ) -> tuple[VirtualKey, str]:
        """A new virtual key in the store, and its text, which is kept nowhere. Raises: StoreUnavailable."""
        now, text = time.time(), virtual_key_text(os.urandom(32))
        key = VirtualKey(
            id=time_ordered_id("key_", now, os.urandom(5)),
            name=name,
            digest=key_digest(self.pepper, text),
            hint=key_hint(text),
            team=team,
            routes=tuple(routes),
            created_at=now,
            expires_at=now + expires_s if expires_s is not None else None,
        )
        self.store.add_key(key)
        return key, text

    def refresh(self) -> bool | None:
        """Have the running house take over the store's keys: True when it has, False if not, None if none runs."""
        from tollhouse.runtime.control import ask  # noqa: PLC0415

        until = time.monotonic() + _PATIENCE_S
        while (answer := ask(self._folder, "refresh")) is None:
            # A house that keeps the journal and cannot be asked has just started, or lost its socket.
            with _only_keeper(self._folder) as nobody_is_home:
                if nobody_is_home:
                    return None
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return answer

    def fold(self) -> None:
        """Bring the journal into the store: by the running house, or here when none runs. Raises: StoreUnavailable."""
        from tollhouse.runtime.control import ask  # noqa: PLC0415

        if ask(self._folder, "fold") is None:
            _feeder(self.store, self._folder).fold()


@contextmanager
def open_house(path: Path, environment: Environment) -> Iterator[OpenHouse]:
    """The house of a configuration file, for one command.

    Raises: ConfigInvalid, StoreUnavailable, CannotServe.
    """
    loaded = read_config(path, environment)
    journal_folder = _journal_folder(loaded)
    store = _open_store(loaded)
    try:
        yield OpenHouse(loaded.snapshot, store, _pepper(loaded.folder, environment), journal_folder)
    finally:
        store.close()


def _open_store(loaded: Loaded) -> Store:
    from tollhouse.adapters.sql import open_store  # noqa: PLC0415

    store = open_store(loaded.snapshot.store, loaded.folder)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def _feeder(store: Store, journal_folder: Path) -> Feeder:
    from tollhouse.adapters.journal import FileJournalReader  # noqa: PLC0415
    from tollhouse.runtime.feeder import Feeder  # noqa: PLC0415

    return Feeder(store, FileJournalReader(journal_folder))


def mock_server(host: str = "127.0.0.1", port: int = 0, *, require_key: str | None = None) -> MockServer:
    """The scripted provider, to be entered with `async with`."""
    from tollhouse.adapters.mock_server import MockServer  # noqa: PLC0415

    return MockServer(host, port, require_key=require_key)


# -- the keeper


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
    loaded = read_config(path, environment)
    warn(loaded.snapshot.warnings)
    secrets = _secrets(loaded, environment)
    pepper = _pepper(loaded.folder, environment)
    journal_folder = _journal_folder(loaded)
    with (
        _only_keeper(journal_folder) as is_ours,
        _listener(listen or loaded.snapshot.listen) as listener,
    ):
        if not is_ours:
            raise CannotServe(
                f"Another house keeps the journal in {journal_folder}.",
                "Stop it first, or give this one a journal.folder of its own.",
            )
        asyncio.run(_keep(loaded, environment, listener, secrets, pepper, on_ready))


def resolve_secrets(loaded: Loaded, environment: Environment) -> Resolution:
    """What the configuration's references lead to."""
    from tollhouse.adapters.secrets import EnvSecrets, FileSecrets  # noqa: PLC0415
    from tollhouse.config.resolve import resolve_all  # noqa: PLC0415

    sources: list[SecretSource] = [EnvSecrets(environment.variables), FileSecrets(loaded.folder)]
    return resolve_all(references(loaded.config), sources)


def _secrets(loaded: Loaded, environment: Environment) -> Mapping[str, Secret]:
    """Raises: ConfigInvalid naming every reference that cannot be resolved."""
    resolution = resolve_secrets(loaded, environment)
    if not resolution.is_complete:
        raise ConfigInvalid(resolution.problems)
    _check_forms(loaded.snapshot, resolution.secrets)
    return resolution.secrets


def _check_forms(snapshot: Snapshot, secrets: Mapping[str, Secret]) -> None:
    """Raises: ConfigInvalid naming every secret that cannot be one of its provider's kind."""
    from tollhouse.ports.provider import AuthScheme  # noqa: PLC0415

    formed = {
        name: (upstream, secrets[upstream.credential])
        for name, upstream in snapshot.providers.items()
        if upstream.credential is not None and upstream.provider.auth.scheme is not AuthScheme.HEADER
    }
    problems = asyncio.run(_misformed(formed)) if formed else ()
    if problems:
        raise ConfigInvalid(problems)


async def _misformed(formed: Mapping[str, tuple[Upstream, Secret]]) -> tuple[ConfigProblem, ...]:
    from tollhouse.adapters.credentials import opener_for  # noqa: PLC0415
    from tollhouse.adapters.http1 import Http1Transport  # noqa: PLC0415

    problems = []
    transport = Http1Transport()
    for name, (upstream, secret) in formed.items():
        try:
            opener_for(
                upstream.provider.auth, secret, upstream.origin, upstream.settings, transport, SystemClock()
            )
        except ValueError as error:
            problems.append(ConfigProblem(path=f"providers.{name}.credential", message=str(error)))
    await transport.close()
    return tuple(problems)


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


async def _keep(
    loaded: Loaded,
    environment: Environment,
    listener: socket.socket,
    secrets: Mapping[str, Secret],
    pepper: Secret,
    on_ready: Callable[[str], None] | None,
) -> None:
    from tollhouse.adapters.log import StderrLog  # noqa: PLC0415
    from tollhouse.runtime.keeper import Books, FirstKeys, Keeper, Orders  # noqa: PLC0415
    from tollhouse.runtime.link import Boot  # noqa: PLC0415

    log = StderrLog(as_json=loaded.config.observability.log == "json")
    clock = SystemClock()
    journal_folder = _journal_folder(loaded)
    async with AsyncExitStack() as stack:
        base_urls: dict[str, str] = {}
        for name, provider in loaded.config.providers.items():
            if provider.kind == "mock" and provider.base_url is None:
                base_urls[name] = (await stack.enter_async_context(mock_server())).base_url

        def boot(writer: str) -> Boot:
            return Boot(
                config=to_wire(loaded.config),
                secrets={reference: secret.reveal() for reference, secret in secrets.items()},
                pepper=pepper.reveal(),
                base_urls=base_urls,
                folder=str(loaded.folder),
                writer=writer,
                listener_fd=listener.fileno(),
            )

        def read_first_keys() -> FirstKeys:
            from tollhouse.adapters.first_keys import first_keys  # noqa: PLC0415

            return first_keys(Path(loaded.snapshot.store.removeprefix("sqlite:///")))

        def open_books() -> Books:
            store = _open_store(loaded)
            return Books(store, _feeder(store, journal_folder))

        async def spawn(end: socket.socket) -> asyncio.subprocess.Process:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _WORKER,
                str(end.fileno()),
                pass_fds=(end.fileno(), listener.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                env=_without_secrets(environment.variables, secrets),
            )

        def ready() -> None:
            host, port = listener.getsockname()[:2]
            address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            log.info("ready", address=address, config=loaded.snapshot.hash, pid=os.getpid())
            if on_ready is not None:
                on_ready(address)

        orders = Orders(
            boot=boot,
            spawn=spawn,
            first_keys=read_first_keys,
            open_books=open_books,
            new_writer=lambda: time_ordered_id("w", clock.now(), clock.entropy(4)),
            folder=journal_folder,
            drain_s=loaded.config.server.drain_s,
        )
        await Keeper(orders, log).run(ready)
        log.info("stopped")


def _without_secrets(variables: Mapping[str, str], secrets: Mapping[str, Secret]) -> dict[str, str]:
    """A worker's environment: it gets secrets by the link, and anybody of the same user can read an environment."""
    named = {reference.partition(":")[2] for reference in secrets if reference.startswith("env:")}
    return {
        name: value
        for name, value in variables.items()
        if name not in named and name != "TOLLHOUSE_MASTER_KEY"
    }


# -- the worker


def run_worker() -> None:
    """The entry of a worker process: its one argument is the number of its end of the link."""
    import uvloop  # noqa: PLC0415

    from tollhouse.runtime.worker import work  # noqa: PLC0415

    _raise_open_files()
    uvloop.run(work(socket.socket(fileno=int(sys.argv[1])), assemble))


def _raise_open_files() -> None:
    """As many open files as the system lets us have: every caller is one, and every upstream connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def assemble(boot: Boot) -> Workshop:
    """Everything a worker serves with, from the keeper's word. Runs inside the worker's loop."""
    from tollhouse.adapters.fetch import GuardedFetcher  # noqa: PLC0415
    from tollhouse.adapters.http1 import Http1Transport  # noqa: PLC0415
    from tollhouse.adapters.journal import FileJournal  # noqa: PLC0415
    from tollhouse.adapters.log import StderrLog  # noqa: PLC0415
    from tollhouse.adapters.memory import MemoryRecall  # noqa: PLC0415
    from tollhouse.adapters.prometheus import PrometheusSink  # noqa: PLC0415
    from tollhouse.pipeline import House  # noqa: PLC0415
    from tollhouse.stages.account import Accountant  # noqa: PLC0415
    from tollhouse.stages.authenticate import Keyring  # noqa: PLC0415
    from tollhouse.stages.dispatch import Dispatcher  # noqa: PLC0415
    from tollhouse.stages.list_models import ModelBook  # noqa: PLC0415
    from tollhouse.stages.translate import Workbench, find_way  # noqa: PLC0415
    from tollhouse.surface.http.connection import Limits  # noqa: PLC0415
    from tollhouse.surface.http.server import HttpServer  # noqa: PLC0415

    config = from_wire(boot.config)
    plugins = load_plugins()
    snapshot = compile_config(config, plugins.providers, base_urls=boot.base_urls, folder=boot.folder)
    clock = SystemClock()
    log = StderrLog(as_json=config.observability.log == "json")
    journal = FileJournal(
        Path(snapshot.journal.folder),
        boot.writer,
        durability=snapshot.journal.durability,
        max_bytes=snapshot.journal.max_bytes,
    )
    transport = Http1Transport()
    fetcher = GuardedFetcher(
        transport,
        clock,
        allow=[parse_network(network) for network in snapshot.fetch.allow],
        max_bytes=snapshot.fetch.max_bytes,
        timeout_s=snapshot.fetch.timeout_s,
    )
    metrics = PrometheusSink()
    house = House(
        snapshot=snapshot,
        workbench=Workbench(plugins.dialects, MemoryRecall(clock), fetcher),
        models=ModelBook(snapshot, plugins.dialects, find_way),
        keyring=Keyring(Secret(boot.pepper)),
        dispatcher=Dispatcher(transport, journal, clock, _bind(snapshot, transport, boot.secrets, clock)),
        accountant=Accountant(journal, [metrics], clock),
        clock=clock,
        report=lambda id_, defect: _report(log, id_, defect),
    )
    server = HttpServer(
        house,
        Limits(body_bytes=config.server.max_body_bytes),
        metrics.exposition if config.observability.prometheus else None,
    )
    return _Workshop(house, server, snapshot.declared_keys, journal, transport, metrics, log)


class _Workshop:
    """Implements runtime.worker.Workshop."""

    def __init__(
        self,
        house: House,
        server: HttpServer,
        declared_keys: tuple[VirtualKey, ...],
        journal: FileJournal,
        transport: Http1Transport,
        metrics: PrometheusSink,
        log: Log,
    ) -> None:
        self.house = house
        self.server = server
        self.declared_keys = declared_keys
        self._journal = journal
        self._transport = transport
        self._log = log
        self._lag_s = 0.0
        self._blocked: str | None = None
        self._started = time.monotonic()
        counters = frozenset(f"journal_{name}" for name in _JOURNAL_COUNTERS)
        metrics.watch(self._numbers, prefix="tollhouse_", counters=counters)

    def tick(self, lag_s: float) -> None:
        self._lag_s = lag_s
        blocked = self._journal.blocked
        if blocked != self._blocked:
            self._blocked = blocked
            if blocked is not None:
                self._log.error(
                    "journal_blocked", why=blocked, effect="nothing is sent upstream until it is mended"
                )
            else:
                self._log.info("journal_written_again")

    def _numbers(self) -> dict[str, float]:
        return {
            "connections": self.server.connection_count,
            "keys": len(self.house.keyring),
            "tasks": len(asyncio.all_tasks()),
            "loop_lag_seconds": self._lag_s,
            "uptime_seconds": time.monotonic() - self._started,
            **{f"journal_{name}": getattr(self._journal, name) for name in _JOURNAL_COUNTERS},
        }

    async def close(self) -> None:
        self._journal.close()
        await self._transport.close()


_JOURNAL_COUNTERS: Final = ("entries", "written_bytes", "flushes", "failures", "dropped", "refused")


def _bind(
    snapshot: Snapshot, transport: Transport, secrets: Mapping[str, str], clock: SystemClock
) -> dict[str, Binding]:
    from tollhouse.adapters.credentials import opener_for  # noqa: PLC0415
    from tollhouse.ports.transport import Credential  # noqa: PLC0415
    from tollhouse.stages.dispatch import Binding  # noqa: PLC0415

    bindings = {}
    for name, upstream in snapshot.providers.items():
        opener: Credential | Opener | None = None
        secret: Secret | None = None
        if upstream.credential is not None:
            secret = Secret(secrets[upstream.credential])
            opener = opener_for(
                upstream.provider.auth,
                secret,
                upstream.origin,
                upstream.settings,
                transport,
                clock,
                egress=upstream.egress,
            )
        bindings[name] = Binding(
            upstream,
            transport.bind(upstream.origin, opener, upstream.egress),
            secret,
            None if isinstance(opener, Credential) else opener,
        )
    return bindings


def _report(log: Log, request_id: str, defect: BaseException) -> None:
    """A defect's place, without any value: a traceback's lines may quote what somebody sent."""
    frames = []
    trace = defect.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    log.error("defect", request_id=request_id, kind=type(defect).__name__, where=" > ".join(frames[-8:]))
