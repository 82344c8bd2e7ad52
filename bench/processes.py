"""Starting processes on chosen cores, and stopping every one of them whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from .problems import BenchImpossible, RunVoid

_STOP_PATIENCE_S: Final = 10.0
_LOG_TAIL_BYTES: Final = 2000
_LOG: Final = "output.log"


class Cores(msgspec.Struct, frozen=True, kw_only=True):
    """Which cores the gateway has for itself, and which the load generator and the upstream share."""

    gateway: tuple[int, ...]
    others: tuple[int, ...]


def split_cores(allowed: Collection[int]) -> Cores:
    """The first core for the gateway, the rest for everything else. Raises BenchImpossible with one core."""
    first, *rest = sorted(allowed)
    if not rest:
        raise BenchImpossible("The bench needs two cores; this process may use one.")
    return Cores(gateway=(first,), others=tuple(rest))


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A program to start: its files are written into a fresh folder, which is its working directory."""

    command: tuple[str, ...]
    files: Mapping[str, str] = {}
    environment: Mapping[str, str] = {}


def environment_of(launch: Launch) -> dict[str, str]:
    """Our own environment and what the launch adds to it."""
    return {**os.environ, **launch.environment}


def last_words(output: bytes) -> str:
    """The end of what a program wrote, for people."""
    return output[-_LOG_TAIL_BYTES:].decode(errors="replace").strip() or "(it said nothing)"


class Running:
    """A started program. Use `run` to make one."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, started: float) -> None:
        self._process = process
        self._log = log
        self.started = started
        """time.perf_counter() just before it was started."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def require_alive(self) -> None:
        """Raises RunVoid with the last words of a program that has ended."""
        status = self._process.poll()
        if status is not None:
            raise RunVoid(f"it ended with status {status}; its last words:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return last_words(self._log.read_bytes())

    def stop(self) -> None:
        """Ask it to end, then make its whole group end. Only what was started here is touched."""
        with _signals_held():
            if self._process.poll() is None:
                self._process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_PATIENCE_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_STOP_PATIENCE_S)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Let SIGINT and SIGTERM act only after the block, so that none falls between starting and being able to stop.

    Python's handlers are exchanged, not the mask: a child would inherit that and be deaf to being stopped.
    """
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


@contextlib.contextmanager
def run(launch: Launch, *, folder: Path, cores: Sequence[int]) -> Iterator[Running]:
    """Start the program on the cores; it is stopped on leaving, also by an error or Ctrl-C."""
    write_files(launch, folder)
    with contextlib.ExitStack() as stack:
        with _signals_held():
            running = _start(launch, folder, cores)
            stack.callback(running.stop)
        yield running


def _start(launch: Launch, folder: Path, cores: Sequence[int]) -> Running:
    log = folder / _LOG
    mine = os.sched_getaffinity(0)
    with log.open("ab") as output:
        os.sched_setaffinity(0, cores)  # a child begins on the cores of the thread that starts it
        try:
            started = time.perf_counter()
            process = subprocess.Popen(
                launch.command,
                cwd=folder,
                env=environment_of(launch),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.sched_setaffinity(0, mine)
    return Running(process, log, started)


def write_files(launch: Launch, folder: Path) -> None:
    """Write the files of a launch into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in launch.files.items():
        (folder / name).write_text(text)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(running: Running, port: int, limit_s: float = 10.0) -> None:
    """Return when the program listens. Raises RunVoid when it ends or does not within `limit_s`."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        running.require_alive()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RunVoid(f"nobody listened on the port within {limit_s:g} s; last words:\n{running.last_words()}")
