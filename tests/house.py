"""A real house in its own processes and folder, for tests that look at it from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from tollhouse.testing import CanaryScanner

PROVIDER_KEY = "sk-upstream-canary-7Q2xk9ZrTf3LmB8v"


def config_text(upstream: str, *, listen: str = "127.0.0.1:0", **more: Any) -> str:
    """A configuration with one provider and three routes; JSON is YAML."""
    tree: dict[str, Any] = {
        "version": 1,
        "server": {"listen": listen, "drain_s": 5},
        "providers": {"up": {"kind": "openai_compatible", "base_url": upstream, "credential": "env:UP_KEY"}},
        "routes": {
            "gpt": {"deployments": [{"provider": "up", "model": "mock-chat"}], "retry": {"max_attempts": 1}},
            "text": {
                "deployments": [{"provider": "up", "model": "mock-completion"}],
                "retry": {"max_attempts": 1},
            },
            "embed": {
                "deployments": [{"provider": "up", "model": "mock-embedding"}],
                "retry": {"max_attempts": 1},
            },
        },
    }
    tree.update(more)
    return json.dumps(tree, indent=1)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class House:
    """`tollhouse serve` and the commands beside it."""

    started: ClassVar[list[House]] = []
    """All of this test process: a test that fails leaves its house to the end of the run, which stops it."""

    def __init__(self, folder: Path, config: str, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.config = folder / "tollhouse.yaml"
        self.config.write_text(config)
        self.env = {**os.environ, "UP_KEY": PROVIDER_KEY, **(env or {})}
        self.env.pop("TOLLHOUSE_CONFIG", None)
        self.log = folder / "serve.log"
        self.url = ""
        self.under: tuple[str, ...] = ()
        """A command that starts the one behind it, such as prlimit with its arguments."""
        self._process: subprocess.Popen[bytes] | None = None

    # -- the process

    def start(self) -> None:
        """Start serving, and return when known keys can be served."""
        with self.log.open("ab") as log:
            start = log.tell()
            self._process = subprocess.Popen(
                [*self.under, sys.executable, "-m", "tollhouse", "serve", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                env=self.env,
                start_new_session=True,
            )
        House.started.append(self)
        self.url = self._wait_for_event("ready", start)["address"]

    def _wait_for_event(self, name: str, start: int, patience_s: float = 30.0) -> dict[str, Any]:
        assert self._process is not None
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            for event in self.events(start):
                if event["event"] == name:
                    return event
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"the house did not say {name!r}: {self.log.read_text()[start:]}")

    def events(self, start: int = 0) -> list[dict[str, Any]]:
        """What the house logged, as documents."""
        lines = self.log.read_bytes()[start:].decode().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def worker_pids(self) -> list[int]:
        """The serving processes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in children]

    def stop(self) -> int:
        """SIGTERM, and the exit status. Whatever the test was about, the provider's key is in no file of the house."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(30)
        assert CanaryScanner({"provider key": PROVIDER_KEY}).scan_tree(self.folder) == []
        return status

    def wait_killed(self) -> None:
        """Somebody killed the keeper: collect it."""
        assert self._process is not None
        self._process.wait(10)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9 for every process of the house at once."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    # -- the commands

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of the command line."""
        done = subprocess.run(
            [sys.executable, "-m", "tollhouse", *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            env=self.env,
            timeout=60,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def new_key(self, *routes: str, name: str = "test", more: tuple[str, ...] = ()) -> str:
        """The text of a fresh virtual key."""
        return self.new_key_with_id(*routes, name=name, more=more)["key"]

    def new_key_with_id(self, *routes: str, name: str = "test", more: tuple[str, ...] = ()) -> dict[str, str]:
        flags = [flag for route in routes or ("*",) for flag in ("--route", route)]
        created: dict[str, str] = json.loads(
            self.run("keys", "create", "--name", name, *flags, *more, "--json").stdout
        )
        return created

    def book(self, limit: int = 1000) -> list[dict[str, Any]]:
        """What `requests --json` shows, newest first."""
        return [
            json.loads(line)
            for line in self.run("requests", "--limit", str(limit), "--json").stdout.splitlines()
        ]

    # -- plain HTTP

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def chat(self, key: str, **body: Any) -> tuple[int, dict[str, str], bytes]:
        """A chat call with plain HTTP."""
        document = {"model": "gpt", "messages": [{"role": "user", "content": "hello there"}], **body}
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        return self.call("POST", "/v1/chat/completions", json.dumps(document).encode(), headers)


@contextlib.contextmanager
def running_house(folder: Path, config: str, env: Mapping[str, str] | None = None) -> Iterator[House]:
    """A house that is open inside the block and has closed cleanly after it."""
    house = House(folder, config, env)
    house.start()
    try:
        yield house
    except BaseException:
        house.kill()
        raise
    status = house.stop()
    assert status == 0, house.log.read_text()
