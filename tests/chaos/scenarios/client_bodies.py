"""C07–C09, C11: bodies that are not what they say, or too much of it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from chaos.caller import CHAT, Caller, head, ids, question, request, statuses
from chaos.rig import Rig, route
from chaos.scenario import scenario

_MIB = 1 << 20
_STEP = 65_536
_TOO_LONG_S = 35.0
"""A caller who is refused may be listened to for half a minute, so that it can read why."""


def _bounded(most_bytes: int) -> dict[str, object]:
    return {"listen": "127.0.0.1:0", "drain_s": 5, "max_body_bytes": most_bytes}


async def _told(rig: Rig, data: bytes, patience_s: float = 4.0) -> bytes:
    """What a caller hears who sends this and waits for the end."""
    async with await Caller.connect(rig.house.url) as caller:
        sending = asyncio.create_task(caller.send(data))
        await caller.hear_out(patience_s)
        sending.cancel()
        rig.other_calls += len(ids(caller.taken))
        return caller.taken


# -- lengths


@scenario("C07", sabotage="bodies_have_no_bound")
async def bodies_lie_about_their_length(rig: Rig) -> None:
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up")}, server=_bounded(_MIB))
    key, seen = rig.house.new_key("*"), rig.seen
    fits = question("gpt", user="x" * (_MIB - len(question("gpt", user=""))))
    seen.exactly("at the bound", statuses(await _told(rig, request(key, fits, "connection: close"))), [200])
    seen.exactly("calls upstream", upstream.count, 1)

    wrong = []
    for name, data in _lying_lengths(key):
        answers = statuses(await _told(rig, data))
        if not answers or set(answers) - {400, 413}:
            wrong.append(f"{name}: {answers}")
    seen.none_of("not refused", wrong)
    seen.exactly("one byte more: asked for before it came", await _refused_by_its_head(rig, key), [400])
    seen.at_most(
        "endless chunks: sent when told KiB", await _endless(rig, key) / 1024, (_MIB + 2 * _STEP) / 1024
    )
    await _ten_gigabytes(rig, key)
    await _shorter_than_said(rig, key)
    seen.exactly("calls upstream in all", upstream.count, 1)


def _lying_lengths(key: str) -> Iterator[tuple[str, bytes]]:
    body = question("gpt")
    yield "one byte more", request(key, b" " * (_MIB + 1))
    yield "said to be shorter", request(key, body, length=len(body) - 20)
    for length in ("-1", "+5", "0x10", "1e3", "5, 5", "5 5", "", "9" * 30, str(1 << 63)):
        yield f"content-length {length[:12]!r}", head(key, f"content-length: {length}") + body
    yield "two lengths", head(key, "content-length: 3", "content-length: 5") + body
    chunked = head(key, "transfer-encoding: chunked")
    for size in (b"zz", b"-1", b"0x5", b" 5", b"FFFFFFFFFFFFFFFFFF", b"5 5"):
        yield f"chunk of {size!r}", chunked + size + b"\r\n" + body
    yield "chunk without its end", chunked + b"5\r\nhelloworld\r\n0\r\n\r\n"
    yield "length and chunks", head(key, "content-length: 5", "transfer-encoding: chunked") + b"0\r\n\r\n"


async def _refused_by_its_head(rig: Rig, key: str) -> list[int]:
    return statuses(await _told(rig, head(key, f"content-length: {_MIB + 1}")))


async def _endless(rig: Rig, key: str) -> int:
    """Chunks until there is an answer: how many bytes that took."""
    async with await Caller.connect(rig.house.url) as caller:
        await caller.send(head(key, "transfer-encoding: chunked"))
        sent_bytes = 0
        while not caller.taken and sent_bytes < 20 * _MIB:
            await caller.send(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            sent_bytes += 0x4000
            await caller.read(patience_s=0.02)
        rig.seen.exactly("endless chunks", statuses(caller.taken), [400])
        rig.other_calls += 1
        return sent_bytes


async def _ten_gigabytes(rig: Rig, key: str) -> None:
    """As fast as they are taken, to the end of the connection: nothing of it stays."""
    memory, sent_bytes, began = rig.memory_bytes(), 0, time.monotonic()
    piece = b"100000\r\n" + b" " * _MIB + b"\r\n"
    async with await Caller.connect(rig.house.url) as caller:
        await caller.send(head(key, "transfer-encoding: chunked"))
        while sent_bytes < 10_000 * _MIB and time.monotonic() < began + _TOO_LONG_S:
            if not await caller.send(piece) or rig.memory_bytes() > memory + 256 * _MIB:
                break
            sent_bytes += _MIB
        rig.other_calls += 1
    rig.seen.note("10 GB: taken MiB", sent_bytes // _MIB)
    rig.seen.at_most("closed after s", time.monotonic() - began, 32)
    rig.seen.at_most("memory MiB", (rig.memory_bytes() - memory) / _MIB, 8)


async def _shorter_than_said(rig: Rig, key: str) -> None:
    """The rest never comes, because its sender has closed."""
    async with await Caller.connect(rig.house.url) as caller:
        await caller.send(request(key, question("gpt"), length=5_000))
    rig.other_calls += 1
    rows = (await rig.rows()).values()
    gone = [row for row in rows if row["outcome"] == "client_gone"]
    rig.seen.exactly("cut short: gone, without an attempt", [len(row["attempts"]) for row in gone], [0])


# -- encodings


def _bombs() -> Iterator[tuple[str, bytes]]:
    """A gigabyte each, once unpacked; and what takes long for nothing."""
    zeros = gzip.compress(bytes(64 * _MIB), 9) * 16
    yield "gzip", zeros
    yield "x-gzip", zeros
    yield "GZIP", zeros
    yield "deflate", zlib.compress(bytes(256 * _MIB), 9)
    yield "zstd", _zstd_of_a_gigabyte()
    yield "br", b"\x5b\xff\xff\xff\x03" + bytes(10_000)
    yield "gzip, gzip", gzip.compress(zeros)
    yield "identity, gzip", zeros
    yield "gzip, br, zstd", gzip.compress(zeros)
    yield "gzip", gzip.compress(b"") * 100_000
    yield "unheard-of", question("gpt")


def _zstd_of_a_gigabyte() -> bytes:
    """A frame of blocks that say: one byte, 131,072 times (RFC 8878)."""
    block = (131_072 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * 8_192


@scenario("C08", sabotage="compressed_bodies_are_unpacked")
async def bodies_are_compressed(rig: Rig) -> None:
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up")})
    key, seen = rig.house.new_key("*"), rig.seen
    bombs = list(_bombs())
    memory, most_s, most_bytes, wrong = rig.memory_bytes(), 0.0, 0, []
    for encoding, body in bombs:
        before_s = rig.processor_s()
        answers = statuses(
            await _told(rig, request(key, body, f"content-encoding: {encoding}", "connection: close"))
        )
        most_s = max(most_s, rig.processor_s() - before_s)
        most_bytes = max(most_bytes, rig.memory_bytes() - memory)
        if answers not in ([400], [413], [415]):
            wrong.append(f"{encoding}: {answers}")
    for coding in ("gzip, chunked", "gzip", "chunked, gzip"):
        answers = statuses(await _told(rig, head(key, f"transfer-encoding: {coding}") + b"0\r\n\r\n"))
        wrong += [f"{coding} in transfer: {answers}"] if answers != [400] else []
    seen.exactly("bombs", len(bombs) + 3, 14)
    seen.none_of("not refused", wrong)
    seen.at_most("CPU ms", most_s * 1e3, 100)
    seen.at_most("memory MiB", most_bytes / _MIB, 32)
    seen.exactly("calls upstream", upstream.count, 0)


# -- JSON


def _around(content: str | bytes) -> bytes:
    """A chat call with this in place of a message's content."""
    text = content.encode() if isinstance(content, str) else content
    return b'{"model": "gpt", "messages": [{"role": "user", "content": ' + text + b"}]}"


def _with_member(member: str) -> bytes:
    return b'{"model": "gpt", "messages": [{"role": "user", "content": "hi"}], ' + member.encode() + b"}"


def _hostile_json() -> Iterator[tuple[str, bytes]]:
    million = 1_000_000
    yield "depth, nothing else", b"[" * million
    yield "depth of lists", _around("[" * million + "]" * million)
    yield "depth of objects", _around('{"a":' * million + "1" + "}" * million)
    yield "depth in an unknown member", _with_member('"x": ' + "[" * million + "]" * million)
    yield "depth, never closed", _around("[" * million)
    yield "NaN", _with_member('"temperature": NaN')
    yield "Infinity", _with_member('"temperature": Infinity')
    yield "minus Infinity", _with_member('"temperature": -Infinity')
    yield "a number with a plus", _with_member('"temperature": +1')
    yield "a number with zeros", _with_member('"temperature": 007')
    yield "a number without an end", _with_member('"temperature": 1.')
    yield "hexadecimal", _with_member('"temperature": 0x1')
    yield "one model twice", _with_member('"model": "other"')
    yield "one model twice, escaped", _with_member('"mod\\u0065l": "other"')
    yield "one stream twice", _with_member('"stream": false, "stream": true')
    yield "messages twice", _with_member('"messages": []')
    yield "half a surrogate in the model", b'{"model": "gpt\\ud800", "messages": []}'
    yield "a model of a million letters", json.dumps({"model": "x" * million, "messages": []}).encode()
    yield "stream_options twice", _with_member('"stream_options": {}, "stream_options": null')
    yield "half an UTF-8 rune", _around(b'"\xe2\x82"')
    yield "UTF-8 of a surrogate", _around(b'"\xed\xa0\x80"')
    yield "overlong UTF-8", _around(b'"\xc0\xaf"')
    yield "UTF-16", question("gpt").decode().encode("utf-16")
    yield "a byte order mark", b"\xef\xbb\xbf" + question("gpt")
    yield "a control character", _around(b'"\x01"')
    yield "an unknown escape", _around('"\\x41"')
    yield "comments", b"/* hello */" + question("gpt")
    yield "a comma too many", _with_member('"x": [1,]')
    yield "two documents", question("gpt") * 2
    yield "50 MB in one string", _around('"' + "x" * 50_000_000 + '"')


def _strange_json() -> Iterator[tuple[str, bytes]]:
    """What RFC 8259 allows: no matter what becomes of it, it costs next to nothing and breaks nothing."""
    keys = ", ".join(f'"k{number}": 1' for number in range(1_000_000))
    yield "10⁶ keys in one object", _with_member(f'"metadata": {{{keys}}}')
    yield "10⁶ keys of the request", _with_member(keys)
    yield "an integer of 10⁵ digits", _with_member('"seed": ' + "9" * 100_000)
    yield "a number of 10⁵ places", _with_member('"temperature": 0.' + "3" * 100_000)
    yield "an exponent too large", _with_member('"temperature": 1e999999')
    yield "half a surrogate in a message", _around('"\\ud800"')
    yield "a member twice that nobody here reads", _with_member('"user": "a", "user": "b"')


@scenario("C09", sabotage="json_is_not_looked_at")
async def bodies_are_hostile_json(rig: Rig) -> None:
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=1)})
    key, seen = rig.house.new_key("*"), rig.seen
    pids = rig.house.worker_pids()
    wrong, slow = [], []
    most_s, count = 0.0, 0
    for name, body in _hostile_json():
        count += 1
        before_s = rig.processor_s()
        answers = statuses(await _told(rig, request(key, body, "connection: close")))
        took_s = rig.processor_s() - before_s
        most_s = max(most_s, took_s)
        wrong += [f"{name}: {answers}"] if answers not in ([400], [413]) else []
        slow += [f"{name}: {took_s * 1e3:.0f} ms"] if took_s > 0.05 else []
    seen.exactly("400", count - len(wrong), 30)
    seen.none_of("otherwise", wrong)
    seen.note("most CPU ms", most_s * 1e3)
    seen.none_of("more than 50 ms CPU", slow)
    seen.exactly("calls upstream", upstream.count, 0)
    await _strange_json_is_harmless(rig, key)
    seen.exactly("same worker", rig.house.worker_pids(), pids)


async def _strange_json_is_harmless(rig: Rig, key: str) -> None:
    odd, waited_s = [], [0.0]
    for name, body in _strange_json():
        before_s = rig.processor_s()
        asking = asyncio.create_task(_told(rig, request(key, body, "connection: close")))
        while not asking.done():
            began = time.monotonic()
            await asyncio.to_thread(rig.house.call, "GET", "/healthz")
            waited_s.append(time.monotonic() - began)
            await asyncio.sleep(0.005)
        answers = statuses(asking.result())
        rig.seen.note(name, f"{answers} {(rig.processor_s() - before_s) * 1e3:.0f} ms")
        odd += [f"{name}: {answers}"] if answers not in ([200], [400], [413]) else []
    rig.seen.none_of("neither passed on nor refused", odd)
    rig.seen.at_most("others wait ms", max(waited_s) * 1e3, 250)


# -- multipart

_DOORS = (
    CHAT, "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/rerank", "/v2/chat", "/v2/embed",
    "/v1beta/models/gpt:generateContent", "/model/gpt/converse", "/openai/deployments/gpt/chat/completions",
    "/v1/audio/transcriptions", "/v1/files", "/v1/images/edits",
)  # fmt: skip


def _multipart() -> Iterator[tuple[str, bytes]]:
    """Content type and body."""
    part = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\ngpt\r\n'
    yield "multipart/form-data; boundary=b", part * 100_000 + b"--b--\r\n"
    yield "multipart/form-data; boundary=b", b'--b\r\ncontent-disposition: form-data; name="' + b"x" * _MIB
    yield "multipart/form-data", part + b"--b--\r\n"
    yield "multipart/form-data; boundary=" + "b" * 10_000, part
    yield "multipart/mixed; boundary=b; boundary=c", part
    file = b'--b\r\ncontent-disposition: form-data; name="file"; filename="../../x"\r\n\r\n'
    yield "multipart/form-data; boundary=b", file + bytes(4 * _MIB) + b"\r\n--b--\r\n"


@scenario("C11", sabotage="bodies_are_laid_down_in_files")
async def bodies_are_multipart(rig: Rig) -> None:
    """There is no door for files: each says no, keeps nothing and leaves no file behind."""
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up")})
    key, seen = rig.house.new_key("*"), rig.seen
    files, memory = _files(rig), rig.memory_bytes()
    wrong, count = [], 0
    for path in _DOORS:
        for kind, body in _multipart():
            count += 1
            told = await _told(
                rig, request(key, body, f"content-type: {kind}", "connection: close", path=path)
            )
            answers = statuses(told)
            wrong += [f"{path} {kind[:30]}: {answers}"] if answers not in ([400], [404], [413], [415]) else []
    wrong += [f"2 GB: {answers}"] if (answers := await _two_gigabytes(rig, key)) not in ([400], [413]) else []
    seen.exactly("refused", count + 1 - len(wrong), count + 1)
    seen.none_of("not refused", wrong)
    seen.at_most("memory MiB", (rig.memory_bytes() - memory) / _MIB, 32)
    seen.none_of("files left", sorted(_files(rig) - files))
    seen.exactly("calls upstream", upstream.count, 0)


async def _two_gigabytes(rig: Rig, key: str) -> list[int]:
    lines = ["content-type: multipart/form-data; boundary=b", f"content-length: {2 << 30}"]
    return statuses(await _told(rig, head(key, *lines) + bytes(_MIB)))


def _files(rig: Rig) -> set[str]:
    """Those the house could write, but for its own books, and those its processes hold open."""
    own = {path.name for path in rig.folder.iterdir()}
    folders = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
    laid_down = {str(path) for folder in folders for path in folder.glob("tmp*")}
    held = set()
    for link in [each for pid in rig.house.worker_pids() for each in Path(f"/proc/{pid}/fd").iterdir()]:
        with contextlib.suppress(FileNotFoundError):
            held.add(str(link.readlink()))
    return own | laid_down | {path for path in held if "(deleted)" in path}
