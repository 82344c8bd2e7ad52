from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.adapters.secrets import EnvSecrets
from tollhouse.ports.secrets import SecretSource, SecretUnavailable


def test_variable_is_the_secret() -> None:
    source: SecretSource = EnvSecrets({"KEY": "sk-abc"})
    assert source.scheme == "env"
    assert source.resolve("KEY").reveal() == "sk-abc"
    assert source.caution("KEY") is None


def test_variable_is_read_when_it_is_asked_for() -> None:
    environ = {"KEY": "old"}
    source = EnvSecrets(environ)
    environ["KEY"] = "new"
    assert source.resolve("KEY").reveal() == "new"


def test_line_end_is_no_part_of_the_secret() -> None:
    assert EnvSecrets({"KEY": "sk-abc\r\n"}).resolve("KEY").reveal() == "sk-abc"


def test_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(SecretUnavailable, match="variable KEY is not set"):
        EnvSecrets({}).resolve("KEY")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("a\nb", "several lines"),
        ("a\x00b", "control characters"),
        ("a\x7fb", "control characters"),
        ("schlüssel", "not ASCII"),
        ("a\udcffb", "not ASCII"),
        (" sk-abc", "space"),
        ("sk-abc ", "space"),
        ("x" * (64 * 1024 + 1), "65536 bytes"),
    ],
)
def test_value_is_refused_when_no_header_could_carry_it(value: str, word: str) -> None:
    with pytest.raises(SecretUnavailable, match=word):
        EnvSecrets({"KEY": value}).resolve("KEY")


@given(st.text(min_size=3))
def test_refusal_never_shows_the_value(value: str) -> None:
    try:
        secret = EnvSecrets({"KEY": f"s3cret{value}"}).resolve("KEY")
    except SecretUnavailable as error:
        shown = str(error)
    else:
        shown = repr(secret)
    assert "s3cret" not in shown
