"""Signatures under seal come back byte for byte, and are found without parsing."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tollhouse.core.content import Signature
from tollhouse.core.seal import is_marked, seal, seal_base64, unseal, unseal_base64

issuers = st.from_regex(r"[a-z][a-z0-9_-]{0,11}", fullmatch=True)
signatures = st.builds(Signature, issuer=issuers, value=st.text())


@given(signatures)
def test_a_seal_gives_back_what_was_sealed(signature: Signature) -> None:
    assert unseal(seal(signature)) == signature
    assert unseal_base64(seal_base64(signature)) == signature


@given(signatures)
def test_a_seal_is_found_in_the_body_it_travels_in(signature: Signature) -> None:
    for text in (seal(signature), seal_base64(signature)):
        assert is_marked(json.dumps({"messages": [{"signature": text}]}).encode())


@given(signatures)
@example(Signature(issuer="gemini", value=">>>???~~~"))
def test_a_client_may_decode_the_base64_and_encode_it_in_its_own_way(signature: Signature) -> None:
    inside = base64.b64decode(seal_base64(signature))
    assert inside == seal(signature).encode()
    again = base64.urlsafe_b64encode(inside).decode()
    assert is_marked(again.encode())
    assert unseal_base64(again) == signature
    assert unseal_base64(again.rstrip("=")) == signature


@given(signatures)
def test_the_base64_is_in_the_standard_alphabet_with_padding(signature: Signature) -> None:
    sealed = seal_base64(signature)
    assert base64.b64encode(base64.b64decode(sealed, validate=True)).decode() == sealed


@given(issuers, st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_a_seal_on_printable_ascii_is_printable_ascii(issuer: str, value: str) -> None:
    sealed = seal(Signature(issuer=issuer, value=value))
    assert sealed.isascii()
    assert sealed.isprintable()


def test_half_a_surrogate_pair_is_sealed_like_any_letter() -> None:
    signature = Signature(issuer="gemini", value="a\ud83d")
    assert unseal(seal(signature)) == signature
    assert unseal_base64(seal_base64(signature)) == signature


@pytest.mark.parametrize(
    "text",
    ["", "tollhouse.v1", "tollhouse.v1.", "tollhouse.v1.gemini", "tollhouse.v1..x", "Er4BCkYIBxgC", "x.y.z"],
)
def test_what_is_not_sealed_is_not_unsealed(text: str) -> None:
    assert unseal(text) is None
    assert unseal_base64(text) is None
    assert unseal_base64(base64.b64encode(text.encode()).decode()) is None


@pytest.mark.parametrize("damage", ["é", "!", "\n", "=x", "\ud83d"])
def test_a_damaged_seal_is_none(damage: str) -> None:
    whole = seal_base64(Signature(issuer="gemini", value="abcd"))
    assert unseal_base64(whole.rstrip("=")[:-1] + damage) is None


@given(st.text())
def test_any_text_can_be_tried_and_is_a_signature_or_nothing(text: str) -> None:
    marked = base64.b64encode(b"tollhouse.v1").decode() + text
    for found in (unseal(text), unseal_base64(text), unseal_base64(marked)):
        assert found is None or found.issuer


def test_other_bodies_have_no_mark() -> None:
    assert not is_marked(b'{"messages":[{"role":"user","content":"Where is the toll house?"}]}')
