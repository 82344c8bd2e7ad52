"""OpenAI's, Anthropic's and Google's lists: what their SDKs read, and their pages."""

from __future__ import annotations

from typing import Any

import pytest

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.stages.list_models import ModelBook
from unit.stages.list_models.listed import ask, book_of, to

NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module")
def five() -> ModelBook:
    return book_of(**{name: [to("claude", "claude-sonnet-4-5")] for name in NAMES})


def anthropic(book: ModelBook, query: str = "", **more: Any) -> Any:
    return ask(book, query=query, dialect="anthropic_messages", **more)


def gemini(book: ModelBook, query: str = "", **more: Any) -> Any:
    return ask(book, "/v1beta/models", query=query, dialect="gemini_generate", **more)


def test_openai_lists_all_in_the_order_of_the_file(five: ModelBook) -> None:
    listed = ask(five)
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == NAMES
    assert {(m["object"], m["created"], m["owned_by"]) for m in listed["data"]} == {("model", 0, "tollhouse")}


def test_anthropic_lists_all_where_nobody_limits_it(five: ModelBook) -> None:
    listed = anthropic(five)
    assert [model["id"] for model in listed["data"]] == NAMES
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, "a", "e")
    first = listed["data"][0]
    assert (first["type"], first["display_name"], first["created_at"]) == (
        "model",
        "a",
        "1970-01-01T00:00:00Z",
    )
    assert (first["max_input_tokens"], first["max_tokens"]) == (200_000, 64_000)


@pytest.mark.parametrize(
    ("query", "shown", "has_more"),
    [
        ("limit=2", "ab", True),
        ("limit=2&after_id=b", "cd", True),
        ("limit=2&after_id=d", "e", False),
        ("after_id=e", "", False),
        ("limit=2&before_id=d", "bc", True),
        ("limit=1000", "abcde", False),
    ],
)
def test_anthropic_shows_pages(five: ModelBook, query: str, shown: str, has_more: bool) -> None:
    listed = anthropic(five, query)
    assert "".join(model["id"] for model in listed["data"]) == shown
    assert listed["has_more"] is has_more


def test_gemini_shows_pages_that_a_token_goes_on_from(five: ModelBook) -> None:
    seen, query = [], "pageSize=2"
    while True:
        page = gemini(five, query)
        seen += [model["name"] for model in page["models"]]
        if "nextPageToken" not in page:
            break
        query = f"pageSize=2&pageToken={page['nextPageToken']}"
    assert seen == [f"models/{name}" for name in NAMES]


def test_gemini_tells_limits_and_methods(five: ModelBook) -> None:
    assert ask(five, "/v1beta/models/a", dialect="gemini_generate") == {
        "name": "models/a", "version": "", "displayName": "a", "inputTokenLimit": 200_000, "outputTokenLimit": 64_000,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"], "thinking": True,
    }  # fmt: skip


def test_gemini_leaves_out_what_is_not_known() -> None:
    book = book_of(v=[to("onprem", "bge-m3")])
    model = gemini(book)["models"][0]
    assert model["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents"]
    assert not model.keys() & {"inputTokenLimit", "outputTokenLimit"}


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "gemini_generate"])
def test_key_sees_its_own_routes_only(five: ModelBook, dialect: str) -> None:
    listed = ask(five, dialect=dialect, routes=("b", "d"))
    assert len(listed.get("data", listed.get("models"))) == 2
    for path in ("/v1/models/a", "/v1/models/nothing", "/v1/models/"):
        with pytest.raises(GatewayError) as refused:
            ask(five, path, dialect=dialect, routes=("b", "d"))
        assert refused.value.kind is ErrorKind.ROUTE_NOT_FOUND


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "gemini_generate"])
def test_key_without_routes_sees_an_empty_list(five: ModelBook, dialect: str) -> None:
    listed = ask(five, dialect=dialect, routes=())
    assert listed.get("data", listed.get("models")) == []
    assert listed.get("last_id") is None
    assert "nextPageToken" not in listed


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("anthropic_messages", "limit=0"),
        ("anthropic_messages", "limit=1001"),
        ("anthropic_messages", "limit=x"),
        ("anthropic_messages", "limit=" + "9" * 50),
        ("anthropic_messages", "after_id=z"),
        ("anthropic_messages", "before_id=z"),
        ("gemini_generate", "pageSize=-1"),
        ("gemini_generate", "pageToken=z"),
    ],
)
def test_page_that_cannot_be_is_refused(five: ModelBook, dialect: str, query: str) -> None:
    with pytest.raises(GatewayError) as refused:
        ask(five, query=query, dialect=dialect)
    assert refused.value.kind is ErrorKind.INVALID_REQUEST
    assert refused.value.param == query.partition("=")[0]
