"""What is found at the sources of secrets is served by, or nothing changes and the log says why."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from tollhouse.core.secret import Secret
from tollhouse.runtime.edition import Edition
from tollhouse.runtime.secret_watch import Renewal, SecretWatch
from tollhouse.runtime.workers import NotTakenOver, Workers

OLD = {"vault:a/x#f": Secret("old")}


class Said:
    """A log that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def info(self, event: str, **fields: object) -> None:
        self.events.append(("info", event))

    def error(self, event: str, **fields: object) -> None:
        assert "fresh" not in str(fields)
        self.events.append(("error", event))

    warning = error


class Staff:
    """Workers that serve by whatever they are given, unless they cannot."""

    def __init__(self) -> None:
        self.edition = Edition(
            hash="h", config=b"", secrets=OLD, base_urls={}, drain_s=1.0, secrets_refresh_s=0.01
        )
        self.cannot: Exception | None = None
        self.tried = 0

    async def reload(self, edition: Edition, patience_s: float) -> None:
        self.tried += 1
        if self.cannot is not None:
            raise self.cannot
        self.edition = edition


def watch(staff: Staff, log: Said, *renewals: Renewal) -> SecretWatch:
    coming = list(renewals)

    async def look(held: Mapping[str, Secret]) -> Renewal:
        return coming.pop(0) if coming else Renewal(secrets=held, changed=(), problems=())

    return SecretWatch(look, cast("Workers", staff), asyncio.Lock(), cast("Any", log))


def renewal(value: str = "fresh", problems: tuple[str, ...] = ()) -> Renewal:
    return Renewal(secrets={"vault:a/x#f": Secret(value)}, changed=("vault:a/x#f",), problems=problems)


def held(staff: Staff) -> str:
    return staff.edition.secrets["vault:a/x#f"].reveal()


def test_new_value_is_served_by_under_the_same_configuration() -> None:
    staff, log = Staff(), Said()
    before = staff.edition
    asyncio.run(watch(staff, log, renewal()).look_now())
    assert held(staff) == "fresh"
    assert (staff.edition.hash, staff.edition.config) == (before.hash, before.config)
    assert log.events == [("info", "secrets_renewed")]


def test_nothing_is_said_or_done_where_nothing_has_changed() -> None:
    staff, log = Staff(), Said()
    asyncio.run(watch(staff, log).look_now())
    assert (staff.tried, log.events) == (0, [])


@pytest.mark.parametrize("cannot", [NotTakenOver("the key is none"), TimeoutError()])
def test_value_that_cannot_be_served_by_leaves_the_one_before(cannot: Exception) -> None:
    staff, log = Staff(), Said()
    staff.cannot = cannot
    with pytest.raises(OSError, match="renewed"):
        asyncio.run(watch(staff, log, renewal()).look_now())
    assert held(staff) == "old"
    assert log.events == [("error", "secrets_not_renewed")]


def test_source_that_fails_is_told_and_what_others_said_is_taken() -> None:
    staff, log = Staff(), Said()
    with pytest.raises(OSError, match="renewed"):
        asyncio.run(watch(staff, log, renewal(problems=("vault:a/y#f: down",))).look_now())
    assert held(staff) == "fresh"
    assert log.events == [("error", "secret_unavailable"), ("info", "secrets_renewed")]


def test_watch_looks_again_and_again_whatever_it_finds() -> None:
    staff, log = Staff(), Said()

    async def run() -> None:
        watching = asyncio.create_task(watch(staff, log, renewal("1", ("x: down",)), renewal("2")).watch())
        while held(staff) != "2":
            await asyncio.sleep(0.005)
        watching.cancel()

    asyncio.run(run())
    assert staff.tried == 2
