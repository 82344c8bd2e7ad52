from __future__ import annotations

import base64
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.testing import CanaryScanner
from tollhouse.testing import canary as canary_module

SECRET = 'sk-proj-Zq9/+x "é" \\ 7&=%'
"""Has letters that every escape treats differently."""
RAW = SECRET.encode()
PLAIN = "sk-canary-4f9d0c7ab1e2"


def percent(raw: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in raw)


def written_ways() -> dict[str, bytes]:
    ways = {
        "raw": RAW,
        "hex": RAW.hex().encode(),
        "upper hex": RAW.hex().upper().encode(),
        "percent": quote(SECRET, safe="").encode(),
        "percent with slashes": quote(SECRET).encode(),
        "percent of forms": quote_plus(SECRET).encode(),
        "percent of everything": percent(RAW).encode(),
        "upper percent of everything": percent(RAW).upper().encode(),
        "JSON": json.dumps({"key": SECRET}).encode(),
        "JSON in UTF-8": json.dumps({"key": SECRET}, ensure_ascii=False).encode(),
        "JSON with escaped slashes": json.dumps(SECRET).replace("/", "\\/").encode(),
        "JSON of escapes alone": "".join(f"\\u{ord(letter):04x}" for letter in SECRET).encode(),
        "JSON of upper escapes alone": "".join(f"\\u{ord(letter):04X}" for letter in SECRET).encode(),
    }
    for before in (b"", b"a", b"ab", b"user:"):
        for after in (b"", b"z", b"yz"):
            packed = base64.b64encode(before + RAW + after)
            ways[f"base64 {before!r} {after!r}"] = packed
            ways[f"base64 unpadded {before!r} {after!r}"] = packed.rstrip(b"=")
            ways[f"base64url {before!r} {after!r}"] = base64.urlsafe_b64encode(before + RAW + after)
    return ways


WAYS = written_ways()


@pytest.mark.parametrize("way", WAYS)
def test_secret_is_found_however_it_is_written(way: str):
    content = b"before: " + WAYS[way] + b" :after"
    hits = CanaryScanner({"key": SECRET}).scan(content, where="a log")
    assert hits
    assert {(hit.label, hit.where) for hit in hits} == {("key", "a log")}


def test_secret_is_found_in_percent_of_lower_case():
    assert CanaryScanner({"key": "a/b+c/d+e/f"}).scan(b"x=a%2fb%2bc%2fd%2be%2ff")


@pytest.mark.parametrize("way", WAYS)
def test_secret_is_found_wherever_a_block_ends_in_it(way: str):
    scanner = CanaryScanner({"key": SECRET})
    content = b"<" + WAYS[way] + b">"
    whole = scanner.scan(content)
    for cut in range(len(content) + 1):
        assert scanner.scan_blocks([content[:cut], content[cut:]], where="bytes") == whole
    bytewise = (content[at : at + 1] for at in range(len(content)))
    assert scanner.scan_blocks(bytewise, where="bytes") == whole


@given(st.lists(st.sampled_from([PLAIN, "noise", "sk-canary-", "\n"]), max_size=12), st.integers(1, 40))
def test_every_hit_is_counted_once_whatever_the_blocks(parts: list[str], step: int):
    content = "".join(parts).encode()
    blocks = [content[at : at + step] for at in range(0, len(content), step)]
    hits = CanaryScanner({"key": PLAIN}).scan_blocks(blocks, where="log")
    starts = [at for at in range(len(content)) if content.startswith(PLAIN.encode(), at)]
    assert [hit.offset_bytes for hit in hits if hit.form == "raw"] == starts
    assert len(hits) == len(starts)


@given(st.binary(min_size=8, max_size=60), st.binary(max_size=20), st.binary(max_size=20))
def test_secret_of_any_bytes_is_found_in_base64_at_any_place(secret: bytes, before: bytes, after: bytes):
    scanner = CanaryScanner({"key": secret})
    assert scanner.scan(base64.b64encode(before + secret + after))
    assert scanner.scan(base64.urlsafe_b64encode(before + secret + after))


@given(st.text(min_size=8, max_size=40))
def test_secret_of_any_text_is_found_in_json_and_in_urls(secret: str):
    scanner = CanaryScanner({"key": secret})
    for content in (
        json.dumps([secret]),
        json.dumps([secret], ensure_ascii=False),
        quote(secret),
        percent(secret.encode()),
    ):
        assert scanner.scan(content.encode())


def test_nothing_is_found_in_random_bytes_and_their_encodings():
    noise = random.Random(11).randbytes(300_000)
    scanner = CanaryScanner({"key": SECRET, "other": PLAIN, "short": "8 bytes!"})
    for content in (noise, base64.b64encode(noise), noise.hex().encode(), quote(noise).encode()):
        assert scanner.scan(content) == []


def test_nothing_is_found_when_a_letter_of_the_secret_differs():
    other = PLAIN[:-1] + "3"
    for content in (other.encode(), other.encode().hex().encode(), quote(other).encode()):
        assert CanaryScanner({"key": PLAIN}).scan(content) == []


def test_each_of_several_secrets_is_told_by_its_label():
    hits = CanaryScanner({"one": PLAIN, "two": SECRET}).scan(RAW + b" " + PLAIN.encode())
    assert [hit.label for hit in hits if hit.form == "raw"] == ["two", "one"]


def test_hits_and_errors_never_show_the_secret(tmp_path: Path):
    scanner = CanaryScanner({"key": PLAIN})
    (tmp_path / PLAIN).mkdir()
    (tmp_path / PLAIN / "inner").write_text(PLAIN)
    hits = scanner.scan_tree(tmp_path)
    assert len(hits) == 3  # the folder's name, as an entry and within the inner path, and the file's content
    assert PLAIN not in repr(hits)
    assert PLAIN not in repr(scanner)


@pytest.mark.parametrize("secrets", [{}, {"key": "short"}, {"long": PLAIN, "key": b"1234567"}])
def test_scanner_is_refused_when_it_could_prove_nothing(secrets: dict[str, str | bytes]):
    with pytest.raises(ValueError, match=r"proves nothing|shorter than 8"):
        CanaryScanner(secrets)


def test_scan_ends_with_an_error_when_the_hits_have_no_end():
    with pytest.raises(RuntimeError, match="10000 places") as error:
        CanaryScanner({"key": PLAIN}).scan(PLAIN.encode() * 10_001)
    assert PLAIN not in str(error.value)


def test_tree_is_scanned_in_files_larger_than_a_block(tmp_path: Path):
    nested = tmp_path / "a" / "b"
    nested.mkdir(parents=True)
    start = canary_module.BLOCK_BYTES - 5
    (nested / "big.log").write_bytes(b"." * start + PLAIN.encode() + b"." * 1000)
    (tmp_path / "clean").write_bytes(b"nothing here")
    hits = CanaryScanner({"key": PLAIN}).scan_tree(tmp_path)
    assert [(hit.where, hit.offset_bytes) for hit in hits] == [(str(nested / "big.log"), start)]


def test_tree_is_scanned_in_the_names_of_files(tmp_path: Path):
    (tmp_path / f"{PLAIN}.txt").touch()
    (hit,) = CanaryScanner({"key": PLAIN}).scan_tree(tmp_path)
    assert hit.where.startswith("the name of an entry")


def test_tree_leaves_out_what_is_no_file_and_does_not_hang(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert CanaryScanner({"key": PLAIN}).scan_tree(tmp_path) == []


def test_tree_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        CanaryScanner({"key": PLAIN}).scan_tree(tmp_path / "nowhere")


def test_processes_are_scanned_in_command_line_and_environment():
    waiting = "import sys; print(flush=True); sys.stdin.read()"
    environment = {**os.environ, "CANARY": base64.b64encode(RAW).decode()}
    command = [sys.executable, "-c", waiting, PLAIN]
    scanner = CanaryScanner({"argument": PLAIN, "variable": SECRET})
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        hits = scanner.scan_processes([process.pid])
        process.communicate()
    assert {(hit.label, hit.where.rpartition("/")[2]) for hit in hits} == {
        ("argument", "cmdline"),
        ("variable", "environ"),
    }


def test_process_that_has_ended_is_an_error():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with pytest.raises(ProcessLookupError, match="has ended"):
        CanaryScanner({"key": PLAIN}).scan_processes([process.pid])
