"""Asks one open door of the house again and again, from a process of its own: is the loop there, and how soon?

`python -m chaos.pulse URL EVERY_S FRESH`; ends with standard input, and writes what it saw.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Beat:
    """One question. Times in seconds, `at` on the monotonic clock."""

    at: float
    took_s: float
    status: int
    """0 where nobody answered."""
    late_s: float
    """How late the asking process itself was: what the machine, and not the house, adds."""


class Pulse:
    """Runs from its making until `end`."""

    def __init__(self, url: str, *, every_s: float = 0.02, is_fresh: bool = False) -> None:
        """`is_fresh`: each question on a connection of its own."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.pulse", url, str(every_s), str(int(is_fresh))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        self._beats: list[Beat] = []

    def end(self) -> list[Beat]:
        """All beats, oldest first. May be called again."""
        if self._process.poll() is None:
            written, _ = self._process.communicate(timeout=60)
            self._beats = [Beat(*beat) for beat in json.loads(written)]
        return self._beats


@contextlib.contextmanager
def pulse(url: str, *, every_s: float = 0.02, is_fresh: bool = False) -> Iterator[Pulse]:
    """A pulse that is felt inside the block and after it."""
    felt = Pulse(url, every_s=every_s, is_fresh=is_fresh)
    try:
        yield felt
    finally:
        felt.end()


def _ask(connection: http.client.HTTPConnection, path: str) -> int:
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0


def _run(url: str, every_s: float, *, is_fresh: bool) -> list[tuple[float, float, int, float]]:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc, timeout=_PATIENCE_S)
    beats = []
    due = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        at = time.monotonic()
        if is_fresh:
            connection.close()
        status = _ask(connection, place.path)
        ended = time.monotonic()
        beats.append((at, ended - at, status, at - due))
        due = max(due + every_s, ended)
    return beats


if __name__ == "__main__":
    _url, _every_s, _fresh = sys.argv[1:]
    json.dump(_run(_url, float(_every_s), is_fresh=bool(int(_fresh))), sys.stdout)
