"""A lock says who lives; tidying it away never takes it from a writer that is just being born."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tollhouse.adapters.journal.locks import hold, taken


def test_lock_cannot_be_had_while_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "w.lock"
    fd = hold(path)
    with taken(path, creates=False) as had:
        assert not had
    os.close(fd)
    with taken(path, creates=False) as had:
        assert had


def test_missing_lock_is_nobodys(tmp_path: Path) -> None:
    with taken(tmp_path / "w.lock", creates=False) as had:
        assert had
    assert not (tmp_path / "w.lock").exists()


def test_lock_in_a_missing_folder_cannot_be_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), taken(tmp_path / "gone" / "w.lock", creates=True):
        pass


def test_newborn_writer_has_a_lock_that_others_see_however_eagerly_dead_ones_are_tidied_away(
    tmp_path: Path,
) -> None:
    is_over = threading.Event()
    tidied = []

    def tidy() -> None:
        while not is_over.is_set():
            for path in tmp_path.glob("*.lock"):
                with taken(path, creates=False) as had:
                    if had:
                        path.unlink(missing_ok=True)
                        tidied.append(path)

    tidying = threading.Thread(target=tidy)
    tidying.start()
    try:
        for number in range(1000):
            path = tmp_path / f"w{number}.lock"
            fd = hold(path)
            with taken(path, creates=False) as had:
                assert not had
            os.close(fd)
    finally:
        is_over.set()
        tidying.join()
    assert tidied
