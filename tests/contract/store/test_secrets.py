"""The table of encrypted secrets, on every database: what the house wrote opens, and nothing else does."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from tollhouse.adapters.sealing import MasterKeySealer
from tollhouse.adapters.secrets.store import StoreSecrets
from tollhouse.bootstrap.reading import CannotServe
from tollhouse.bootstrap.sealing import PEPPER, check_master_keys, settled_pepper
from tollhouse.bootstrap.stored_secrets import StoredSecrets
from tollhouse.core.master_key import MasterKey, MasterKeyring
from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import Envelope, EnvelopeRefused, SecretUnavailable, StoredSecret
from tollhouse.ports.store import Store
from tollhouse.stages.authenticate import pepper_of

OLD, NEW = (
    MasterKey(Secret("4ee9d0c3a7518b62f0e1d2c3b4a59687"), "old"),
    MasterKey(Secret("9f31bb0ac2d7e84615aa77c0de93512e"), "new"),
)
SEALED = Envelope(key_id="k1", wrapped_key=b"\x00\xff wrapped", sealed=b"\x00\xff sealed")
COLUMNS = (
    "id",
    "team",
    "name",
    "version",
    "fingerprint",
    "created_at",
    "changed_at",
    "key_id",
    "wrapped_key",
    "sealed",
)


def sealer(*keys: MasterKey) -> MasterKeySealer:
    return MasterKeySealer(lambda: MasterKeyring(keys or (OLD,)))


def row(row_id: str, team: str = "", name: str = "openai", **more: Any) -> StoredSecret:
    given = {
        "version": 1,
        "fingerprint": "f",
        "created_at": 1.5,
        "changed_at": 2.5,
        "envelope": SEALED,
        **more,
    }
    return StoredSecret(id=row_id, team=team, name=name, **given)


@contextmanager
def sql(url: str, folder: Path) -> Iterator[Callable[[str, Sequence[Sequence[Any]]], None]]:
    """Somebody with access to the database: a statement with `?`, once for each row of values."""
    if url.startswith("sqlite"):
        raw = sqlite3.connect(folder / "books.db", isolation_level=None)

        def lite(statement: str, rows: Sequence[Sequence[Any]]) -> None:
            raw.execute("BEGIN IMMEDIATE")
            raw.executemany(statement, rows)
            raw.execute("COMMIT")

        yield lite
        raw.close()
        return
    with psycopg.connect(url) as connection:

        def post(statement: str, rows: Sequence[Sequence[Any]]) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(statement.replace("?", "%s"), rows)
            connection.commit()

        yield post


# -- the table


def test_row_is_read_as_it_was_written(store: Store) -> None:
    written = [row("a", "blue"), row("b"), row("c", "red", "azure", version=7)]
    assert all(store.put_secret(each, replaces=None) for each in written)
    assert store.stored_secret("red", "azure") == written[2]
    assert store.stored_secret("red", "openai") is None
    assert list(store.stored_secrets()) == [written[1], written[0], written[2]]


def test_name_is_taken_once_in_each_team(store: Store) -> None:
    assert store.put_secret(row("a"), replaces=None)
    assert not store.put_secret(row("b"), replaces=None)
    assert store.put_secret(row("c", "red"), replaces=None)
    assert [each.id for each in store.stored_secrets()] == ["a", "c"]


def test_row_is_replaced_by_who_knows_its_version_only(store: Store) -> None:
    store.put_secret(row("a"), replaces=None)
    second = row("a", version=2, changed_at=9.0, envelope=replace(SEALED, sealed=b"other"))
    assert store.put_secret(second, replaces=1)
    assert not store.put_secret(row("a", version=2), replaces=1)
    assert not store.put_secret(row("other", version=2), replaces=1)
    assert store.stored_secret("", "openai") == second


def test_deleted_row_is_gone(store: Store) -> None:
    store.put_secret(row("a"), replaces=None)
    assert store.delete_secret("", "openai")
    assert not store.delete_secret("", "openai")
    assert list(store.stored_secrets()) == []


def test_rows_under_other_master_keys_come_in_pages_and_are_counted(store: Store) -> None:
    for number in range(7):
        key_id = "k2" if number % 3 == 0 else "k1"
        store.put_secret(
            row(f"r{number}", name=f"n{number}", envelope=replace(SEALED, key_id=key_id)), replaces=None
        )
    pages = []
    after_id = ""
    while page := store.secrets_not_under("k2", after_id=after_id, limit=3):
        pages.append([each.id for each in page])
        after_id = page[-1].id
    assert pages == [["r1", "r2", "r4"], ["r5"]]
    assert dict(store.master_keys_in_use()) == {"k1": 4, "k2": 3}


def test_envelope_is_put_where_nothing_has_changed_meanwhile(store: Store) -> None:
    first, second, third = row("a"), row("b", "red"), row("c", "blue")
    for each in (first, second, third):
        store.put_secret(each, replaces=None)
    store.put_secret(replace(second, version=2), replaces=1)
    fresh = Envelope(key_id="k2", wrapped_key=b"w", sealed=b"s")
    assert (
        store.put_envelopes([(first, fresh), (second, fresh), (replace(third, envelope=fresh), fresh)]) == 1
    )
    assert [each.envelope.key_id for each in store.stored_secrets()] == ["k2", "k1", "k1"]


# -- what stands in it


def test_text_opens_by_its_reference_and_stands_nowhere_in_clear(store: Store) -> None:
    secrets = StoredSecrets(store, sealer())
    secrets.put("openai", "", "sk-of-the-house")
    secrets.put("openai", "red", "sk-of-the-team\n")
    source = StoreSecrets(lambda: store, sealer())
    assert source.resolve("openai").reveal() == "sk-of-the-house"
    assert source.resolve("red/openai").reveal() == "sk-of-the-team"
    with pytest.raises(SecretUnavailable, match="secrets set openai --team blue"):
        source.resolve("blue/openai")
    assert b"sk-of" not in repr(store.stored_secrets()).encode()
    one, other = secrets.all()
    assert one.fingerprint != other.fingerprint
    assert secrets.put("second", "", "sk-of-the-house").fingerprint == one.fingerprint


def test_new_text_is_a_new_version_of_the_same_row(store: Store) -> None:
    secrets = StoredSecrets(store, sealer())
    first, second = secrets.put("openai", "", "sk-first"), secrets.put("openai", "", "sk-second")
    assert (second.id, second.version, second.created_at) == (first.id, 2, first.created_at)
    assert StoreSecrets(lambda: store, sealer()).resolve("openai").reveal() == "sk-second"


@pytest.mark.parametrize("text", ["", "two\nlines", "ümlaut", "x" * 70_000])
def test_text_that_is_no_secret_is_refused(store: Store, text: str) -> None:
    with pytest.raises(SecretUnavailable):
        StoredSecrets(store, sealer()).put("openai", "", text)


def test_writers_at_once_leave_one_whole_row(store: Store) -> None:
    def write(number: int) -> None:
        StoredSecrets(store, sealer()).put("openai", "", f"sk-of-{number}")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (only,) = StoredSecrets(store, sealer()).all()
    assert only.version == 4
    assert StoreSecrets(lambda: store, sealer()).resolve("openai").reveal().startswith("sk-of-")


# -- K07: whatever somebody with access to the database does to a row, it does not open


def values(secret: StoredSecret) -> dict[str, Any]:
    envelope = secret.envelope
    own = {name: getattr(secret, name) for name in COLUMNS if hasattr(secret, name)}
    return own | {"key_id": envelope.key_id, "wrapped_key": envelope.wrapped_key, "sealed": envelope.sealed}


def flipped(content: bytes, chance: random.Random) -> bytes:
    bit = chance.randrange(len(content) * 8)
    return content[: bit // 8] + bytes([content[bit // 8] ^ (1 << bit % 8)]) + content[bit // 8 + 1 :]


def altered(
    at: int, rows: Sequence[dict[str, Any]], former: Sequence[dict[str, Any]], chance: random.Random
) -> dict[str, Any]:
    """A row with one alteration of the catalogue."""
    mine, part = rows[at], chance.choice(["wrapped_key", "sealed"])
    other = rows[(at + chance.randrange(1, len(rows))) % len(rows)]
    match chance.randrange(10):
        case 0:
            change = {part: flipped(mine[part], chance)}
        case 1:
            change = {part: mine[part][: chance.randrange(len(mine[part]))]}
        case 2:
            change = {part: other[part]}  # of another row
        case 3:
            change = {name: other[name] for name in ("wrapped_key", "sealed", "key_id")}
        case 4:
            change = {"wrapped_key": mine["sealed"], "sealed": mine["wrapped_key"]}  # of another column
        case 5:
            change = {"team": f"stolen-{at}"}  # another tenant's
        case 6:
            change = {"name": f"stolen-{at}"}  # under another reference
        case 7:
            change = {name: former[at][name] for name in ("wrapped_key", "sealed")}  # an older version
        case 8:
            change = {"version": mine["version"] + chance.choice([-1, 1, 7])}
        case _:
            change = {"id": f"moved-{at}"}
    return mine | change


def test_ten_thousand_altered_rows_are_refused(store: Store, url: str, tmp_path: Path) -> None:
    made = sealer(NEW, OLD)
    secrets = StoredSecrets(store, made)
    places = [(f"n{number}", ("", "red", "blue", "green")[number % 4]) for number in range(100)]
    for name, team in places:
        secrets.put(name, team, f"sk-first-{team}-{name}")
    former = [values(each) for each in secrets.all()]
    for name, team in places:
        secrets.put(name, team, f"sk-second-{team}-{name}")
    rows = [values(each) for each in secrets.all()]
    chance = random.Random(7)
    insert = f"INSERT INTO secrets ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    refused = tried = 0
    with sql(url, tmp_path) as edit:
        for _ in range(100):
            changed = [altered(at, rows, former, chance) for at in range(len(rows))]
            edit("DELETE FROM secrets WHERE name <> ?", [[PEPPER]])
            edit(insert, [[each[column] for column in COLUMNS] for each in changed])
            for each in secrets.all():
                tried += 1
                try:
                    made.open(each.envelope, each.place)
                except EnvelopeRefused:
                    refused += 1
        edit("DELETE FROM secrets WHERE name <> ?", [[PEPPER]])
        edit(insert, [[each[column] for column in COLUMNS] for each in rows])
    assert (refused, tried) == (10_000, 10_000)
    for each in secrets.all():
        assert made.open(each.envelope, each.place).reveal() == f"sk-second-{each.team}-{each.name}"


def test_whole_row_of_an_older_version_is_refused_by_who_has_seen_the_newer_one(
    store: Store, url: str, tmp_path: Path
) -> None:
    secrets = StoredSecrets(store, sealer())
    former = values(secrets.put("openai", "", "sk-leaked"))
    secrets.put("openai", "", "sk-fresh")
    source = StoreSecrets(lambda: store, sealer())
    assert source.resolve("openai").reveal() == "sk-fresh"
    with sql(url, tmp_path) as edit:
        names = [column for column in COLUMNS if column != "id"]
        sets = ", ".join(f"{name} = ?" for name in names)
        edit(f"UPDATE secrets SET {sets} WHERE id = ?", [[*[former[name] for name in names], former["id"]]])
    with pytest.raises(SecretUnavailable, match="older version"):
        source.resolve("openai")


# -- the pepper


def test_pepper_is_the_one_that_earlier_versions_derived(store: Store) -> None:
    assert settled_pepper(store, sealer(NEW, OLD)).matches(pepper_of(OLD.secret))


def test_pepper_stays_when_the_master_key_is_rotated_and_taken_away(store: Store) -> None:
    before = settled_pepper(store, sealer(OLD))
    StoredSecrets(store, sealer(NEW, OLD)).rotate(lambda *_: None)
    assert settled_pepper(store, sealer(NEW)).matches(before)
    assert before.matches(pepper_of(OLD.secret))


def test_house_with_another_master_key_than_its_store_is_not_opened(store: Store) -> None:
    settled_pepper(store, sealer(OLD))
    with pytest.raises(CannotServe, match=f"master key {OLD.id}") as caught:
        settled_pepper(store, sealer(NEW))
    assert "rotate-master" in caught.value.hint


def test_pepper_that_was_altered_is_refused(store: Store, url: str, tmp_path: Path) -> None:
    settled_pepper(store, sealer())
    with sql(url, tmp_path) as edit:
        edit("UPDATE secrets SET version = ? WHERE name = ?", [[2, PEPPER]])
    with pytest.raises(CannotServe, match="not what the house has written"):
        settled_pepper(store, sealer())


def test_houses_that_start_at_once_settle_on_one_pepper(
    store: Store, open_another: Callable[[], Store]
) -> None:
    others = [open_another() for _ in range(3)]
    found: list[Secret] = []
    starting = [
        threading.Thread(target=lambda store=each: found.append(settled_pepper(store, sealer())))
        for each in others
    ]
    for each in starting:
        each.start()
    for each in starting:
        each.join()
    assert len(found) == 3
    assert all(each.matches(found[0]) for each in found)


# -- rotation


def test_rotation_goes_on_where_it_was_interrupted(store: Store) -> None:
    secrets = StoredSecrets(store, sealer(OLD))
    for number in range(25):
        secrets.put(f"n{number}", "red", f"sk-{number}")

    class Interrupted(Exception):
        pass

    def interrupt(done: int, total: int) -> None:
        assert total == 26
        if done >= 10:
            raise Interrupted

    with pytest.raises(Interrupted):
        StoredSecrets(store, sealer(NEW, OLD)).rotate(interrupt, batch=5)
    assert dict(store.master_keys_in_use()) == {NEW.id: 10, OLD.id: 16}
    again = StoredSecrets(store, sealer(NEW, OLD))
    assert not again.is_rotated
    seen: list[tuple[int, int]] = []
    rotation = again.rotate(lambda *each: seen.append(each), batch=5)
    assert (rotation.key, rotation.rewrapped, rotation.still_needed, rotation.not_needed) == (
        "new",
        16,
        (),
        ("old",),
    )
    assert seen[-1] == (16, 16)
    assert again.is_rotated
    source = StoreSecrets(lambda: store, sealer(NEW))
    assert [source.resolve(f"red/n{number}").reveal() for number in range(25)] == [
        f"sk-{n}" for n in range(25)
    ]


def test_master_key_that_rows_still_need_is_missed_with_their_number(store: Store) -> None:
    secrets = StoredSecrets(store, sealer(OLD))
    secrets.put("a", "", "sk-a")
    check_master_keys(store, sealer(NEW, OLD))
    with pytest.raises(CannotServe, match=rf"2 secrets .*{OLD.id} \(2 rows\)") as caught:
        check_master_keys(store, sealer(NEW))
    assert "rotate-master" in caught.value.hint


def test_rotation_names_what_is_damaged_and_does_the_rest(store: Store, url: str, tmp_path: Path) -> None:
    secrets = StoredSecrets(store, sealer(OLD))
    for name in ("a", "b", "c"):
        secrets.put(name, "red", f"sk-{name}")
    with sql(url, tmp_path) as edit:
        edit("UPDATE secrets SET version = ? WHERE name = ?", [[9, "b"]])
    rotation = StoredSecrets(store, sealer(NEW, OLD)).rotate(lambda *_: None)
    assert rotation.rewrapped == 3
    assert [each.partition(":")[0] for each in rotation.damaged] == ["red/b"]
    assert rotation.still_needed == ("old",)


def test_readers_and_writers_meet_no_error_while_the_master_key_is_rotated(
    store: Store, open_another: Callable[[], Store]
) -> None:
    """K08 at the store; the readers know both keys, as houses do that were started for a rotation."""
    keys = [NEW, OLD]
    secrets = StoredSecrets(store, sealer(*keys))
    for number in range(40):
        secrets.put(f"n{number}", "", f"sk-{number}")
    done = threading.Event()
    faults: list[BaseException] = []
    reads: list[int] = []

    def read(mine: Store) -> None:
        source = StoreSecrets(lambda: mine, MasterKeySealer(lambda: MasterKeyring(list(keys))))
        try:
            while not done.is_set():
                for number in range(40):
                    assert source.resolve(f"n{number}").reveal() == f"sk-{number}"
                    reads.append(number)
        except BaseException as fault:
            faults.append(fault)

    def write(mine: Store) -> None:
        try:
            while not done.is_set():
                StoredSecrets(mine, MasterKeySealer(lambda: MasterKeyring(list(keys)))).put("n7", "", "sk-7")
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(open_another(),)) for work in (read, read, write)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        keys.reverse()
        StoredSecrets(store, MasterKeySealer(lambda: MasterKeyring(list(keys)))).rotate(
            lambda *_: None, batch=7
        )
    while len(reads) < 400 and not faults:
        threads[0].join(0.01)
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
