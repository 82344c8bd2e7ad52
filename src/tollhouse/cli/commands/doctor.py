"""`tollhouse doctor`: looks at everything a house needs, and says the cure for what is missing."""

from __future__ import annotations

import http.client
import resource
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from tollhouse.bootstrap import CannotServe, Loaded, open_house, read_config, resolve_secrets
from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.output import document, table
from tollhouse.cli.settings import Settings, find_settings
from tollhouse.config.snapshot import Upstream
from tollhouse.core.problem import ConfigInvalid, Severity
from tollhouse.ports.store import StoreUnavailable

_PATIENCE_S: Final = 3.0
_FEWEST_FILES: Final = 4_096
_LEAST_DISK_BYTES: Final = 256 * 1024 * 1024


class State(StrEnum):
    """How a finding stands."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    subject: str
    state: State
    detail: str
    cure: str = ""


def doctor(*, config: Path | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Look at configuration, secrets, store, disk, address and providers. Sends no credential anywhere.

    Opens the house's files as a command does: what a first start would make (database, journal folder, master key) is
    made. Run it as the user that serves.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"ok", "findings"}.
    """
    settings = find_settings(config)
    findings = list(examine(settings))
    is_fine = all(finding.state is not State.FAILED for finding in findings)
    if json:
        document({"ok": is_fine, "findings": findings})
    else:
        marks = {State.OK: "ok", State.WARNING: "odd", State.FAILED: "FAILED"}
        rows = [(marks[f.state], f.subject, f.detail, f.cure) for f in findings]
        table("Doctor", ("", "what", "found", "cure"), rows, numbers=frozenset())
    return ExitStatus.DONE if is_fine else ExitStatus.WRONG


def examine(settings: Settings) -> Iterator[Finding]:
    """All findings, the configuration's first: without it nothing else can be looked at."""
    try:
        loaded = read_config(settings.config, settings.environment)
    except ConfigInvalid as invalid:
        for problem in invalid.problems:
            yield _failed("configuration", str(problem), f"tollhouse check {settings.config}")
        return
    yield _ok("configuration", f"hash {loaded.snapshot.hash}")
    for warning in loaded.snapshot.warnings:
        yield Finding(subject="configuration", state=State.WARNING, detail=str(warning))
    yield from _secrets(settings, loaded)
    yield from _books(settings)
    yield _disk(Path(loaded.snapshot.journal.folder))
    yield _open_files()
    yield _clock(settings.config)
    yield _address(loaded)
    for name in loaded.config.providers:
        yield _reach(loaded.snapshot.providers[name])


def _ok(subject: str, detail: str) -> Finding:
    return Finding(subject=subject, state=State.OK, detail=detail)


def _failed(subject: str, detail: str, cure: str) -> Finding:
    return Finding(subject=subject, state=State.FAILED, detail=detail, cure=cure)


def _secrets(settings: Settings, loaded: Loaded) -> Iterator[Finding]:
    resolution = resolve_secrets(loaded, settings.environment)
    for problem in resolution.problems:
        state = State.WARNING if problem.severity is Severity.WARNING else State.FAILED
        yield Finding(
            subject="secrets", state=state, detail=f"{problem.path}: {problem.message}", cure=problem.hint
        )
    if resolution.is_complete:
        yield _ok("secrets", f"{len(resolution.secrets)} references resolve")


def _books(settings: Settings) -> Iterator[Finding]:
    try:
        with open_house(settings.config, settings.environment) as house:
            house.fold()
            version, keys = house.store.keys()
            yield _ok("store", f"{len(keys)} keys, version {version}")
    except (StoreUnavailable, CannotServe) as error:
        yield _failed("store", str(error), getattr(error, "hint", "") or "See the message.")


def _disk(folder: Path) -> Finding:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < _LEAST_DISK_BYTES:
        return _failed(
            "disk", f"{free >> 20} MiB free for the journal", "Free some; a full disk closes the house."
        )
    return _ok("disk", f"{free >> 20} MiB free for the journal")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FEWEST_FILES:
        cure = f"ulimit -n {min(hard, 65_536) if hard > 0 else 65_536}, or LimitNOFILE in the unit"
        return Finding(subject="open files", state=State.WARNING, detail=f"limit {soft}", cure=cure)
    return _ok("open files", f"limit {soft}")


def _clock(config: Path) -> Finding:
    """A clock that is behind the file it reads is a clock that was not set."""
    behind_s = config.stat().st_mtime - time.time()
    if behind_s > 1:
        return _failed(
            "clock", f"{behind_s:.0f} s behind the configuration file's date", "Set the clock (NTP)."
        )
    return _ok("clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def _address(loaded: Loaded) -> Finding:
    """Either a house answers at the address, or it is free, or somebody else sits there."""
    host, port = loaded.snapshot.listen.host, loaded.snapshot.listen.port
    where = f"{host}:{port}"
    try:
        socket.create_connection((host, port), _PATIENCE_S).close()
    except ConnectionRefusedError:
        return _ok("address", f"{where} is free: no house is running there")
    except OSError as error:
        return _failed("address", f"{where}: {error}", "Choose an address of this machine in server.listen.")
    return _answering(host, port, where)


def _answering(host: str, port: int, where: str) -> Finding:
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        state = msgspec.json.decode(answer.read(10_000))
        is_house = isinstance(state, dict) and "ready" in state
    except (OSError, http.client.HTTPException, msgspec.MsgspecError):
        return _failed("address", f"{where} is taken by something else", "Stop it, or change server.listen.")
    finally:
        connection.close()
    if not is_house:
        return _failed("address", f"{where} is taken by another server", "Stop it, or change server.listen.")
    if answer.status != 200:
        return _failed("address", f"the house at {where} is not ready", "Look at its log.")
    return _ok("address", f"a house is running at {where}, configuration {state.get('config')}")


def _reach(upstream: Upstream) -> Finding:
    """TCP, and TLS where it is asked for; not one byte of HTTP."""
    subject = f"provider {upstream.name}"
    origin, egress = upstream.origin, upstream.egress
    if origin.port == 0:
        return _ok(subject, "lives inside the house")
    if egress is not None and egress.proxy is not None:
        via = egress.proxy
        return _try(subject, f"proxy {via.host}:{via.port}", lambda: _connect(via.host, via.port))
    place = f"{origin.host}:{origin.port}"
    if origin.scheme != "https":
        return _try(subject, place, lambda: _connect(origin.host, origin.port))
    ca_file = egress.ca_file if egress is not None else None
    return _try(subject, f"{place} with TLS", lambda: _connect_tls(origin.host, origin.port, ca_file))


def _try(subject: str, place: str, connect: Callable[[], None]) -> Finding:
    started = time.monotonic()
    try:
        connect()
    except ssl.SSLCertVerificationError as error:
        return _failed(
            subject, f"{place}: {error.verify_message}", "Set ca_file for a private authority, or mend it."
        )
    except OSError as error:
        return _failed(
            subject, f"{place}: {error.strerror or error}", "Check base_url, DNS, firewall and proxy."
        )
    return _ok(subject, f"{place} reached in {(time.monotonic() - started) * 1000:.0f} ms")


def _connect(host: str, port: int) -> None:
    socket.create_connection((host, port), _PATIENCE_S).close()


def _connect_tls(host: str, port: int, ca_file: str | None) -> None:
    context = ssl.create_default_context(cafile=ca_file)
    with (
        socket.create_connection((host, port), _PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname=host),
    ):
        pass
