"""What is wrong with a caller's body is told in one way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.wire.json_fields import Fields, Leftovers


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    fault: GatewayError | None = None
    try:
        decoded(body)
    except GatewayError as error:
        fault = error
    assert fault is None or (fault.kind, fault.blame) == (ErrorKind.INVALID_REQUEST, Blame.CLIENT)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a":NaN}', b"", b'"\xff"'])
def test_hostile_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(GatewayError) as refused:
        decoded(body)
    assert refused.value.status == 400


def test_half_a_surrogate_pair_is_read() -> None:
    assert decoded(b'{"a":"\\ud83d"}') == {"a": "\ud83d"}


def test_a_wrong_type_is_told_with_its_path() -> None:
    with pytest.raises(GatewayError) as refused, told_to_callers():
        Fields({"temperature": "hot"}, "generationConfig", Leftovers()).take_number("temperature")
    error = refused.value
    assert error.message == "`generationConfig.temperature` must be a number."
    assert error.param == "generationConfig.temperature"
    assert error.hint == "Send `generationConfig.temperature` as a number."


def test_a_body_that_is_no_object_is_told_without_a_path() -> None:
    with pytest.raises(GatewayError) as refused, told_to_callers():
        Fields([], "", Leftovers())
    assert (refused.value.message, refused.value.param) == ("It must be an object.", None)


def test_endless_nesting_is_the_callers_fault() -> None:
    with pytest.raises(GatewayError) as refused, told_to_callers():
        raise RecursionError
    assert refused.value.kind is ErrorKind.INVALID_REQUEST


def test_other_faults_are_not_disguised() -> None:
    with pytest.raises(KeyError), told_to_callers():
        raise KeyError
