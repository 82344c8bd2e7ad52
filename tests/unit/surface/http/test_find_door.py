"""Which door a path leads to where headers or the last word decide."""

from __future__ import annotations

import pytest

from tollhouse.core.operation import Operation
from tollhouse.surface.http.doors import find_door


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt"])
@pytest.mark.parametrize(
    ("headers", "dialect"),
    [
        ({}, "openai_chat"),
        ({b"x-api-key": b"k"}, "openai_chat"),
        ({b"anthropic-version": b"2023-06-01"}, "anthropic_messages"),
        ({b"x-goog-api-key": b"k"}, "gemini_generate"),
    ],
)
def test_models_are_told_in_the_shape_of_the_client_that_asks(
    path: str, headers: dict[bytes, bytes], dialect: str
) -> None:
    door, allowed = find_door("GET", path, headers)
    assert allowed is None
    assert door is not None
    assert (door.operation, door.dialect) == (Operation.LIST_MODELS, dialect)


@pytest.mark.parametrize("path", ["/v1beta/models", "/v1beta/models/gemini", "/v1beta/models/org%2Fm"])
def test_gemini_has_a_door_of_its_own_for_models(path: str) -> None:
    door, _ = find_door("GET", path)
    assert door is not None
    assert (door.operation, door.dialect, door.takes_key_in_query) == (
        Operation.LIST_MODELS,
        "gemini_generate",
        True,
    )


def test_models_are_not_posted_and_verbs_are_not_got() -> None:
    assert find_door("POST", "/v1beta/models/gemini") == (None, "GET")
    assert find_door("GET", "/v1beta/models/gemini:generateContent") == (None, "POST")
    assert find_door("POST", "/v1/models", {b"anthropic-version": b"x"}) == (None, "GET")


def test_headers_change_no_other_door() -> None:
    door, _ = find_door("POST", "/v1/chat/completions", {b"anthropic-version": b"x", b"x-goog-api-key": b"k"})
    assert door is not None
    assert door.dialect == "openai_chat"
