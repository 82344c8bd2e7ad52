"""The master key is made once, whoever comes first, and never readable by others."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tollhouse.adapters.system import MasterKeyUnusable, load_master_key


def test_key_is_made_on_the_first_start_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = load_master_key(path).reveal()
    assert len(first) == 64
    assert load_master_key(path).reveal() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_many_first_starts_at_once_end_up_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with ThreadPoolExecutor(16) as pool:
        keys = {secret.reveal() for secret in pool.map(lambda _: load_master_key(path), range(64))}
    assert len(keys) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_key_that_others_can_read_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_master_key(path)
    path.chmod(0o640)
    with pytest.raises(MasterKeyUnusable, match="chmod 600"):
        load_master_key(path)


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff\xfe\xfd" * 20])
def test_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(MasterKeyUnusable):
        load_master_key(path)


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnusable, match="cannot be used"):
        load_master_key(tmp_path / "nowhere" / "key")
