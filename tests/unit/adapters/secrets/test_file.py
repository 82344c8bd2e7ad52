from __future__ import annotations

import os
from pathlib import Path

import pytest

from tollhouse.adapters.secrets import FileSecrets
from tollhouse.ports.secrets import SecretSource, SecretUnavailable


def written(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_file_is_the_secret(tmp_path: Path) -> None:
    path = written(tmp_path, b"sk-abc\n")
    source: SecretSource = FileSecrets(tmp_path)
    assert source.scheme == "file"
    assert source.resolve("key").reveal() == "sk-abc"
    assert source.resolve(str(path)).reveal() == "sk-abc"
    assert source.caution("key") is None


def test_file_is_followed_when_it_is_a_link(tmp_path: Path) -> None:
    written(tmp_path, b"sk-abc")
    (tmp_path / "link").symlink_to("key")
    assert FileSecrets(tmp_path).resolve("link").reveal() == "sk-abc"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a\nb\n", "several lines"),
        (b"\xff\xfe", "does not hold text"),
        (b"x" * (64 * 1024 + 1), "65536 bytes"),
        (b"\xef\xbb\xbfsk-abc", "not ASCII"),
    ],
)
def test_content_is_refused_when_no_header_could_carry_it(tmp_path: Path, content: bytes, word: str) -> None:
    written(tmp_path, content)
    with pytest.raises(SecretUnavailable, match=word):
        FileSecrets(tmp_path).resolve("key")


def test_largest_secret_is_read(tmp_path: Path) -> None:
    written(tmp_path, b"x" * (64 * 1024))
    assert len(FileSecrets(tmp_path).resolve("key").reveal()) == 64 * 1024


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match="nowhere does not exist"):
        FileSecrets(tmp_path).resolve("nowhere")
    assert FileSecrets(tmp_path).caution("nowhere") is None


def test_file_is_refused_when_it_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SecretUnavailable, match="cannot be read: Too many levels"):
        FileSecrets(tmp_path).resolve("loop")


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            path = Path("/dev/zero")
    with pytest.raises(SecretUnavailable, match="cannot be read"):
        FileSecrets(tmp_path).resolve(str(path))


def test_path_is_refused_when_no_file_can_have_it(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match="cannot be read"):
        FileSecrets(tmp_path).resolve("a\0b")
    assert FileSecrets(tmp_path).caution("a\0b") is None


def test_caution_is_given_when_everybody_may_read(tmp_path: Path) -> None:
    written(tmp_path, b"sk-abc", 0o644)
    source = FileSecrets(tmp_path)
    assert source.resolve("key").reveal() == "sk-abc"
    assert "chmod o-r" in (source.caution("key") or "")


def test_refusal_never_shows_the_content(tmp_path: Path) -> None:
    written(tmp_path, b"s3cret\nmore")
    with pytest.raises(SecretUnavailable) as caught:
        FileSecrets(tmp_path).resolve("key")
    assert "s3cret" not in str(caught.value)
