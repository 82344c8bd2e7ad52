"""Who may come in, and what everybody else is told."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import virtual_key_text
from tollhouse.core.secret import Secret
from tollhouse.stages.authenticate import (
    Keyring,
    authenticate,
    entries_of,
    key_digest,
    pepper_of,
    presented_key,
)

PEPPER = pepper_of(Secret("a master key of some length"))
TEXT = virtual_key_text(bytes(range(32)))
NOW = 1_800_000_000.0


def keyring(*keys: VirtualKey, is_fresh: bool = True) -> Keyring:
    ring = Keyring(PEPPER)
    ring.learn(keys)
    ring.set_loaded()
    ring.set_freshness(is_fresh=is_fresh)
    return ring


def made(text: str = TEXT, **more: object) -> VirtualKey:
    return VirtualKey(id="key_1", name="ci", digest=key_digest(PEPPER, text), routes=("gpt-*",), **more)


def refusal(ring: Keyring, headers: dict[bytes, bytes]) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        authenticate(headers, ring, NOW)
    return caught.value


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer " + TEXT.encode()},
        {b"authorization": b"bearer " + TEXT.encode()},
        {b"x-api-key": TEXT.encode()},
        {b"x-goog-api-key": TEXT.encode()},
    ],
)
def test_known_key_is_let_in_by_each_header_of_the_contract(headers: dict[bytes, bytes]) -> None:
    principal = authenticate(headers, keyring(made()), NOW)
    assert (principal.key_id, principal.key_name, principal.routes) == ("key_1", "ci", ("gpt-*",))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b"Basic abc"},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Bearer"},
        {b"x-api-key": b""},
    ],
)
def test_request_without_a_key_is_refused_with_what_to_send(headers: dict[bytes, bytes]) -> None:
    error = refusal(keyring(made()), headers)
    assert error.kind is ErrorKind.UNAUTHENTICATED
    assert "Bearer <your key>" in error.hint


def test_malformed_key_is_refused_without_any_look_up() -> None:
    class Untouchable(dict[str, object]):
        def get(self, *_: object) -> None:
            raise AssertionError("looked up")

    ring = keyring(made())
    ring._entries = Untouchable()  # type: ignore[assignment]
    for text in ("sk-th-", TEXT[:-1], TEXT[:-1] + "!", TEXT + "0", TEXT.replace("0", "1", 1)):
        assert refusal(ring, {b"x-api-key": text.encode()}).kind is ErrorKind.UNAUTHENTICATED


def test_unknown_key_is_503_while_the_store_cannot_be_asked() -> None:
    unknown = {b"x-api-key": virtual_key_text(bytes(32)).encode()}
    assert refusal(keyring(made(), is_fresh=False), unknown).kind is ErrorKind.AUTH_UNAVAILABLE
    assert refusal(keyring(made(), is_fresh=True), unknown).kind is ErrorKind.UNAUTHENTICATED


def test_nobody_is_told_that_a_key_is_unknown_before_the_keys_have_arrived() -> None:
    declared = VirtualKey(
        id="cfg-ci", name="ci", digest=hashlib.sha256(b"mine").hexdigest(), scheme="sha256", routes=("*",)
    )
    ring = Keyring(PEPPER)
    ring.learn([declared])
    assert not ring.is_loaded
    assert authenticate({b"x-api-key": b"mine"}, ring, NOW).key_id == "cfg-ci"
    for unknown in (b"imported-perhaps", TEXT.encode()):
        assert refusal(ring, {b"x-api-key": unknown}).kind is ErrorKind.AUTH_UNAVAILABLE


def test_spaces_around_a_key_are_named() -> None:
    assert "spaces" in refusal(keyring(made()), {b"authorization": b"Bearer  " + TEXT.encode()}).message


def test_known_key_is_let_in_while_the_store_cannot_be_asked() -> None:
    assert authenticate({b"x-api-key": TEXT.encode()}, keyring(made(), is_fresh=False), NOW).key_id == "key_1"


def test_foreign_text_is_never_503_because_only_the_store_could_know_more() -> None:
    error = refusal(keyring(made(), is_fresh=False), {b"x-api-key": b"sk-proj-someone-elses"})
    assert error.kind is ErrorKind.UNAUTHENTICATED


def test_revoked_and_expired_keys_are_told_apart() -> None:
    headers = {b"x-api-key": TEXT.encode()}
    assert refusal(keyring(made(revoked_at=NOW - 1)), headers).kind is ErrorKind.UNAUTHENTICATED
    assert refusal(keyring(made(expires_at=NOW)), headers).kind is ErrorKind.KEY_EXPIRED
    assert authenticate(headers, keyring(made(expires_at=NOW + 1)), NOW).key_id == "key_1"


def test_key_learnt_again_takes_its_new_state() -> None:
    ring = keyring(made())
    ring.learn([made(revoked_at=NOW)])
    assert refusal(ring, {b"x-api-key": TEXT.encode()}).kind is ErrorKind.UNAUTHENTICATED
    assert len(ring) == 1


def test_declared_key_is_known_by_its_plain_hash_spaces_included() -> None:
    text = b"My API Key"
    declared = VirtualKey(
        id="cfg-ci", name="ci", digest=hashlib.sha256(text).hexdigest(), scheme="sha256", routes=("*",)
    )
    ring = keyring(declared)
    assert authenticate({b"authorization": b"Bearer " + text}, ring, NOW).key_id == "cfg-ci"


def test_overlong_text_is_refused_before_it_is_hashed() -> None:
    assert "512" in refusal(keyring(), {b"x-api-key": b"x" * 513}).message


def test_digest_is_no_credential() -> None:
    key = made()
    assert refusal(keyring(key), {b"x-api-key": key.digest.encode()}).kind is ErrorKind.UNAUTHENTICATED


def test_peppers_of_different_master_keys_know_different_keys() -> None:
    other = pepper_of(Secret("another master key"))
    assert key_digest(other, TEXT) != key_digest(PEPPER, TEXT)


@given(st.binary(max_size=600))
def test_no_text_but_the_key_itself_is_let_in(text: bytes) -> None:
    ring = keyring(made())
    if text != TEXT.encode():
        assert refusal(ring, {b"x-api-key": text or b"x"}).kind is ErrorKind.UNAUTHENTICATED


def test_authorization_wins_over_the_other_headers() -> None:
    assert presented_key({b"authorization": b"Bearer a", b"x-api-key": b"b"}) == b"a"


# -- declared keys


def test_declared_keys_are_known_until_others_are_declared() -> None:
    ring = keyring()
    ring.declare(entries_of([made()]))
    assert authenticate({b"x-api-key": TEXT.encode()}, ring, NOW).key_id == "key_1"
    ring.declare({})
    assert refusal(ring, {b"x-api-key": TEXT.encode()}).kind is ErrorKind.UNAUTHENTICATED


def test_key_of_the_store_does_not_vanish_with_a_declared_one_of_the_same_text() -> None:
    ring = keyring(made())
    ring.declare(entries_of([made()]))
    ring.declare({})
    assert authenticate({b"x-api-key": TEXT.encode()}, ring, NOW).key_id == "key_1"


def test_key_that_the_store_has_revoked_is_not_let_in_by_being_declared() -> None:
    ring = keyring(made(revoked_at=NOW - 1))
    ring.declare(entries_of([made()]))
    assert "revoked" in refusal(ring, {b"x-api-key": TEXT.encode()}).message
