"""One master key gives a key for each purpose; several are a keyring, newest first; weak ones are refused."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.master_key import (
    MOST_KEYS,
    MasterKey,
    MasterKeyring,
    Purpose,
    derive,
    parse_master_keys,
    weakness_of,
)
from tollhouse.core.secret import Secret

STRONG = "4ee9d0c3a7518b62f0e1d2c3b4a59687"
OTHER = "9f31bb0ac2d7e84615aa77c0de93512e"
STRONG_TEXTS = st.text("0123456789abcdef", min_size=40, max_size=64).filter(lambda t: weakness_of(t) is None)


# -- derivation


@given(st.text(min_size=1), st.lists(st.text(), min_size=1, max_size=4))
def test_derivation_is_hkdf_with_sha256(key: str, context: list[str]) -> None:
    text = "".join(f"{len(part)}:{part}" for part in context)
    try:
        reference = HKDF(SHA256(), 32, b"tollhouse v1", text.encode()).derive(key.encode())
    except UnicodeEncodeError:
        return
    assert derive(Secret(key), *context).reveal() == reference.hex()


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_different_contexts_give_different_keys(one: list[str], other: list[str]) -> None:
    try:
        same = derive(Secret(STRONG), *one).matches(derive(Secret(STRONG), *other))
    except UnicodeEncodeError:
        return
    assert same == (one == other)


def test_each_purpose_has_a_key_of_its_own() -> None:
    key = MasterKey(Secret(STRONG))
    derived = {key.derive(purpose).reveal() for purpose in Purpose}
    assert len(derived) == len(Purpose)
    assert STRONG not in derived


def test_derivation_never_changes() -> None:
    """What was sealed or signed by an earlier version has to open."""
    key = MasterKey(Secret(STRONG))
    assert key.id == "13004f12497a6ad1"
    assert key.derive(Purpose.SEALING, "row", "1").reveal().startswith("b925b7f4126722bf")


# -- keyrings


def test_bare_key_is_a_keyring_of_one() -> None:
    keyring = parse_master_keys(f"{STRONG}\n")
    assert keyring.current is keyring.oldest
    assert keyring.current.secret.reveal() == STRONG
    assert keyring.current.name == keyring.current.id
    assert keyring.find(keyring.current.id) is keyring.current
    assert keyring.find("0" * 16) is None


@pytest.mark.parametrize("text", [f"new:{STRONG},old:{OTHER}", f"new:{STRONG}\n\n old:{OTHER} \n"])
def test_several_keys_stand_newest_first_with_their_names(text: str) -> None:
    keyring = parse_master_keys(text)
    assert [(key.name, key.secret.reveal()) for key in keyring.keys] == [("new", STRONG), ("old", OTHER)]


def test_several_lines_need_no_names() -> None:
    assert [key.secret.reveal() for key in parse_master_keys(f"{STRONG}\n{OTHER}").keys] == [STRONG, OTHER]


@pytest.mark.parametrize(
    "text", ["Xy7,Qw9-Lm2.Zx4,Vb8_Nk1+Rt6=Ap3", "with spaces, 7 commas & 3 Signs; enough"]
)
def test_bare_key_with_commas_in_it_is_one_key(text: str) -> None:
    assert [key.secret.reveal() for key in parse_master_keys(text).keys] == [text]


def test_key_is_known_by_what_it_is_and_not_by_its_name() -> None:
    one, other = parse_master_keys(f"a:{STRONG}").current, parse_master_keys(STRONG).current
    assert one.id == other.id
    assert MasterKey(Secret(OTHER), "a").id != one.id


@pytest.mark.parametrize("text", [f"a:{STRONG},a:{OTHER}", f"a:{STRONG},b:{STRONG}", f"{STRONG}\n{STRONG}"])
def test_same_key_or_name_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_master_keys(text)


def test_number_of_keys_is_bounded() -> None:
    with pytest.raises(ValueError, match="17 master keys"):
        parse_master_keys("\n".join(f"{STRONG}{number:02}" for number in range(MOST_KEYS + 1)))
    with pytest.raises(ValueError, match="0 master keys"):
        MasterKeyring([])


@given(st.lists(STRONG_TEXTS, min_size=1, max_size=5, unique=True))
def test_keyring_shows_no_key(texts: list[str]) -> None:
    keyring = parse_master_keys("\n".join(texts))
    shown = repr(keyring) + repr(keyring.keys) + repr(keyring.derive(Purpose.COOKIES))
    assert not any(text in shown for text in texts)
    assert len(keyring.derive(Purpose.COOKIES)) == len(texts)


# -- strength


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "different letters"),
        ("change-me!change-me!change-me!change-me!", "repeats itself"),
        ("0123456789abcdefghijklmnopqrstuvwxyzABCD", "follow one another"),
        ("1234567890" * 4, "repeats itself"),
        ("Tr0ub4dor&3", "too short"),
        ("9f31bb0ac2d7e84615aa77c0de93512", "too short"),
        ("31415926535897932384626433832795028841", "too short"),
        ("", "0 master keys"),
        ("short", "different letters"),
    ],
)
def test_weak_master_key_is_refused_with_the_cure(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word) as caught:
        parse_master_keys(text)
    if text:
        assert text not in str(caught.value)
        assert "openssl rand" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        STRONG,
        "correct horse battery staple",
        "7h8-Kq2x_ZrTf3LmB8vW9p",
        "314159265358979323846264338327950288419",
    ],
)
def test_key_that_can_hold_128_bits_is_taken(text: str) -> None:
    assert parse_master_keys(text).current.secret.reveal() == text


def test_weak_key_may_follow_a_strong_one_so_that_it_can_be_rotated_away() -> None:
    assert [key.name for key in parse_master_keys(f"new:{STRONG},old:hunter2hunter2!").keys] == ["new", "old"]


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not text"):
        parse_master_keys("\udcff" * 40)
