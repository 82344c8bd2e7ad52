"""Sessions end: by themselves after eight hours or thirty minutes of silence, and whenever somebody ends them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tollhouse.adapters.sql import open_store
from tollhouse.administration import Administration, Answer, Errand
from tollhouse.bootstrap.administration import administration_of
from tollhouse.core.admin_keys import admin_key_text, is_admin_key, is_admin_session
from tollhouse.core.authority import Action, Grant, Role
from tollhouse.core.secret import Secret
from tollhouse.core.sign_on import Login

NOW = 1_800_000_000.0
MINUTE, HOUR = 60.0, 3_600.0
WORD = "eyJ.word.x"


class Desk:
    """An administration with a clock and an identity provider of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.numbers = itertools.count()
        self.store: Any = open_store("sqlite:///books.db", folder)
        self.store.migrate()
        made = administration_of(self.store, Secret("5b" * 32), dict, self.come)
        self.administration = Administration(self.store, replace(made._tools, now=lambda: self.now))

    def come(self, text: str, secret: str) -> Login:
        return Login(
            identity="ext_alice",
            issuer="https://login.example.org",
            email="alice@example.org",
            name="Alice",
            grants=(Grant(Role.AUDITOR),),
            nonce=secret or f"nonce-{next(self.numbers)}",
        )

    def ask(self, action: Action, credential: str, *, nonce: str = "") -> Answer:
        errand = Errand(action=action, credential=credential, nonce=nonce, request_id="req_1", peer="::1")
        return self.administration.run(errand)

    def log_in(self) -> str:
        text: str = json.loads(bytes(self.ask(Action.SESSIONS_CREATE, WORD).document))["session"]
        return text

    def code(self, session: str) -> str | None:
        error = self.ask(Action.ME_GET, session).error
        return error.kind if error is not None else None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def test_session_is_a_text_of_a_kind_of_its_own(desk: Desk) -> None:
    session = desk.log_in()
    assert is_admin_session(session)
    assert not is_admin_key(session)
    assert not is_admin_session(admin_key_text(b"q" * 32))
    assert desk.code("ak" + session[2:]) == "unauthenticated"
    assert desk.code(session) is None


def test_session_is_over_after_half_an_hour_of_silence(desk: Desk) -> None:
    session = desk.log_in()
    desk.now += 30 * MINUTE - 1
    assert desk.code(session) is None
    desk.now += 30 * MINUTE - 1
    assert desk.code(session) is None, "it has been used meanwhile"
    desk.now += 30 * MINUTE
    assert desk.code(session) == "key_expired"
    desk.now -= 30 * MINUTE
    assert desk.code(session) is None, "asking in vain has not prolonged it, nor ended it"


def test_session_is_over_after_eight_hours_however_busy(desk: Desk) -> None:
    session = desk.log_in()
    while desk.now + 20 * MINUTE < NOW + 8 * HOUR:
        desk.now += 20 * MINUTE
        assert desk.code(session) is None
    desk.now = NOW + 8 * HOUR
    assert desk.code(session) == "key_expired"


def test_session_that_was_ended_stays_so_and_no_other_is(desk: Desk) -> None:
    one, two = desk.log_in(), desk.log_in()
    assert desk.ask(Action.SESSIONS_END, one).error is None
    assert desk.code(one) == "unauthenticated"
    assert desk.ask(Action.SESSIONS_END, one).error is not None
    assert desk.code(two) is None


def test_sign_on_is_good_for_one_session(desk: Desk) -> None:
    assert desk.ask(Action.SESSIONS_CREATE, WORD, nonce="n").error is None
    again = desk.ask(Action.SESSIONS_CREATE, WORD, nonce="n").error
    assert again is not None
    assert again.kind == "unauthenticated"


def test_key_makes_no_session_and_is_none(desk: Desk) -> None:
    for trusted in ("root", "cli"):
        for action, status in ((Action.SESSIONS_CREATE, 400), (Action.SESSIONS_END, 409)):
            assert desk.administration.run(Errand(action=action, trusted=trusted)).status == status


def test_text_of_a_session_is_nowhere_in_the_store(desk: Desk, tmp_path: Path) -> None:
    session = desk.log_in()
    files = list(tmp_path.glob("books.db*"))
    assert files
    assert all(session.encode() not in file.read_bytes() for file in files)
