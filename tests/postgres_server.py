"""A real PostgreSQL in a temporary folder, for tests: on a loopback port of its own, with a password.

It is as quick as it can be made, because what it keeps need not outlive the machine; of everything else it is as users
meet it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from house import free_port

PASSWORD = "pg-canary-9wT4kXr2Qz"
_USER = "keeper"
_QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "huge_pages": "off",
    "max_worker_processes": "0",
    "lc_messages": "C",
}


class ServerMissing(Exception):
    """There is no PostgreSQL on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "this test needs a PostgreSQL server. On Debian, as root: apt-get install postgresql"
        )


def _programs() -> Path:
    """The folder with `initdb` and `postgres`, the newest where there are several."""
    if (found := shutil.which("initdb")) is not None and shutil.which("postgres") is not None:
        return Path(found).parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: float(path.parts[-3]), default=None)
    if newest is None:
        raise ServerMissing
    return newest.parent


class PostgresServer:
    """One server. Stopped by its own process id, whatever happened to it; its folder goes with it."""

    def __init__(self, **settings: str) -> None:
        self._programs = _programs()
        self._settings = {**_QUICK, **settings}
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="tollhouse-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._free: list[str] = []
        self._as: tuple[str, ...] = ("setpriv", "--pdeathsig=INT")
        """It does not outlive the tests, however they end."""
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as += (f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
        self._initialise()

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def url(self, database: str = "postgres", *, password: str = PASSWORD, port: int | None = None) -> str:
        return f"postgresql://{_USER}:{password}@127.0.0.1:{port or self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """The URL of an empty database that stays."""
        self._made += 1
        name = f"books_{self._made}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, for the block. Making one takes long, so it is cleaned and used again."""
        url = self._free.pop() if self._free else self.new_database()
        yield url
        name = url.rpartition("/")[2]
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        self.execute("DROP SCHEMA public CASCADE", url)
        self.execute("CREATE SCHEMA public", url)
        self.execute("GRANT USAGE ON SCHEMA public TO PUBLIC", url)
        self._free.append(url)

    def execute(self, statement: str, url: str | None = None) -> list[tuple[object, ...]]:
        """A statement of the operator's, outside of any transaction."""
        with psycopg.connect(url or self.url(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    # -- the process

    def start(self) -> None:
        """Start, and return when it takes connections."""
        settings = [flag for name, value in self._settings.items() for flag in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._as,
                    str(self._programs / "postgres"),
                    *("-D", str(self.folder / "data"), "-k", str(self.folder), "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1"),
                    *settings,
                ],
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def stop(self, mode: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends all sessions and stops in order; SIGQUIT at once, as after a crash."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(mode)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def pids(self) -> list[int]:
        """Of all its processes, the first first."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside the block it hangs: it holds its connections and answers nobody."""
        pids = self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def configured(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Inside the block it has these settings, which sessions that are open take over as well."""
        for name, value in settings.items():
            self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self._reload()
        try:
            yield
        finally:
            for name in settings:
                # A session that may write, whatever is the rule now.
                self.execute(
                    f"ALTER SYSTEM RESET {name}",
                    f"{self.url()}?options=-cdefault_transaction_read_only%3Doff",
                )
            self._reload()

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _reload(self) -> None:
        self.execute("SELECT pg_reload_conf()")
        time.sleep(0.1)

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        subprocess.run(
            [
                *self._as,
                str(self._programs / "initdb"),
                *(
                    "-D",
                    str(self.folder / "data"),
                    "-U",
                    _USER,
                    "-A",
                    "scram-sha-256",
                    "--pwfile",
                    str(secret),
                ),
                *("-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
            ],
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        until = time.monotonic() + 20
        while time.monotonic() < until and self._process.poll() is None:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"PostgreSQL has not come up: {self.log.read_text()[-2000:]}")


@contextlib.contextmanager
def running_postgres(**settings: str) -> Iterator[PostgresServer]:
    """A server of one's own, for tests that do something to it."""
    server = PostgresServer(**settings)
    try:
        server.start()
        yield server
    finally:
        server.close()
