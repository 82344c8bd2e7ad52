"""A real Redis on a free port, in a folder of its own, for tests that need one."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from house import free_port

_START_S = 10.0
_STOP_S = 10.0


class RedisServer:
    """One server process. It is stopped by its own process id, and can be killed, frozen and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        """`options` are words of its command line, such as `--maxmemory 10mb`. Raises: RuntimeError if there is none on
        this machine.
        """
        self.binary = shutil.which("redis-server") or shutil.which("valkey-server")
        if self.binary is None:
            raise RuntimeError("this test needs Redis; as root: apt-get install redis-server")
        self.folder = folder
        self.options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, *options: str) -> None:
        """Returns when it answers. What an earlier one saved in the folder is there again."""
        assert self.binary is not None
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                    "--save", "", "--daemonize", "no", *self.options, *options,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self.ask("PING")
                return
            except redis.RedisError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)

    def ask(self, *words: str | int) -> Any:
        """What it answers to one command."""
        with redis.Redis(port=self.port, decode_responses=True, protocol=2, socket_timeout=5) as client:
            return client.execute_command(*words)

    def freeze(self) -> None:
        """It holds its connections and does nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """At once, as a machine dies. Again does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(_STOP_S)

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *why: object) -> None:
        self.kill()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextlib.contextmanager
def running_redis(folder: Path, *options: str) -> Iterator[RedisServer]:
    """One that is running, and is gone afterwards."""
    with RedisServer(folder, *options) as server:
        yield server
