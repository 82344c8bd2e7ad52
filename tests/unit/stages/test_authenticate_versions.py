"""States of keys come late, twice and out of order, by several ways; what is known only ever gets newer."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from tollhouse.core.errors import GatewayError
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import virtual_key_text
from tollhouse.core.secret import Secret
from tollhouse.stages.authenticate import Keyring, key_digest, pepper_of

PEPPER = pepper_of(Secret("a master key of some length"))
TEXTS = [virtual_key_text(bytes([number]) * 32) for number in range(40)]
DIGESTS = [key_digest(PEPPER, text) for text in TEXTS]
NOW = 1_800_000_000.0


class FakeStore:
    """The keys as a database has them: every change draws the next version."""

    def __init__(self) -> None:
        self.version = 0
        self.keys: dict[str, VirtualKey] = {}
        self.unused = list(range(len(TEXTS)))

    def put(self, key: VirtualKey) -> None:
        self.version += 1
        self.keys[key.id] = replace(key, version=self.version)

    def text(self) -> str | None:
        return DIGESTS[self.unused.pop()] if self.unused else None

    def change(self, key_id: str, how: str) -> None:
        """One of the things that are done to keys; what cannot be done to this one is not."""
        key = self.keys[key_id]
        if how == "revoke":
            self.put(replace(key, revoked_at=key.revoked_at or NOW))
        elif key.revoked_at is not None:
            return
        elif how == "disable":
            self.put(replace(key, disabled_at=NOW))
        elif how == "enable":
            self.put(replace(key, disabled_at=None))
        elif how == "edit":
            self.put(replace(key, routes=(*key.routes[-3:], f"r{self.version}")))
        elif (digest := self.text()) is not None:
            self.put(replace(key, digest=digest, former_digest=key.digest, former_until=NOW + 10))

    def since(self, version: int) -> tuple[VirtualKey, ...]:
        return tuple(key for key in self.keys.values() if key.version > version)


CHANGES = ("revoke", "disable", "enable", "edit", "rotate")


class KeyringMachine(RuleBasedStateMachine):
    """Batches are read at any moment, of all keys or of what changed, and arrive at any later one, if at all."""

    @initialize()
    def begin(self) -> None:
        self.store = FakeStore()
        self.ring = Keyring(PEPPER)
        self.ring.set_loaded()
        self.ring.set_freshness(is_fresh=True)
        self.travelling: list[tuple[VirtualKey, ...]] = []
        self.seen: dict[str, VirtualKey] = {}
        for number in range(3):
            digest = self.store.text()
            assert digest is not None
            self.store.put(VirtualKey(id=f"key_{number}", name="k", digest=digest, routes=("*",)))

    @rule(key=st.integers(0, 2), how=st.sampled_from(CHANGES))
    def change(self, key: int, how: str) -> None:
        self.store.change(f"key_{key}", how)

    @rule(since=st.integers(0, 10))
    def read(self, since: int) -> None:
        self.travelling.append(self.store.since(max(0, self.store.version - since)))

    @rule()
    def read_all(self) -> None:
        self.travelling.append(self.store.since(0))

    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        if self.travelling:
            batch = data.draw(st.sampled_from(self.travelling))  # it stays: it may arrive again
            self.ring.learn(batch)
            for key in batch:
                if key.id not in self.seen or self.seen[key.id].version < key.version:
                    self.seen[key.id] = key

    @invariant()
    def newest_state_that_came_decides(self) -> None:
        for text, digest in zip(TEXTS, DIGESTS, strict=True):
            opens = {
                key.id
                for key in self.seen.values()
                if digest in (key.digest, key.former_digest)
                and key.revoked_at is None
                and key.disabled_at is None
            }
            try:
                principal = self.ring.identify(text.encode(), NOW)
            except GatewayError:
                assert not opens
            else:
                assert opens == {principal.key_id}
                assert principal.routes == self.seen[principal.key_id].routes


TestKeyringMachine = KeyringMachine.TestCase
TestKeyringMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def run(steps: int, seed: int) -> tuple[int, int]:
    """Random changes, reads and arrivals. Returns how many there were, and how often a key that had been seen to be
    revoked, or whose newer state had been seen, opened by an older one."""
    chance = random.Random(seed)
    store, ring = FakeStore(), Keyring(PEPPER)
    ring.set_loaded()
    for number in range(4):
        store.put(VirtualKey(id=f"key_{number}", name="k", digest=DIGESTS[number], routes=("*",)))
    store.unused = list(range(4, len(TEXTS)))
    travelling: list[Sequence[VirtualKey]] = [store.since(0)]
    seen: dict[str, VirtualKey] = {}
    resurrections = 0
    for _ in range(steps):
        kind = chance.random()
        if kind < 0.45:
            how = chance.choices(CHANGES, (1, 6, 6, 6, 2))[0]
            store.change(f"key_{chance.randrange(4)}", how)
        elif kind < 0.65:
            travelling.append(store.since(chance.choice((0, store.version - 1, store.version - 5))))
            del travelling[:-12]
        else:
            batch = chance.choice(travelling)
            ring.learn(batch)
            for key in batch:
                known = seen.get(key.id)
                if known is None or known.version < key.version:
                    seen[key.id] = key
                newest = seen[key.id]
                is_open = ring.why_closed(key.id, NOW) is None
                resurrections += is_open != (newest.revoked_at is None and newest.disabled_at is None)
    return steps, resurrections


@pytest.mark.parametrize("seed", range(20))
def test_no_older_state_of_a_key_takes_the_place_of_a_newer_one(seed: int) -> None:
    assert run(500, seed)[1] == 0


@pytest.mark.slow
def test_a_million_interleavings_resurrect_no_key() -> None:
    steps = resurrections = 0
    for seed in range(5_000):
        more, wrong = run(200, seed)
        steps, resurrections = steps + more, resurrections + wrong
    assert (steps, resurrections) == (1_000_000, 0)


def test_what_has_been_revoked_stays_so_even_if_the_store_forgets() -> None:
    """A database put back from yesterday's copy has lower versions, and keys that had not been revoked then."""
    ring = Keyring(PEPPER)
    key = VirtualKey(id="key_1", name="k", digest=DIGESTS[0], routes=("*",), version=9)
    ring.learn([replace(key, revoked_at=NOW)])
    ring.learn([replace(key, version=12)])
    assert ring.why_closed("key_1", NOW) is not None
    other = replace(key, id="key_2", digest=DIGESTS[1])
    ring.learn([other])
    ring.learn([replace(other, version=3, revoked_at=NOW)])
    assert ring.why_closed("key_2", NOW) is not None


def test_key_whose_digest_is_damaged_opens_nothing_and_keeps_out_no_other() -> None:
    ring = Keyring(PEPPER)
    ring.set_loaded()
    ring.set_freshness(is_fresh=True)
    key = VirtualKey(id="key_1", name="k", digest=DIGESTS[0], routes=("*",))
    ring.learn([replace(key, id="key_0", digest="not hex"), key])
    assert ring.identify(TEXTS[0].encode(), NOW).key_id == "key_1"
    ring.learn([replace(key, digest="zz", version=2), replace(key, id="key_2", digest=DIGESTS[1])])
    assert ring.identify(TEXTS[1].encode(), NOW).key_id == "key_2"
    with pytest.raises(GatewayError):
        ring.identify(TEXTS[0].encode(), NOW)
