"""What the store promises about virtual keys."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contract.store.samples import AT, key
from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Budget, Limits, OnLow, Period
from tollhouse.ports.store import Store, StoreRefused

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = st.lists(texts, max_size=3).map(tuple)
times = st.none() | st.floats(0, 1e11, allow_nan=False)
counts = st.none() | st.integers(0, 2**53)
states = st.fixed_dictionaries(
    {
        "name": texts,
        "scheme": st.sampled_from(["hmac", "sha256"]),
        "hint": texts,
        "team": st.none() | texts,
        "project": st.none() | texts,
        "account": st.none() | texts,
        "routes": names,
        "created_at": st.floats(0, 1e11, allow_nan=False),
        "expires_at": times,
        "disabled_at": times,
        "former_until": times,
        "limits": st.builds(Limits, **dict.fromkeys(Limits.__struct_fields__, counts)),
        "budget": st.none()
        | st.builds(
            Budget,
            nanousd=st.integers(0, 2**53),
            period=st.sampled_from(Period),
            timezone=texts,
            is_hard=st.booleans(),
            on_low=st.sampled_from(OnLow),
            alerts_percent=st.lists(st.integers(1, 200), max_size=3).map(tuple),
        ),
        "doors": names,
        "networks": names,
        "hours": names,
        "tags": names,
        "max_output_tokens": counts,
        "metadata": st.dictionaries(texts, texts, max_size=3),
    }
)


def given_as(found: VirtualKey) -> VirtualKey:
    """What the store was given: all but the version, which is the store's own."""
    return replace(found, version=0)


def changed(store: Store, key_id: str, **more: Any) -> bool:
    standing = store.key(key_id)
    assert standing is not None
    return store.change_key(replace(standing, **more))


def test_the_strategy_fills_every_field() -> None:
    """A field that is added to the keys must be added above, or nothing would prove that it is kept."""
    # id, digest, former_digest and revoked_at have tests of their own; the version is the store's.
    assert len(VirtualKey.__struct_fields__) == 24
    assert len(Budget.__struct_fields__) == 6


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=states, second=states)
def test_key_comes_back_as_it_was_given_when_it_is_new_and_when_it_has_changed(
    store: Store, first: dict[str, Any], second: dict[str, Any]
) -> None:
    number = len(store.keys()[1])
    fresh = key(number, **first, former_digest=f"former {number}", revoked_at=None)
    store.add_key(fresh)
    kept = store.key(fresh.id)
    assert kept is not None
    assert given_as(kept) == fresh
    later = replace(kept, **second, digest=f"new {number}", former_digest=kept.digest)
    assert store.change_key(later)
    found = store.key(fresh.id)
    assert found is not None
    assert found == replace(later, version=store.keys_version())
    assert found in store.keys(kept.version)[1]


def test_unknown_key_is_none(store: Store) -> None:
    assert store.key("nobody") is None


def test_keys_come_oldest_first(store: Store) -> None:
    for number in (2, 3, 1):
        store.add_key(key(number))
    assert [found.id for found in store.keys()[1]] == ["key_1", "key_2", "key_3"]


def test_keys_since_a_version_are_those_that_changed_after_it(store: Store) -> None:
    store.add_key(key(1))
    store.add_key(key(2))
    store.add_key(key(4))
    version, _ = store.keys()
    assert store.keys(version) == (version, [])
    store.add_key(key(3))
    store.revoke_key("key_1", AT)
    changed(store, "key_4", disabled_at=AT)
    later, found = store.keys(version)
    assert later == store.keys_version() > version
    assert [(one.id, one.revoked_at, one.disabled_at) for one in found] == [
        ("key_1", AT, None),
        ("key_3", None, None),
        ("key_4", None, AT),
    ]


def test_keys_version_grows_with_changes_only(store: Store) -> None:
    seen = [store.keys_version()]
    store.add_key(key(1))
    seen.append(store.keys_version())
    changed(store, "key_1", name="other")
    seen.append(store.keys_version())
    store.revoke_key("key_1", AT)
    seen.append(store.keys_version())
    assert seen == sorted(set(seen))
    store.revoke_key("key_1", AT + 1)
    store.revoke_key("nobody", AT)
    store.change_key(key(1, version=1))
    store.change_key(key(2))
    with pytest.raises(StoreRefused):
        store.add_key(key(1))
    assert store.keys_version() == seen[-1]


def test_version_of_a_key_is_that_of_its_last_change(store: Store) -> None:
    for number in (1, 2):
        store.add_key(key(number))
    changed(store, "key_1", team="search")
    _, found = store.keys()
    assert [(one.id, one.version) for one in found] == [("key_1", 3), ("key_2", 2)]


def test_change_is_refused_when_the_key_has_changed_since_it_was_read(store: Store) -> None:
    store.add_key(key(1))
    read = store.key("key_1")
    assert read is not None
    store.revoke_key("key_1", AT)
    assert store.change_key(replace(read, team="search")) is False
    found = store.key("key_1")
    assert found is not None
    assert (found.team, found.revoked_at) == (None, AT)
    assert store.change_key(replace(read, version=read.version + 99)) is False


def test_revoked_key_stays_revoked_whatever_is_changed(store: Store) -> None:
    store.add_key(key(1))
    store.revoke_key("key_1", AT)
    assert changed(store, "key_1", revoked_at=None, name="back")
    found = store.key("key_1")
    assert found is not None
    assert (found.name, found.revoked_at) == ("back", AT)


def test_change_can_revoke(store: Store) -> None:
    store.add_key(key(1))
    assert changed(store, "key_1", revoked_at=AT)
    assert store.revoke_key("key_1", AT + 9) == store.key("key_1")
    assert store.key("key_1").revoked_at == AT  # type: ignore[union-attr]


def test_revoking_returns_the_key_and_keeps_the_first_time(store: Store) -> None:
    store.add_key(key(1))
    assert store.revoke_key("key_1", AT) == replace(key(1), revoked_at=AT, version=2)
    assert store.revoke_key("key_1", AT + 60) == replace(key(1), revoked_at=AT, version=2)


def test_revoking_an_unknown_key_is_none(store: Store) -> None:
    assert store.revoke_key("nobody", AT) is None


@pytest.mark.parametrize(
    "twin",
    [
        key(1, digest="ff"),
        key(2, digest=key(1).digest),
        key(2, digest="before"),
        key(2, former_digest=key(1).digest),
        key(2, former_digest="before"),
    ],
    ids=["id", "digest", "digest of before", "former digest", "former digest of before"],
)
def test_key_is_refused_and_nothing_changes_when_its_id_or_a_digest_is_taken(
    store: Store, twin: VirtualKey
) -> None:
    store.add_key(key(1, former_digest="before"))
    before = store.keys()
    with pytest.raises(StoreRefused):
        store.add_key(twin)
    assert store.keys() == before
    if twin.id != "key_1":
        store.add_key(key(2))
        before = store.keys()
        with pytest.raises(StoreRefused):
            changed(store, "key_2", digest=twin.digest, former_digest=twin.former_digest)
        assert store.keys() == before


def test_changes_of_one_state_are_made_once_when_many_come_at_once(
    store: Store, open_another: Callable[[], Store]
) -> None:
    store.add_key(key(1))
    read = store.key("key_1")
    assert read is not None
    others, done = [open_another() for _ in range(4)], []
    start = threading.Barrier(len(others))

    def change(number: int) -> None:
        start.wait(10)
        done.append(others[number].change_key(replace(read, name=f"by {number}")))

    threads = [threading.Thread(target=change, args=(number,)) for number in range(len(others))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == [False, False, False, True]
    assert store.keys_version() == 2


def test_keys_that_are_written_at_once_get_versions_in_the_order_they_are_seen(
    store: Store, open_another: Callable[[], Store]
) -> None:
    """Whoever asks for what is new must not miss a key whose writer was slower than the next one."""
    writers = [open_another() for _ in range(3)]
    seen: dict[str, int] = {}
    version = 0

    def write(number: int) -> None:
        for step in range(12):
            writers[number].add_key(key(1000 * (number + 1) + step))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(writers))]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or store.keys_version() > version:
        version, found = store.keys(version)
        seen.update({one.id: one.version for one in found})
    assert sorted(seen.values()) == list(range(1, 37))


def test_keys_that_are_added_together_are_all_there_or_none(store: Store) -> None:
    store.add_key(key(1))
    with pytest.raises(StoreRefused):
        store.add_keys([key(2), key(1), key(3)])
    assert [each.id for each in store.keys()[1]] == [key(1).id]
    version = store.keys_version()
    store.add_keys([key(2), key(3)])
    store.add_keys([])
    now, added = store.keys(version)
    assert [each.id for each in added] == [key(2).id, key(3).id]
    assert {each.version for each in added} == {now} == {store.keys_version()}
