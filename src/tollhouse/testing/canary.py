"""Finds secrets where they must not be, in every form in which one is likely to have got there.

Plant a secret nobody else knows, let the house work, then scan what it wrote: logs, databases, answers, processes. A
secret is looked for as it is, in base64 (at every alignment, both alphabets, padded or not), in hex, percent-encoded
and JSON-escaped. Hits never show the secret itself.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote, quote_plus

import msgspec

MIN_SECRET_BYTES: Final = 8
"""Shorter ones would be found everywhere by chance."""
BLOCK_BYTES: Final = 1024 * 1024
MAX_HITS: Final = 10_000
"""One scan ends at so many hits, with an error: by then the matter is clear."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One place where a secret was found."""

    label: str
    """Which secret, by the name it was given."""
    form: str
    """How it was written."""
    where: str
    """File, file name, or process."""
    offset_bytes: int
    """Of its first certain byte: base64 shares its first and last letters with what stands beside the secret."""


class CanaryScanner:
    """Knows some secrets by name and looks for them."""

    def __init__(self, secrets: Mapping[str, str | bytes]) -> None:
        """Secrets by label. Raises: ValueError, if there is none, or one is too short to tell from chance."""
        if not secrets:
            raise ValueError("a scan for no secrets finds nothing and proves nothing")
        needles: dict[tuple[str, bytes], str] = {}
        for label, secret in secrets.items():
            raw = secret.encode() if isinstance(secret, str) else secret
            if len(raw) < MIN_SECRET_BYTES:
                raise ValueError(f"the secret {label!r} is shorter than {MIN_SECRET_BYTES} bytes")
            for form, needle in forms(raw):
                needles.setdefault((label, needle), form)
        self._needles = tuple((label, form, needle) for (label, needle), form in needles.items())
        self._overlap_bytes = max(len(needle) for _, _, needle in self._needles) - 1

    def scan(self, content: bytes, *, where: str = "bytes") -> list[Hit]:
        """Every hit in `content`, by offset."""
        return self.scan_blocks([content], where=where)

    def scan_blocks(self, blocks: Iterable[bytes], *, where: str) -> list[Hit]:
        """Every hit in a content that comes in blocks of any size, those that lie across their borders too."""
        hits: list[Hit] = []
        carried, carried_at = b"", 0
        for block in blocks:
            window = carried + block
            for label, form, needle in self._needles:
                # What ends within the carried bytes has been found before.
                first = max(len(carried) - len(needle) + 1, 0)
                for at in _places(window, needle, first):
                    hits.append(self._hit(label, form, where, carried_at + at))
                    if len(hits) >= MAX_HITS:
                        raise RuntimeError(f"secrets in {MAX_HITS} places and more; the first: {hits[0]}")
            kept = min(self._overlap_bytes, len(window))
            carried_at += len(window) - kept
            carried = window[len(window) - kept :]
        return sorted(hits, key=lambda hit: hit.offset_bytes)

    def _hit(self, label: str, form: str, where: str, offset_bytes: int) -> Hit:
        """A hit that shows no secret, even one that is part of a file's name."""
        masked = os.fsencode(where)
        for _, _, needle in self._needles:
            masked = masked.replace(needle, b"***")
        return Hit(label=label, form=form, where=os.fsdecode(masked), offset_bytes=offset_bytes)

    def scan_file(self, path: Path) -> list[Hit]:
        """Every hit in one file. Raises: OSError, when it cannot be read."""
        with path.open("rb") as file:
            return self.scan_blocks(_blocks(file), where=str(path))

    def scan_tree(self, folder: Path) -> list[Hit]:
        """Every hit in the regular files below a folder and in the names of everything there.

        Links are not followed, sockets and pipes not read. A file that vanishes meanwhile is left out; one that
        cannot be read is an error, because nobody knows what is in it. Raises: OSError.
        """
        hits: list[Hit] = []
        for path in _walk(folder):
            name = os.fsencode(path.relative_to(folder))
            hits += self.scan(name, where=f"the name of an entry of {path.parent}")
            try:
                if stat.S_ISREG(path.lstat().st_mode):
                    hits += self.scan_file(path)
            except FileNotFoundError:
                continue
        return hits

    def scan_processes(self, pids: Iterable[int]) -> list[Hit]:
        """Every hit in the command lines and environments of running processes, read from /proc.

        Raises: ProcessLookupError for one that has ended, OSError for one that may not be looked into.
        """
        hits: list[Hit] = []
        for pid in pids:
            for name in ("cmdline", "environ"):
                try:
                    hits += self.scan_file(Path(f"/proc/{pid}/{name}"))
                except FileNotFoundError:
                    raise ProcessLookupError(
                        f"process {pid} has ended, nobody can tell what it knew"
                    ) from None
        return hits


def forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """The ways a secret may be written: name and bytes. Some may be equal."""
    yield "raw", secret
    yield "hex", secret.hex().encode()
    yield "HEX", secret.hex().upper().encode()
    for offset in range(3):
        certain = _base64_certain(secret, offset)
        yield f"base64+{offset}", certain
        yield f"base64url+{offset}", certain.translate(bytes.maketrans(b"+/", b"-_"))
    yield "percent, every byte", "".join(f"%{byte:02X}" for byte in secret).encode()
    yield "percent, every byte, lower case", "".join(f"%{byte:02x}" for byte in secret).encode()
    for form, quoted in (
        ("percent", quote(secret, safe="")),
        ("percent, slashes kept", quote(secret)),
        ("percent, form", quote_plus(secret)),
    ):
        yield form, quoted.encode()
        yield f"{form}, lower case", _lower_percent(quoted).encode()
    yield from _json_forms(secret)


def _base64_certain(secret: bytes, offset: int) -> bytes:
    """The letters that stand for the secret alone, wherever a multiple of three and `offset` bytes come before it."""
    written = base64.b64encode(b"\0" * offset + secret).rstrip(b"=")
    first = (0, 2, 3)[offset]
    is_last_shared = (offset + len(secret)) % 3 != 0
    return written[first : len(written) - is_last_shared]


def _lower_percent(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _json_forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return  # what is no text is not in JSON but by one of the other forms
    for form, is_ascii in (("JSON", False), ("JSON, ASCII", True)):
        escaped = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        yield form, escaped.encode()
        yield f"{form}, slashes escaped", escaped.replace("/", "\\/").encode()
    units = text.encode("utf-16-be").hex()
    every = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    yield "JSON, every letter", every.encode()
    yield "JSON, every letter, upper case", every.upper().replace("\\U", "\\u").encode()


def _places(window: bytes, needle: bytes, first: int) -> Iterator[int]:
    at = window.find(needle, first)
    while at >= 0:
        yield at
        at = window.find(needle, at + 1)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _walk(folder: Path) -> Iterator[Path]:
    """Everything below a folder. Raises: OSError for what cannot be listed, the folder itself first of all."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError) or Path(error.filename) == folder:
            raise error

    for parent, folders, files in os.walk(folder, onerror=fail):
        for name in (*sorted(folders), *sorted(files)):
            yield Path(parent, name)
