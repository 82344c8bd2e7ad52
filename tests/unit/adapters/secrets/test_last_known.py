"""What sources said last is kept sealed, and is only ever a stand-in."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tollhouse.adapters.sealing import MasterKeySealer
from tollhouse.adapters.secrets.last_known import LastKnown
from tollhouse.core.master_key import MasterKey, MasterKeyring
from tollhouse.core.secret import Secret
from tollhouse.testing import CanaryScanner

CANARY = "last-known-canary-6Vb2kQ9x"
KEY, OTHER = (
    MasterKey(Secret("4ee9d0c3a7518b62f0e1d2c3b4a59687")),
    MasterKey(Secret("9f31bb0ac2d7e84615aa77c0de93512e")),
)


def known(folder: Path, *keys: MasterKey) -> LastKnown:
    return LastKnown(folder / "sealed", MasterKeySealer(lambda: MasterKeyring(keys or (KEY,))))


def value(of: LastKnown, reference: str) -> str | None:
    held = of.get(reference)
    return held.reveal() if held is not None else None


def test_what_is_kept_is_there_after_a_restart_and_nowhere_in_clear(tmp_path: Path) -> None:
    known(tmp_path).keep({"vault:a#b": Secret(CANARY)})
    assert value(known(tmp_path), "vault:a#b") == CANARY
    assert stat.S_IMODE((tmp_path / "sealed").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["sealed"]
    assert CanaryScanner({"canary": CANARY}).scan_tree(tmp_path) == []


def test_file_is_written_only_when_something_has_changed(tmp_path: Path) -> None:
    held = known(tmp_path)
    held.keep({"a": Secret("one")})
    before = (tmp_path / "sealed").read_bytes()
    held.keep({"a": Secret("one")})
    held.keep({})
    assert (tmp_path / "sealed").read_bytes() == before
    held.keep({"a": Secret("two")})
    assert value(known(tmp_path), "a") == "two"


def test_what_nobody_refers_to_any_more_is_forgotten(tmp_path: Path) -> None:
    held = known(tmp_path)
    held.keep({"a": Secret("1"), "b": Secret("2"), "#pepper": Secret("p")})
    held.keep_only({"b": Secret("2"), "c": Secret("3")}, besides="#pepper")
    fresh = known(tmp_path)
    assert [value(fresh, name) for name in ("a", "b", "c", "#pepper")] == [None, "2", "3", "p"]


def test_file_under_a_rotated_master_key_opens_while_the_old_one_is_here(tmp_path: Path) -> None:
    known(tmp_path, KEY).keep({"a": Secret("1")})
    assert value(known(tmp_path, OTHER, KEY), "a") == "1"
    assert value(known(tmp_path, OTHER), "a") is None


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b"\xff" * 100, b'{"format": 1, "envelopes": {"a": {}}}']
)
def test_file_that_cannot_be_read_is_as_good_as_not_there(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sealed").write_bytes(content)
    held = known(tmp_path)
    assert held.get("a") is None
    held.keep({"a": Secret("1")})
    assert value(known(tmp_path), "a") == "1"


def test_values_cannot_be_exchanged_between_references(tmp_path: Path) -> None:
    known(tmp_path).keep({"vault:a": Secret("1"), "vault:b": Secret("2")})
    text = (tmp_path / "sealed").read_text()
    (tmp_path / "sealed").write_text(
        text.replace("vault:a", "vault:?").replace("vault:b", "vault:a").replace("vault:?", "vault:b")
    )
    held = known(tmp_path)
    assert (held.get("vault:a"), held.get("vault:b")) == (None, None)
