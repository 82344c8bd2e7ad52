"""Client programs driven from here: processes in the environments of the SDKs, one per driver, kept running."""

from __future__ import annotations

import json
import os
import select
import subprocess
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
    """One driver in one environment."""

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

    def do(self, base: str, model: str, *, scenario: str, stream: bool, **more: Any) -> dict[str, Any]:
        """One conversation: `turns`, and `error` or `not_offered` where there was one."""
        has_tools = scenario in ("tool", "parallel", "loop", "long")
        job = {
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
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], PATIENCE_S)[0]:
            self.stop()
            raise AssertionError(f"{self.name} did not answer within {PATIENCE_S:g} s")
        line = self._process.stdout.readline()
        assert line, f"{self.name} died: {self._log.read_text()[-3000:]}"
        result: dict[str, Any] = json.loads(line)
        return result

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


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
        "AI_SDK_LOG_WARNINGS": "false",
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
