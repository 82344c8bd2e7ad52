"""Requests are the same where everything that was asked, and where, is the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.stages.replay import fingerprint

Parts = tuple[str, str, str, str, bytes]
TEXT = st.text("ab/?", max_size=4)
PARTS = st.tuples(TEXT, TEXT, TEXT, TEXT, st.binary(max_size=4))


@given(PARTS, PARTS)
def test_fingerprints_are_equal_where_requests_are(one: Parts, other: Parts) -> None:
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)


def test_no_part_runs_into_the_next() -> None:
    assert fingerprint("POST", "/v1", "a=b", "d", b"") != fingerprint("POST", "/v1a", "=b", "d", b"")
    assert fingerprint("POST", "/v1", "", "d", b"x") != fingerprint("POST", "/v1", "", "dx", b"")


def test_any_text_of_a_request_has_one() -> None:
    assert len(fingerprint("GET", "/\udcff\x00", "", "", bytes(100_000))) == 32
