"""What the store promises about virtual keys."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contract.store.samples import AT, key
from tollhouse.ports.store import Store, StoreRefused


def test_key_comes_back_as_it_was_given(store: Store) -> None:
    full = key(
        1,
        scheme="sha256",
        hint="sk-th-ab…wxyz",
        team="search",
        routes=("a/*", "ü"),
        expires_at=AT + 9,
        revoked_at=AT,
    )
    plain = key(2, routes=())
    store.add_key(full)
    store.add_key(plain)
    assert list(store.keys()[1]) == [full, plain]


def test_keys_come_oldest_first(store: Store) -> None:
    for number in (2, 3, 1):
        store.add_key(key(number))
    assert [found.id for found in store.keys()[1]] == ["key_1", "key_2", "key_3"]


def test_keys_since_a_version_are_those_that_changed_after_it(store: Store) -> None:
    store.add_key(key(1))
    store.add_key(key(2))
    version, _ = store.keys()
    assert store.keys(version) == (version, [])
    store.add_key(key(3))
    store.revoke_key("key_1", AT)
    later, changed = store.keys(version)
    assert later == store.keys_version() > version
    assert [(found.id, found.revoked_at) for found in changed] == [("key_1", AT), ("key_3", None)]


def test_keys_version_grows_with_changes_only(store: Store) -> None:
    seen = [store.keys_version()]
    store.add_key(key(1))
    seen.append(store.keys_version())
    store.revoke_key("key_1", AT)
    seen.append(store.keys_version())
    assert seen == sorted(set(seen))
    store.revoke_key("key_1", AT + 1)
    store.revoke_key("nobody", AT)
    assert store.keys_version() == seen[-1]


def test_revoking_returns_the_key_and_keeps_the_first_time(store: Store) -> None:
    store.add_key(key(1))
    assert store.revoke_key("key_1", AT) == replace(key(1), revoked_at=AT)
    assert store.revoke_key("key_1", AT + 60) == replace(key(1), revoked_at=AT)


def test_revoking_an_unknown_key_is_none(store: Store) -> None:
    assert store.revoke_key("nobody", AT) is None


@pytest.mark.parametrize("twin", [key(1, digest="ff"), key(2, digest=key(1).digest)], ids=["id", "digest"])
def test_key_is_refused_and_nothing_changes_when_its_id_or_digest_is_taken(
    store: Store, twin: object
) -> None:
    store.add_key(key(1))
    before = store.keys()
    with pytest.raises(StoreRefused):
        store.add_key(twin)  # type: ignore[arg-type]
    assert store.keys() == before
