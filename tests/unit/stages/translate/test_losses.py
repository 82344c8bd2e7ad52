"""What an upstream cannot be told is declared, or the call refused; it is never silent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.request import Field, Loss
from tollhouse.core.routing import UnknownParameters
from tollhouse.stages.translate.losses import declare, header_text

SEED = Loss(field=Field.SEED)
TOOL = Loss(field=Field.SERVER_TOOLS, is_vital=True, why="The tool 'web_search' runs at OpenAI only.")
WORDS = {Field.SEED: "generationConfig.seed"}


def test_losses_are_named_in_the_callers_words_each_once() -> None:
    dropped = declare([SEED, SEED], ["safetySettings"], WORDS, UnknownParameters.PASS, "up")
    assert dropped == ("generationConfig.seed", "safetySettings")


def test_vital_loss_refuses_the_call_and_says_why() -> None:
    with pytest.raises(GatewayError) as caught:
        declare([TOOL], [], WORDS, UnknownParameters.PASS, "up")
    assert caught.value.kind is ErrorKind.UNSUPPORTED_PARAMETER
    assert caught.value.message == "The tool 'web_search' runs at OpenAI only."
    assert caught.value.status == 400


def test_vital_loss_is_declared_where_the_route_says_drop() -> None:
    assert declare([TOOL], ["background"], WORDS, UnknownParameters.DROP, "up") == (
        "server_tools",
        "background",
    )


@pytest.mark.parametrize(("losses", "leftovers"), [([SEED], []), ([], ["foo_2027"])])
def test_strict_refuses_any_loss_before_anything_is_spent(losses: list[Loss], leftovers: list[str]) -> None:
    with pytest.raises(GatewayError) as caught:
        declare(losses, leftovers, WORDS, UnknownParameters.STRICT, "up")
    assert caught.value.param == (leftovers or ["generationConfig.seed"])[0]


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "cachedContent", "background"])
def test_leftover_that_holds_the_conversation_itself_refuses_the_call(name: str) -> None:
    with pytest.raises(GatewayError):
        declare([], [name], WORDS, UnknownParameters.PASS, "up")


@given(st.lists(st.text()))
def test_header_can_be_sent_whatever_the_caller_named(names: list[str]) -> None:
    text = header_text(names)
    assert all(0x20 <= byte <= 0x7E for byte in text)
    assert len(text) <= 2000
