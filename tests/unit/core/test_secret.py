"""A secret cannot be printed, formatted, encoded or pickled."""

from __future__ import annotations

import copy
import json
import pickle

import msgspec
import pytest

from tollhouse.core.secret import Secret

VALUE = "sk-very-secret"


@pytest.mark.parametrize(
    "show", [str, repr, "{}".format, "%s".__mod__, lambda s: f"{s!r:>40}", lambda s: f"{[s]}"]
)
def test_secret_does_not_show_when_formatted(show: object) -> None:
    assert callable(show)
    assert VALUE not in show(Secret(VALUE))


@pytest.mark.parametrize(
    "encode", [json.dumps, msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps, copy.deepcopy]
)
def test_secret_is_not_encoded_by_accident(encode: object) -> None:
    assert callable(encode)
    with pytest.raises(TypeError):
        encode(Secret(VALUE))


def test_secret_equals_only_itself() -> None:
    secret = Secret(VALUE)
    assert secret == secret
    assert secret != Secret(VALUE)
    assert secret.reveal() == VALUE


@pytest.mark.parametrize("other", ["", VALUE, VALUE + "x", VALUE[:-1], "\udcff"])
def test_secrets_are_compared_by_name_only(other: str) -> None:
    assert Secret(VALUE).matches(Secret(other)) is (other == VALUE)
