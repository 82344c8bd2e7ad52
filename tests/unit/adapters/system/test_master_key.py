"""The master key is made once, whoever comes first, is never readable by others, and may be joined by newer ones."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tollhouse.adapters.system import MasterKeyUnusable, add_master_key, given_keyring, load_keyring
from tollhouse.core.secret import Secret

STRONG = "4ee9d0c3a7518b62f0e1d2c3b4a59687"


def key_in(path: Path) -> str:
    return load_keyring(path).current.secret.reveal()


def test_key_is_made_on_the_first_start_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = key_in(path)
    assert len(first) == 64
    assert key_in(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_many_first_starts_at_once_end_up_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: key_in(path), range(64)))
    assert len(keys) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_new_key_stands_before_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = key_in(path)
    add_master_key(path)
    keys = [key.secret.reveal() for key in load_keyring(path).keys]
    assert len(keys) == 2
    assert keys[1] == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_number_of_keys_in_a_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_keyring(path)
    for _ in range(15):
        add_master_key(path)
    before = path.read_text()
    with pytest.raises(MasterKeyUnusable, match="Take those out"):
        add_master_key(path)
    assert path.read_text() == before


def test_key_that_others_can_read_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_keyring(path)
    path.chmod(0o640)
    with pytest.raises(MasterKeyUnusable, match="chmod 600"):
        load_keyring(path)


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"short\n", b"\xff\xfe\xfd" * 20, b"a" * 64, STRONG.encode() + b"\nx" * 20]
)
def test_file_without_a_usable_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(MasterKeyUnusable, match=str(path)):
        load_keyring(path)


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnusable, match="cannot be used"):
        load_keyring(tmp_path / "nowhere" / "key")


def test_given_key_that_is_weak_is_refused_by_the_name_of_its_variable() -> None:
    with pytest.raises(MasterKeyUnusable, match="TOLLHOUSE_MASTER_KEY: The master key is weak") as caught:
        given_keyring(Secret("hunter2"))
    assert "hunter2" not in str(caught.value)
    assert given_keyring(Secret(STRONG)).current.secret.reveal() == STRONG
