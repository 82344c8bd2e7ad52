"""What commands do with keys, over a store in which somebody else works as well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from tollhouse.bootstrap.key_book import KeyBook, KeyNotChanged
from tollhouse.core.authority import Action
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import is_virtual_key
from tollhouse.core.limits import Budget, Period
from tollhouse.core.people import Account, AccountKind, Project
from tollhouse.core.secret import Secret
from tollhouse.ports.store import Spending, StoreRefused, StoreUnavailable
from tollhouse.stages.authenticate import key_digest, pepper_of

PEPPER = pepper_of(Secret("a master key of some length"))
DECLARED = VirtualKey(id="cfg-ci", name="ci", digest=sha256(b"declared").hexdigest(), scheme="sha256")


class FakeStore:
    """Keys in memory; `rivals` are changes that somebody else makes just before each of ours."""

    def __init__(self) -> None:
        self.version = 0
        self.held: dict[str, VirtualKey] = {}
        self.rivals: list[Any] = []
        self.sums: list[Spending] = []
        self.cannot_be_audited = False
        self.people: dict[str, Any] = {}
        self.audit: list[tuple[str, str]] = []
        """What was recorded: the action and the thing."""

    def _put(self, key: VirtualKey) -> None:
        self.version += 1
        self.held[key.id] = replace(key, version=self.version)

    def add_key(self, key: VirtualKey) -> None:
        assert key.id not in self.held
        self._put(key)

    def add_keys(self, keys: Sequence[VirtualKey]) -> None:
        digests = {held.digest for held in self.held.values()}
        if any(key.digest in digests for key in keys):
            raise StoreRefused("another key has this digest")
        for key in keys:
            self.add_key(key)

    def keys(self, since_version: int = 0) -> tuple[int, list[VirtualKey]]:
        return self.version, list(self.held.values())

    def key(self, key_id: str) -> VirtualKey | None:
        return self.held.get(key_id)

    def change_key(self, key: VirtualKey) -> bool:
        if self.rivals:
            self._put(self.rivals.pop()(self.held[key.id]))
        if self.held[key.id].version != key.version:
            return False
        self._put(key)
        return True

    def revoke_key(self, key_id: str, at: float) -> VirtualKey | None:
        key = self.held.get(key_id)
        if key is not None and key.revoked_at is None:
            self._put(replace(key, revoked_at=at))
        return self.held.get(key_id)

    def spending(self, *, changed_since: float = 0.0) -> list[Spending]:
        return self.sums


class FakeCase:
    """A transaction of the administration: undone as a whole where it does not end well."""

    def __init__(self, store: FakeStore, action: Action) -> None:
        self.register = self
        self._store, self._action = store, action
        self.key, self.add_keys = store.key, lambda *keys: store.add_keys(keys)

    def put_key(self, key: VirtualKey) -> None:
        if not self._store.change_key(key):
            raise StoreRefused("somebody has changed the key meanwhile")

    def find(self, kind: type, id_: str) -> Any:
        found = self._store.people.get(id_)
        return found if isinstance(found, kind) else None

    def record(self, thing: str, before: VirtualKey | None, after: VirtualKey | None) -> None:
        assert before != after
        if self._store.cannot_be_audited:
            raise StoreUnavailable("the audit log cannot be written")
        self._store.audit.append((self._action.value, thing))


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def book(store: FakeStore) -> KeyBook:
    @contextmanager
    def begin(action: Action) -> Iterator[Any]:
        held, audit = dict(store.held), list(store.audit)
        try:
            yield FakeCase(store, action)
        except StoreUnavailable:
            store.held, store.audit = held, audit
            raise

    return KeyBook(store, begin, PEPPER, [DECLARED])  # type: ignore[arg-type]


def test_every_change_leaves_its_row_in_the_audit_log(store: FakeStore, book: KeyBook) -> None:
    key, _ = book.make({"name": "app"})
    book.edit(key.id, lambda key: replace(key, name="other"))
    book.edit(key.id, lambda key: key)
    book.rotate(key.id, 60)
    book.disable(key.id)
    book.enable(key.id)
    book.revoke(key.id)
    book.revoke(key.id)
    (imported,) = book.bring_in([line("one")])
    assert imported.key is not None
    verbs = ["create", "change", "rotate", "disable", "enable", "revoke"]
    assert store.audit == [
        *[(f"keys.{verb}", f"key:{key.id}") for verb in verbs],
        ("keys.create", f"key:{imported.key.id}"),
    ]


@pytest.mark.parametrize("verb", ["disable", "revoke"])
def test_nothing_is_changed_where_that_cannot_be_audited(store: FakeStore, book: KeyBook, verb: str) -> None:
    key, _ = book.make({"name": "app"})
    before = dict(store.held)
    store.cannot_be_audited = True
    with pytest.raises(StoreUnavailable):
        getattr(book, verb)(key.id)
    with pytest.raises(StoreUnavailable):
        book.make({"name": "another"})
    with pytest.raises(StoreUnavailable):
        list(book.bring_in([line("one")]))
    assert store.held == before


def test_key_is_of_a_project_of_its_own_team_and_of_an_account_there_is(
    store: FakeStore, book: KeyBook
) -> None:
    store.people = {
        "prj_1": Project(id="prj_1", team="search"),
        "svc_1": Account(id="svc_1", kind=AccountKind.SERVICE, name="bot"),
    }
    key, _ = book.make({"name": "app", "team": "search", "project": "prj_1", "account": "svc_1"})
    assert (key.project, key.account) == ("prj_1", "svc_1")
    with pytest.raises(KeyNotChanged, match="no project 'prj_1' of the team ads"):
        book.edit(key.id, lambda key: replace(key, team="ads"))
    with pytest.raises(KeyNotChanged, match="no account 'svc_2'"):
        book.make({"name": "app", "account": "svc_2"})
    assert store.held[key.id] == replace(key, version=1)


def test_made_key_has_a_text_that_only_its_digest_is_kept_of(store: FakeStore, book: KeyBook) -> None:
    key, text = book.make({"name": "app", "routes": ("gpt",)})
    assert is_virtual_key(text)
    assert (key.digest, key.scheme) == (key_digest(PEPPER, text), "hmac")
    assert text not in repr(store.held)
    assert store.held[key.id] == replace(key, version=1)


def test_rotated_key_keeps_everything_but_its_text(store: FakeStore, book: KeyBook) -> None:
    key, before = book.make({"name": "app", "tags": ("a",)})
    rotated, text = book.rotate(key.id, 60)
    assert text != before
    assert (rotated.digest, rotated.former_digest) == (key_digest(PEPPER, text), key.digest)
    assert rotated.former_until is not None
    assert (rotated.id, rotated.tags, rotated.created_at) == (key.id, ("a",), key.created_at)
    without_grace, _ = book.rotate(key.id, 0)
    assert (without_grace.former_digest, without_grace.former_until) == (None, None)


def test_change_is_made_of_what_somebody_else_has_just_made_of_the_key(
    store: FakeStore, book: KeyBook
) -> None:
    key, _ = book.make({"name": "app"})
    store.rivals = [lambda key: replace(key, tags=("theirs",)), lambda key: replace(key, routes=("theirs",))]
    book.edit(key.id, lambda key: replace(key, name="ours"))
    after = store.held[key.id]
    assert (after.name, after.tags, after.routes) == ("ours", ("theirs",), ("theirs",))


def test_key_that_is_revoked_while_it_is_edited_stays_revoked(store: FakeStore, book: KeyBook) -> None:
    key, _ = book.make({"name": "app"})
    store.rivals = [lambda key: replace(key, revoked_at=1.0)]
    with pytest.raises(KeyNotChanged, match="revoked, for good"):
        book.disable(key.id)
    assert (store.held[key.id].revoked_at, store.held[key.id].disabled_at) == (1.0, None)


def test_key_that_changes_all_the_time_is_given_up(store: FakeStore, book: KeyBook) -> None:
    key, _ = book.make({"name": "app"})
    store.rivals = [lambda key: key] * 100
    with pytest.raises(KeyNotChanged, match="all the time"):
        book.disable(key.id)


def test_disabling_twice_keeps_the_first_time(store: FakeStore, book: KeyBook) -> None:
    key, _ = book.make({"name": "app"})
    first = book.disable(key.id)
    assert book.disable(key.id).disabled_at == first.disabled_at
    assert book.enable(key.id).disabled_at is None


@pytest.mark.parametrize("verb", ["disable", "enable", "revoke"])
def test_declared_keys_are_changed_where_they_are_declared(book: KeyBook, verb: str) -> None:
    with pytest.raises(KeyNotChanged, match="declared in the configuration"):
        getattr(book, verb)("cfg-ci")
    assert book.find("cfg-ci") == DECLARED
    with pytest.raises(KeyNotChanged, match="no key 'key_nobody'"):
        getattr(book, verb)("key_nobody")


def test_what_is_spent_of_a_budget_is_summed_over_those_who_wrote_it_down(
    store: FakeStore, book: KeyBook
) -> None:
    budget = Budget(nanousd=10**9, period=Period.MONTH)
    key, _ = book.make({"name": "app", "budget": budget})
    november = f"purse/key:{key.id}/month/2026-11"
    store.sums = [
        Spending(purse=november, writer="w1", nanousd=5),
        Spending(purse=november, writer="w2", nanousd=7),
        Spending(purse=f"purse/key:{key.id}/month/2026-10", writer="w1", nanousd=100),
        Spending(purse="purse/key:another/month/2026-11", writer="w1", nanousd=1_000),
    ]
    assert book.spent_nanousd(key, 1_795_600_000.0) == 12  # in November 2026
    assert book.spent_nanousd(replace(key, budget=None), 1_795_600_000.0) is None


# -- keys from elsewhere


def line(text: str, **more: object) -> bytes:
    return json.dumps({"name": text, "sha256": sha256(text.encode()).hexdigest(), **more}).encode()


def test_imported_key_is_known_by_its_hash_and_has_what_its_line_says(
    store: FakeStore, book: KeyBook
) -> None:
    written = {"team": "search", "routes": ["gpt-*"], "expires": "2027-01-01", "networks": ["10.0.0.0/8"],
               "hours": ["Mon-Fri 08:00-18:00 Europe/Berlin"], "doors": ["chat"], "tags": ["a"],
               "max_output_tokens": 5, "limits": {"requests_per_minute": 3}, "budget": {"usd": 0.1, "period": "day"},
               "metadata": {"owner": "me"}}  # fmt: skip
    (done,) = book.bring_in([line("old key of alice@example.org", **written)])
    assert done.key is not None
    key = store.held[done.key.id]
    assert (key.scheme, key.digest) == ("sha256", sha256(b"old key of alice@example.org").hexdigest())
    assert (key.team, key.routes, key.doors, key.tags) == ("search", ("gpt-*",), ("chat",), ("a",))
    assert (key.expires_at, key.networks, key.max_output_tokens) == (1_798_761_600.0, ("10.0.0.0/8",), 5)
    assert key.limits.requests_per_minute == 3
    assert key.budget == Budget(nanousd=100_000_000, period=Period.DAY)
    assert key.digest[:12] not in key.id


def test_file_can_be_imported_again_whatever_has_become_of_its_keys(store: FakeStore, book: KeyBook) -> None:
    lines = [line("one"), b"", line("two"), line("one")]
    assert sorted(done.is_new for done in book.bring_in(lines)) == [False, True, True]
    upgraded, revoked = store.held.values()
    store.change_key(replace(upgraded, digest="0d" * 32, scheme="hmac"))
    store.revoke_key(revoked.id, 1.0)
    before = dict(store.held)
    assert [done.is_new for done in book.bring_in(lines)] == [False, False, False]
    assert store.held == before


def test_key_that_the_store_does_not_take_holds_up_no_other(store: FakeStore, book: KeyBook) -> None:
    twin = VirtualKey(id="key_1", name="twin", digest=sha256(b"two").hexdigest(), scheme="sha256")
    store.add_key(twin)
    done = list(book.bring_in([line("one"), line("two"), line("three")]))
    assert [(each.line, each.is_new) for each in done] == [(1, True), (2, False), (3, True)]
    assert done[1].problem == "another key has this digest"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (b"{", "JSON|truncated"),
        (b"[]", "object"),
        (line("a", rotues=["*"]), "rotues"),
        (b'{"name": "a", "sha256": "sk-the-key-itself"}', "sha256"),
        (line(""), "1 to 100"),
        (line("a\nb"), "1 to 100"),
        (line("a", networks=["10.0.0.0/33"]), "no network"),
        (line("a", hours=["whenever"]), "no window|time zone"),
        (line("a", doors=["cellar"]), "nothing that can be asked for"),
        (line("a", expires="soon"), "no moment"),
        (line("declared"), "configuration"),
    ],
)
def test_wrong_line_is_told_and_the_next_is_read(
    store: FakeStore, book: KeyBook, wrong: bytes, problem: str
) -> None:
    first, second = sorted(book.bring_in([wrong, line("b")]), key=lambda done: done.line)
    assert first.key is None
    assert re.search(problem, first.problem), first.problem
    assert "sk-the-key-itself" not in first.problem
    assert (second.line, second.is_new) == (2, True)
