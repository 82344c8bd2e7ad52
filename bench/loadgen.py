"""wrk: small chat requests as fast as they are answered, and what it counted."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import msgspec

from .bodies import ANSWER, REQUEST
from .nginx import find
from .problems import RunVoid
from .records import Load

_PATIENCE_S: Final = 30
_CALL_LIMIT_S: Final = 10
_TAG: Final = "BENCH "

# Without a `request` function wrk builds the request once, so the script costs nothing per request.
_SCRIPT: Final = """\
wrk.method = "POST"
wrk.body = [==[%(body)s]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %(key)s"

done = function(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    'BENCH {"requests":%%d,"duration_us":%%d,"bytes":%%d,"p50_us":%%d,"p99_us":%%d,' ..
    '"connect":%%d,"read":%%d,"write":%%d,"status":%%d,"timeout":%%d}',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
"""


class _Count(msgspec.Struct, frozen=True, kw_only=True):
    requests: int
    duration_us: int
    bytes: int
    p50_us: int
    p99_us: int
    connect: int
    read: int
    write: int
    status: int
    timeout: int


def script(key: str) -> str:
    """The Lua text that makes wrk send the chat request and print its counts as one line of JSON."""
    return _SCRIPT % {"body": REQUEST.decode(), "key": key}


def parse(output: str) -> Load:
    """Read what the script printed. Raises RunVoid on any failed request, on none at all, and on answers cut short."""
    line = next((line for line in output.splitlines() if line.startswith(_TAG)), None)
    if line is None:
        raise RunVoid(f"wrk counted nothing:\n{output.strip()}")
    count = msgspec.json.decode(line.removeprefix(_TAG), type=_Count)
    failures = {
        "status not 2xx or 3xx": count.status,
        "connections refused": count.connect,
        "reads failed": count.read,
        "writes failed": count.write,
        "time-outs": count.timeout,
    }
    if any(failures.values()):
        told = ", ".join(f"{name}: {number}" for name, number in failures.items() if number)
        raise RunVoid(f"of {count.requests} requests some failed ({told})")
    if count.requests == 0:
        raise RunVoid("not one request was answered")
    if count.bytes < count.requests * len(ANSWER):
        raise RunVoid(
            f"{count.requests} answers of {count.bytes} bytes in all are shorter than the upstream's"
        )
    return Load(
        requests=count.requests,
        wall_s=count.duration_us / 1e6,
        bytes_read=count.bytes,
        p50_ms=count.p50_us / 1e3,
        p99_ms=count.p99_us / 1e3,
    )


def load(*, port: int, key: str, connections: int, seconds: float, folder: Path) -> Load:
    """Ask for `seconds` (wrk counts whole ones: at least 1) over so many connections. Raises RunVoid.

    wrk runs on the cores of the calling thread.
    """
    file = folder / "chat.lua"
    file.write_text(script(key))
    command = [
        *(find("wrk"), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"),
        *("--timeout", f"{_CALL_LIMIT_S}s", "-s", str(file), f"http://127.0.0.1:{port}/v1/chat/completions"),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + _PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise RunVoid(f"wrk did not end {_PATIENCE_S} s after its time") from None
    if done.returncode:
        raise RunVoid(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)
