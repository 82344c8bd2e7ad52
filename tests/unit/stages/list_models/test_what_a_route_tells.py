"""What holds for a route holds for each of its deployments, and what is not known is said to be not known."""

from __future__ import annotations

import pytest

from unit.stages.list_models.listed import ask, book_of, one, to

GPT = to("openai", "gpt-4o")
SONNET = to("claude", "claude-sonnet-4-5")
LLAMA = to("onprem", "llama-3.1-70b")


def test_window_limit_and_price_are_told() -> None:
    told = one(SONNET)
    assert (told["context_window"], told["max_output_tokens"]) == (200_000, 64_000)
    assert told["pricing"] == {
        "input_per_million_usd": 3.0, "output_per_million_usd": 15.0,
        "cache_read_per_million_usd": 0.3, "cache_write_per_million_usd": 3.75,
        "prompt": "0.000003", "completion": "0.000015",
        "input_cache_read": "0.0000003", "input_cache_write": "0.00000375",
    }  # fmt: skip


def test_every_name_of_the_same_number_says_the_same() -> None:
    told = one(SONNET)
    windows = {
        told[name] for name in ("context_window", "context_length", "max_model_len", "max_input_tokens")
    }
    assert windows == {200_000}
    assert {told["max_output_tokens"], told["max_completion_tokens"]} == {64_000}


def test_unknown_is_null_and_never_nothing() -> None:
    told = one(LLAMA)
    assert (told["context_window"], told["max_output_tokens"], told["pricing"]) == (None, None, None)


def test_what_the_operator_wrote_goes_before_the_table() -> None:
    price = {"input_per_million_usd": 0, "output_per_million_usd": 0.035}
    told = one(to("openai", "gpt-4o", context_window_tokens=64_000, max_output_tokens=1_000, price=price))
    assert (told["context_window"], told["max_output_tokens"]) == (64_000, 1_000)
    assert told["pricing"] == {
        "input_per_million_usd": 0.0, "output_per_million_usd": 0.035, "prompt": "0", "completion": "0.000000035",
    }  # fmt: skip


def test_smallest_deployment_decides() -> None:
    told = one(GPT, to("claude", "claude-sonnet-4-5"))
    assert told["context_window"] == 128_000
    assert told["pricing"]["prompt"] == "0.0000025"


def test_deployment_that_is_not_known_makes_the_route_not_known() -> None:
    assert one(GPT, LLAMA)["context_window"] is None
    assert one(GPT, {**LLAMA, "context_window_tokens": 8192})["context_window"] == 8192


def test_price_is_that_of_the_first_deployment() -> None:
    assert one(LLAMA, GPT)["pricing"] is None
    assert one(GPT, LLAMA)["pricing"]["input_per_million_usd"] == 2.5


def test_route_can_do_what_all_its_deployments_can() -> None:
    alone, with_claude = one(GPT), one(GPT, SONNET)
    assert alone["capabilities"]["json_object"] == "native"
    assert with_claude["capabilities"]["json_object"] == "emulated"
    assert one(SONNET)["capabilities"]["thinking"] is True
    assert with_claude["capabilities"]["thinking"] is False
    assert set(with_claude["supported_parameters"]) == set(alone["supported_parameters"]) & set(
        one(SONNET)["supported_parameters"]
    )


def test_parameters_are_those_that_reach_the_model() -> None:
    assert {"temperature", "seed", "tools", "logit_bias"} <= set(one(GPT)["supported_parameters"])
    claude = set(one(SONNET)["supported_parameters"])
    assert {"tools", "top_k", "reasoning", "reasoning_effort"} <= claude
    assert not claude & {"seed", "logit_bias", "logprobs"}
    assert not set(one(to("bare", "llama-3.3-70b"))["supported_parameters"]) & {"logprobs", "reasoning"}


def test_doors_are_told_with_the_way_behind_them() -> None:
    doors = one(GPT)["dialects"]
    assert doors["openai_chat"] == doors["openai_responses"] == "straight"
    assert doors["anthropic_messages"] == doors["gemini_generate"] == "translated"
    assert one(GPT, SONNET)["dialects"]["openai_chat"] == "translated"
    assert one(to("chat-only", "gpt-4o"))["dialects"]["openai_responses"] == "translated"


@pytest.mark.parametrize("model", ["text-embedding-3-small", "my-bge-m3"])
def test_model_that_makes_vectors_does_not_talk(model: str) -> None:
    told = one(to("openai", model))
    assert (told["capabilities"]["embeddings"], told["capabilities"]["chat"]) == (True, False)
    assert told["capabilities"]["tools"] is told["capabilities"]["vision"] is False
    assert set(told["dialects"]) == {"cohere_embed", "gemini_embed", "openai_embeddings"}
    assert told["supported_parameters"] == []


def test_model_that_ranks_does_nothing_else() -> None:
    told = one(to("cohere", "rerank-v3.5"))
    assert {name for name, can in told["capabilities"].items() if can is True} == {"rerank"}
    assert set(told["dialects"]) == {"cohere_rerank"}


def test_model_whose_output_is_paid_for_makes_no_vectors() -> None:
    assert one(GPT)["capabilities"]["embeddings"] is False


def test_model_of_ones_own_may_be_anything() -> None:
    assert one(LLAMA)["capabilities"]["embeddings"] is None
    assert one(LLAMA)["capabilities"]["vision"] is None


def test_star_is_not_listed_but_what_it_matches_is_told() -> None:
    book = book_of(**{"gpt": [GPT], "any__*": [to("openai", "*")]})
    assert [model["id"] for model in ask(book)["data"]] == ["gpt"]
    for path in ("/v1/models/any/gpt-4o", "/v1/models/any%2Fgpt-4o"):
        told = ask(book, path)
        assert (told["id"], told["context_window"]) == ("any/gpt-4o", 128_000)
