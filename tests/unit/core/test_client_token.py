"""Browser tokens are what the house has signed, letter for letter."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.core.client_token import ClientToken, ClientTokenSigner, TokenInvalid
from tollhouse.core.master_key import Purpose, parse_master_keys
from tollhouse.core.secret import Secret

OLD = "fGq0v7Tz2LmXc9RbWd4YkJh8Sn1PaEu6oIxK3tVyQ5w"
NEW = "Zr8uB2nQe6TfWk0Lx5VhGd9SjYm3CpAi7oRtX1cKq4M"
KEYS = parse_master_keys(OLD).derive(Purpose.BROWSER_TOKENS)
SIGNER = ClientTokenSigner(KEYS)
TOKEN = ClientToken(
    id="ct_018bcfe568006b7a9c0d1e2f3a4b5c6d",
    key_id="key_1",
    expires_at=1_800_000_300,
    routes=("gpt-*", "embed"),
    origins=("https://app.example",),
    end_user="alice",
    max_nanousd=50_000_000,
    max_calls=20,
    max_tokens=20_000,
    counted_in="w1",
)
TEXT = SIGNER.sign(TOKEN).encode()


def test_token_says_what_was_signed() -> None:
    assert SIGNER.read(TEXT) == TOKEN
    assert TEXT.startswith(b"ct-th-")
    assert len(TEXT) < 300


@settings(max_examples=10_000, deadline=None)
@given(place=st.integers(0, len(TEXT) - 1), letter=st.integers(0, 255))
def test_token_is_refused_with_any_byte_altered(place: int, letter: int) -> None:
    altered = TEXT[:place] + bytes([letter]) + TEXT[place + 1 :]
    if altered == TEXT:
        return
    with pytest.raises(TokenInvalid):
        SIGNER.read(altered)


def test_token_is_refused_in_every_other_spelling_of_its_last_letters() -> None:
    """The last letter of base64 has bits that mean nothing: a decoder would take several for the same bytes."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="
    for letter in letters:
        for altered in (TEXT[:-1] + bytes([letter]), TEXT + bytes([letter])):
            if altered != TEXT:
                with pytest.raises(TokenInvalid):
                    SIGNER.read(altered)


@given(st.binary(max_size=400))
def test_no_text_of_somebody_elses_is_a_token(text: bytes) -> None:
    for whole in (text, b"ct-th-" + text, b"ct-th-" + text + b"." + text):
        with pytest.raises(TokenInvalid):
            SIGNER.read(whole)


@given(cut=st.integers(0, len(TEXT) - 1))
def test_token_is_refused_when_it_is_cut_short(cut: int) -> None:
    with pytest.raises(TokenInvalid):
        SIGNER.read(TEXT[:cut])


def test_token_of_another_house_is_refused() -> None:
    other = ClientTokenSigner(parse_master_keys(NEW).derive(Purpose.BROWSER_TOKENS))
    with pytest.raises(TokenInvalid):
        other.read(TEXT)


def test_key_of_another_purpose_signs_no_browser_tokens() -> None:
    cookies = ClientTokenSigner(parse_master_keys(OLD).derive(Purpose.COOKIES))
    with pytest.raises(TokenInvalid):
        SIGNER.read(cookies.sign(TOKEN).encode())


def test_token_outlives_a_rotation_of_the_master_key_and_new_ones_are_signed_with_the_new() -> None:
    rotated = ClientTokenSigner(parse_master_keys(f"new:{NEW},old:{OLD}").derive(Purpose.BROWSER_TOKENS))
    assert rotated.read(TEXT) == TOKEN
    with pytest.raises(TokenInvalid):
        SIGNER.read(rotated.sign(TOKEN).encode())
    SIGNER_AFTER = ClientTokenSigner(KEYS)
    SIGNER_AFTER.renew(parse_master_keys(f"new:{NEW},old:{OLD}").derive(Purpose.BROWSER_TOKENS))
    assert SIGNER_AFTER.read(rotated.sign(TOKEN).encode()) == TOKEN


def test_house_without_keys_takes_no_token() -> None:
    with pytest.raises(TokenInvalid):
        ClientTokenSigner().read(TEXT)
    assert not ClientTokenSigner().can_sign


@pytest.mark.parametrize("content", [[2, "id", "key", 1, []], ["1"], {}, 7])
def test_what_another_release_has_signed_is_refused_and_not_misread(content: object) -> None:
    signer = ClientTokenSigner([Secret("a key of this test")])
    told = signer.sign(TOKEN)
    forged = ClientTokenSigner([Secret("a key of this test")])
    text = _signed(forged, msgspec.msgpack.encode(content))
    assert text != told.encode()
    with pytest.raises(TokenInvalid, match="release"):
        signer.read(text)


def test_longer_text_than_any_token_is_not_even_hashed() -> None:
    with pytest.raises(TokenInvalid, match="longer"):
        SIGNER.read(b"ct-th-" + b"a" * 10_000 + b".b")


def _signed(signer: ClientTokenSigner, content: bytes) -> bytes:
    from base64 import urlsafe_b64encode

    text = b"ct-th-" + urlsafe_b64encode(content).rstrip(b"=")
    return text + b"." + signer._signature(signer._keyed[0], text)
