"""The snapshot is gone by only while nobody has changed it, and by nobody but the house that took it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.adapters.store_snapshot import SignedSnapshotFile
from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Budget, Limits, Scope
from tollhouse.core.master_key import MasterKey, MasterKeyring, Purpose
from tollhouse.core.pauses import Pause, PauseKind
from tollhouse.core.secret import Secret
from tollhouse.ports.administration import HouseRules
from tollhouse.ports.store_snapshot import SnapshotChange, SnapshotRefused

STORE = "postgresql://keeper@db/books"
HOUR_S = 3600.0
RULES = HouseRules(
    version=4,
    pauses=(Pause(id="p", kind=PauseKind.ROUTE, target="gpt", reason="stop", by="root", at=1.0),),
    scopes=(Scope(id="team:a", name="a", limits=Limits(concurrency=2)),),
    team_routes={"a": ("gpt",)},
)


def key(name: str, **fields: object) -> VirtualKey:
    return VirtualKey(id=f"key_{name}", name=name, digest="ab" * 32, **fields)  # type: ignore[arg-type]


RICH = key(
    "rich",
    routes=("gpt-*",),
    limits=Limits(requests_per_minute=5),
    budget=Budget(nanousd=10**9),
    networks=("10.0.0.0/8",),
    metadata={"owner": "alice"},
    revoked_at=3.5,
    version=7,
)


def keyring(*texts: str) -> MasterKeyring:
    return MasterKeyring([MasterKey(Secret(text)) for text in texts])


class Cabinet:
    """A file, with a clock and master keys that can be changed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.snapshot"
        self.now = 1_000_000.0
        self.keyring = keyring("one")
        self.store = STORE
        self.most_hours = 24.0

    @property
    def shelf(self) -> SignedSnapshotFile:
        return SignedSnapshotFile(
            self.path,
            lambda: self.keyring.derive(Purpose.SNAPSHOTS),
            store=self.store,
            most_hours=self.most_hours,
            now=lambda: self.now,
        )

    def keep(self, *keys: VirtualKey, version: int = 7, since: int = 0) -> None:
        self.shelf.keep(change(keys, version, since))


def change(keys: Sequence[VirtualKey], version: int, since: int) -> SnapshotChange:
    return SnapshotChange(since_version=since, keys_version=version, keys=keys, rules=RULES)


@pytest.fixture
def cabinet(tmp_path: Path) -> Cabinet:
    return Cabinet(tmp_path)


def test_everything_comes_back_as_it_was(cabinet: Cabinet) -> None:
    cabinet.keep(RICH, key("plain"))
    cabinet.now += 60
    snapshot = cabinet.shelf.load()
    assert snapshot is not None
    assert snapshot.keys == (RICH, key("plain"))
    assert (snapshot.keys_version, snapshot.rules) == (7, RULES)
    assert snapshot.taken_at == 1_000_000.0


def test_there_may_be_none(cabinet: Cabinet) -> None:
    assert cabinet.shelf.load() is None


def test_only_its_owner_can_read_it_and_nothing_is_left_beside_it(cabinet: Cabinet) -> None:
    cabinet.path.parent.joinpath(f".store.snapshot.{os.getpid()}").write_text("left by a process that died")
    cabinet.keep(RICH)
    assert cabinet.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in cabinet.path.parent.iterdir()] == ["store.snapshot"]


def test_change_is_added_to_what_is_there(cabinet: Cabinet) -> None:
    cabinet.keep(key("a"), key("b"), version=2)
    cabinet.keep(key("b", disabled_at=1.0), key("c"), version=4, since=2)
    snapshot = cabinet.shelf.load()
    assert snapshot is not None
    assert snapshot.keys == (key("a"), key("b", disabled_at=1.0), key("c"))
    assert snapshot.keys_version == 4


def test_change_of_another_version_is_not_added(cabinet: Cabinet) -> None:
    cabinet.keep(key("a"), version=2)
    with pytest.raises(SnapshotRefused, match="another one than was written last"):
        cabinet.keep(key("b"), version=4, since=3)


def test_whole_snapshot_takes_the_place_of_whatever_is_there(cabinet: Cabinet) -> None:
    cabinet.path.write_bytes(b"something else")
    cabinet.keep(key("a"))
    cabinet.keep(key("b"))
    snapshot = cabinet.shelf.load()
    assert snapshot is not None
    assert snapshot.keys == (key("b"),)


@given(data=st.data())
def test_no_byte_of_it_can_be_changed_or_cut_off(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    cabinet = Cabinet(tmp_path_factory.mktemp("cabinet"))
    cabinet.keep(RICH, key("plain"))
    content = bytearray(cabinet.path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    cabinet.path.write_bytes(bytes(content))
    with pytest.raises(SnapshotRefused):
        cabinet.shelf.load()


def test_snapshot_of_a_house_with_another_master_key_is_refused(cabinet: Cabinet) -> None:
    cabinet.keep(RICH)
    cabinet.keyring = keyring("two")
    with pytest.raises(SnapshotRefused, match="another master key"):
        cabinet.shelf.load()


def test_snapshot_is_good_while_its_master_key_is_still_among_the_older_ones(cabinet: Cabinet) -> None:
    cabinet.keep(RICH)
    cabinet.keyring = keyring("two", "one")
    assert cabinet.shelf.load() is not None


def test_snapshot_of_another_store_is_refused(cabinet: Cabinet) -> None:
    """A store's URL with a mistake in it is told of, and not served around."""
    cabinet.keep(RICH)
    cabinet.store = "postgresql://keeper@elsewhere/books"
    with pytest.raises(SnapshotRefused, match="of another store, postgresql://keeper@db/books"):
        cabinet.shelf.load()


@pytest.mark.parametrize(
    ("hours", "is_good"), [(0.5, True), (23.9, True), (24.1, False), (-0.05, True), (-1, False)]
)
def test_snapshot_is_good_for_its_hours(cabinet: Cabinet, hours: float, is_good: bool) -> None:
    cabinet.keep(RICH)
    cabinet.now += hours * HOUR_S
    if is_good:
        assert cabinet.shelf.load() is not None
    else:
        with pytest.raises(SnapshotRefused, match=r"hours old|clock is wrong"):
            cabinet.shelf.load()


def test_snapshot_that_cannot_be_written_leaves_the_one_before(cabinet: Cabinet) -> None:
    cabinet.keep(RICH)
    aside = cabinet.path.with_name(f".store.snapshot.{os.getpid()}")
    aside.mkdir()
    with pytest.raises(OSError, match=r"store\.snapshot"):
        cabinet.keep(key("b"))
    assert cabinet.shelf.load() is not None
