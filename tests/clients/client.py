"""Client programs driven from here: processes in the environments of the SDKs, one per driver, kept running."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from clients.answers import TOOLS

ROOT: Final = Path(__file__).resolve().parents[2]
DRIVERS: Final = Path(__file__).resolve().parent / "drivers"
NPM: Final = Path(__file__).resolve().parent / "npm"
PATIENCE_S: Final = 90.0
"""For one job; the first includes loading the SDK."""

KEY: Final = "sk-client-canary-Zp4vT9sWq2Lx8Nd6"
"""The key all clients use; the house knows its hash."""


class Client:
    """One driver in one environment. Jobs are numbered, and a driver that says anything but the answer to the job it
    was given is stopped, so that no test ever gets the answer to another's job."""

    def __init__(
        self, command: list[str], name: str, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**_clean_environment(), **(env or {})},
            )
        self._jobs = 0
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Lines as they come; an empty one when there will be no more."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def do(self, base: str, model: str, *, scenario: str, stream: bool, **more: Any) -> dict[str, Any]:
        """One conversation: `turns`, and `error` or `not_offered` where there was one."""
        has_tools = scenario in ("tool", "parallel", "loop", "long")
        self._jobs += 1
        job = {
            "number": self._jobs,
            "base": base,
            "key": KEY,
            "model": model,
            "stream": stream,
            "tools": TOOLS if has_tools else [],
            "thinking": scenario in ("thought", "long"),
            "limit": {"tool": 1, "parallel": 1}.get(scenario, 12),
            "keep": True,
            "prompt": "How is the weather, and which files are there?",
            **more,
        }
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
            return self._answer()
        except BaseException:  # whatever happened, what it says next is not for the next test
            self.stop()
            raise

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise AssertionError(f"{self.name} did not answer within {PATIENCE_S:g} s") from None
        assert line, f"{self.name} died: {self._log.read_text()[-3000:]}"
        assert line.startswith(b"{"), f"{self.name} wrote what is no result: {line!r}"
        result: dict[str, Any] = json.loads(line)
        number = result.pop("number", None)
        assert number == self._jobs, f"{self.name} answered job {number}, not {self._jobs}"
        return result

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):  # a job that was never read
            self._process.stdin.close()
        self._listener.join()
        self._process.stdout.close()


def _clean_environment() -> dict[str, str]:
    """No keys, proxies or telemetry of whoever runs the tests."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "USER") if name in os.environ
    }
    return {
        **kept,
        "NO_PROXY": "*",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def python_client(driver: str, era: str, log: Path) -> Client:
    """A driver in `.venvs/clients-<era>`. Raises: AssertionError, when that is not installed."""
    python = ROOT / ".venvs" / f"clients-{era}" / "bin" / "python"
    assert python.exists(), f"{python} is missing: `make clients` installs it"
    return Client([str(python), "-W", "ignore", str(DRIVERS / f"{driver}.py")], f"{driver} ({era})", log)


def node_client(log: Path) -> Client:
    """The driver for Node.js. Raises: AssertionError, when its packages are not installed."""
    assert (NPM / "node_modules").exists(), f"{NPM / 'node_modules'} is missing: `make clients` installs it"
    return Client(["node", str(NPM / "run.mjs")], "node", log)
