"""The official SDKs, in their own environment, asked to stream through the house: what does their user get to see?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.rig import Rig

_ROOT = Path(__file__).resolve().parents[2]
_PYTHON = _ROOT / ".venvs" / "clients-newest" / "bin" / "python"
_DRIVERS = _ROOT / "tests" / "clients" / "drivers"


@dataclass(frozen=True)
class Result:
    """What came of one call by an SDK."""

    number: int
    error: dict[str, Any] | None
    turns: list[Any]

    @property
    def is_api_error(self) -> bool:
        """Whether the SDK itself raised: all of them call the root of what they raise so."""
        return self.error is not None and "APIError" in self.error["bases"]

    @property
    def told(self) -> str:
        return (
            f"{self.error['class']}: {self.error['message'][:120]}" if self.error else f"{self.turns}"[:120]
        )


async def stream_all(rig: Rig, cases: Mapping[str, Sequence[object]]) -> dict[str, list[Result]]:
    """One streamed call for each case of each dialect, to the model `DIALECT-NUMBER`; all SDKs at the same time."""
    key = rig.house.new_key("*", name="sdks")
    results = await asyncio.gather(
        *[_stream(rig.house.url, key, dialect, len(each)) for dialect, each in cases.items()]
    )
    return dict(zip(cases, results, strict=True))


async def _stream(url: str, key: str, dialect: str, count: int) -> list[Result]:
    assert _PYTHON.exists(), "the SDKs are not there: make .make/clients-newest"
    jobs = [
        {
            "number": number, "base": url, "key": key, "model": f"{dialect}-{number}", "stream": True, "tools": [],
            "thinking": False, "limit": 1, "keep": True, "prompt": "count, please",
        }
        for number in range(count)
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        str(_PYTHON),
        str(_DRIVERS / f"{dialect}.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    written, _ = await process.communicate("".join(json.dumps(job) + "\n" for job in jobs).encode())
    lines = [json.loads(line) for line in written.splitlines()]
    return [Result(line["number"], line.get("error"), line["turns"]) for line in lines]
