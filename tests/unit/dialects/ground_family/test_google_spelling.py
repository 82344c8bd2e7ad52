"""Google's two spellings of one name, and its two alphabets of base64."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.ground_family.google_spelling import GoogleFields, camel, standard_base64
from tollhouse.wire.json_fields import Leftovers, WrongType


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("inline_data", "inlineData"),
        ("top_k", "topK"),
        ("_responseJsonSchema", "_responseJsonSchema"),
        ("x", "x"),
    ],
)
def test_names_have_one_spelling(name: str, known: str) -> None:
    assert camel(name) == known


@given(raw=st.binary())
def test_bytes_have_one_spelling(raw: bytes) -> None:
    for written in (
        base64.b64encode(raw),
        base64.urlsafe_b64encode(raw),
        base64.urlsafe_b64encode(raw).rstrip(b"="),
    ):
        assert standard_base64(written.decode()) == base64.b64encode(raw).decode()


def test_members_keep_their_order_and_their_spelling_in_paths() -> None:
    leftovers = Leftovers()
    fields = GoogleFields({"b_c": {"d_e": 1}, "a": 2, "f_g": "x"}, "top", leftovers)
    assert fields.left_names() == ["bC", "a", "fG"]
    inner = fields.take_fields("bC")
    assert inner is not None
    assert inner.path == "top.b_c"
    assert leftovers.paths() == ("top.a", "top.f_g", "top.b_c.d_e")
    with pytest.raises(WrongType, match=r"top\.f_g"):
        fields.take_word("fG", ("A", "B"))


def test_what_is_said_in_both_spellings_is_left_over_once() -> None:
    leftovers = Leftovers()
    fields = GoogleFields({"top_k": 1, "topK": 2}, "", leftovers)
    assert fields.take_integer("topK") == 2
    assert leftovers.paths() == ("top_k",)


def test_words_come_in_any_case_or_as_numbers() -> None:
    fields = GoogleFields({"a": "auto", "b": 1}, "", Leftovers())
    assert [fields.take_word(name, ("NONE", "AUTO")) for name in "ab"] == ["AUTO", "AUTO"]
