"""What many keys cost: nothing for each call, little memory, and no time that tells a guesser anything."""

from __future__ import annotations

import gc
import hashlib
import random
import statistics
import time
import tracemalloc
from collections.abc import Iterator
from math import sqrt

import msgspec
import pytest

from tollhouse.core.errors import GatewayError
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import KEY_PREFIX, key_hint, virtual_key_text
from tollhouse.core.limits import Budget, Limits, Period
from tollhouse.core.operation import Operation
from tollhouse.core.secret import Secret
from tollhouse.stages.authenticate import Keyring, key_digest, pepper_of

PEPPER = pepper_of(Secret("a master key of some length"))
NOW = 1_800_000_000.0


def text_of(number: int) -> str:
    return virtual_key_text(hashlib.sha256(str(number).encode()).digest())


def keys(count: int) -> Iterator[VirtualKey]:
    """As many keys of a thousand teams, with all that teams give their keys."""
    for number in range(count):
        text = text_of(number)
        yield VirtualKey(
            id=f"key_{number:022x}",
            name=f"service number {number}",
            digest=key_digest(PEPPER, text),
            hint=key_hint(text),
            team=f"team-{number % 1_000}",
            routes=("gpt-*", "claude-*"),
            created_at=NOW + number,
            expires_at=NOW + 86_400 * (number % 90 + 1),
            limits=Limits(requests_per_minute=600, tokens_per_minute=100_000, concurrency=10),
            budget=Budget(nanousd=100_000_000_000, period=Period.MONTH),
            networks=("10.0.0.0/8",),
            hours=("Mon-Sun 00:00-24:00 Europe/Berlin",),
            tags=("production", f"team-{number % 1_000}"),
            metadata={"owner": f"person-{number}@example.org"},
        )


def ring_of(count: int) -> Keyring:
    """As a worker has it: the keys come over the link, and share nothing yet."""
    encoded = msgspec.msgpack.encode(list(keys(count)))
    ring = Keyring(PEPPER)
    ring.set_loaded()
    ring.set_freshness(is_fresh=True)
    ring.learn(msgspec.msgpack.decode(encoded, type=list[VirtualKey]))
    return ring


def test_key_takes_less_than_a_kibibyte() -> None:
    encoded = msgspec.msgpack.encode(list(keys(10_000)))
    ring = Keyring(PEPPER)
    gc.collect()
    tracemalloc.start()
    try:
        ring.learn(msgspec.msgpack.decode(encoded, type=list[VirtualKey]))
        gc.collect()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(ring) == 10_000
    assert held_bytes / 10_000 <= 1_024


def test_changing_keys_over_and_over_keeps_nothing_of_what_they_were() -> None:
    ring = ring_of(10)
    for round_ in range(50):
        ring.learn([msgspec.structs.replace(key, name=f"name {round_}") for key in keys(10)])
    assert (len(ring), len(ring._entries), len(ring._former)) == (10, 10, 0)


@pytest.mark.slow
def test_call_costs_the_same_with_ten_keys_and_with_a_hundred_thousand() -> None:
    few, many = ring_of(10), ring_of(100_000)
    gc.collect()
    gc.freeze()
    texts = [text_of(number).encode() for number in range(10)]

    def once(ring: Keyring) -> float:
        began = time.perf_counter()
        for _ in range(200):
            for text in texts:
                ring.identify(text, NOW, Operation.CHAT, "10.1.2.3")
        return time.perf_counter() - began

    pairs = [(once(few), once(many)) for _ in range(60)]
    gc.unfreeze()
    assert statistics.median(many_s / few_s for few_s, many_s in pairs) <= 1.05


def guesses(like: str, count: int, chance: random.Random) -> list[bytes]:
    """Wrong keys that begin as a right one does, for 1 to 40 letters of its secret, with the checksum they need."""
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    made = []
    while len(made) < count:
        length = chance.randrange(1, 41) if like else 0
        body = like[len(KEY_PREFIX) :][:length]
        number = 0
        for letter in body + "".join(chance.choices(letters, k=43 - length)):
            number = number * 62 + letters.index(letter)
        if number < 2**256:
            made.append(virtual_key_text(number.to_bytes(32, "big")).encode())
    return made


def welch(one: list[int], two: list[int]) -> float:
    """Welch's t of two samples."""
    spread = statistics.variance(one) / len(one) + statistics.variance(two) / len(two)
    return (statistics.fmean(one) - statistics.fmean(two)) / sqrt(spread)


@pytest.mark.slow
def test_time_of_a_refusal_does_not_tell_how_much_of_a_key_was_right() -> None:
    """A10 of the catalogue: 100,000 guesses that share letters with a key, and as many that share none."""
    count, chance = 100_000, random.Random(20_261_125)
    ring = ring_of(1_000)
    right = text_of(7)
    tries = [(0, text) for text in guesses(right, count, chance)]
    tries += [(1, text) for text in guesses("", count, chance)]
    chance.shuffle(tries)
    times: tuple[list[int], list[int]] = ([], [])
    messages = set()
    gc.disable()
    try:
        for kind, text in tries:
            began = time.perf_counter_ns()
            try:
                ring.identify(text, NOW, Operation.CHAT, "10.1.2.3")
            except GatewayError as error:
                times[kind].append(time.perf_counter_ns() - began)
                messages.add((error.kind, error.message, error.hint, error.status))
    finally:
        gc.enable()
    assert (len(times[0]), len(times[1]), len(messages)) == (count, count, 1)
    # What the machine does besides is in the slowest tenth of both.
    most = sorted(times[0] + times[1])[int(1.8 * count)]
    near, far = ([taken for taken in each if taken <= most] for each in times)
    assert abs(welch(near, far)) < 4.5
