"""Notes on the machine and the versions, without which figures mean nothing."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from .gateways import Gateway
from .nginx import find
from .processes import Cores
from .procfs import parse_kilobytes
from .records import Machine

_LIMIT_S: Final = 60
_VERSION: Final = re.compile(r"\d+\.\d+(?:\.\d+)*(?:[a-z]+\d+)?")
_ROOT: Final = Path(__file__).resolve().parent.parent
_LIBRARIES: Final = ("uvloop", "httptools")


def describe(gateways: Iterable[Gateway], cores: Cores) -> Machine:
    """The notes for a run that begins now. What cannot be found out reads `unknown`."""
    versions = {"wrk": version((find("wrk"), "-v"))}
    versions |= {gateway.name: version(gateway.version) for gateway in gateways}
    versions |= {library: metadata.version(library) for library in _LIBRARIES}
    return Machine(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cpu=cpu_model(Path("/proc/cpuinfo").read_text()),
        cores=os.cpu_count() or 0,
        gateway_cores=cores.gateway,
        other_cores=cores.others,
        memory_bytes=parse_kilobytes(Path("/proc/meminfo").read_text(), "MemTotal") or 0,
        kernel=platform.release(),
        python=platform.python_version(),
        load_average=round(os.getloadavg()[0], 2),
        commit=_commit(),
        versions=versions,
    )


def cpu_model(cpuinfo: str) -> str:
    """The name of the processor in the text of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return "unknown"


def version(command: Sequence[str]) -> str:
    """The first version number a command prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = _VERSION.search(done.stdout + done.stderr)
    return found.group() if found else "unknown"


def _commit() -> str | None:
    """The commit that is checked out, with a + where files differ from it; None where there is no git."""
    git = shutil.which("git")
    if git is None:
        return None

    def ask(*arguments: str) -> str | None:
        done = subprocess.run(
            [git, "-C", str(_ROOT), *arguments], capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "--short", "HEAD")
    return f"{commit}+" if commit and ask("status", "--porcelain") else commit
