"""Pages of other origins: asked about by the browser before they call, and let read what they are answered."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contract.http_front.front import Answer, Run, get, post
from contract.http_front.house import KEY, Book, calling, house, serving
from tollhouse.config.browsers import Cors
from tollhouse.core.client_token import MODEL_OPERATIONS
from tollhouse.surface.http.doors import DOORS, OPEN_DOORS
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.server import HttpServer

APP = "https://app.example"
OTHER = "https://other.example"
MODEL_DOORS = [(path, method) for path, (method, door) in DOORS.items() if door.operation in MODEL_OPERATIONS]
OTHER_DOORS = [
    (path, method) for path, (method, door) in DOORS.items() if door.operation not in MODEL_OPERATIONS
]


def server_for(book: Book, *origins: str) -> HttpServer:
    made = house(book)
    cors = Cors(origins=origins, max_age_s=77)
    snapshot = replace(made.snapshot, server=replace(made.snapshot.server, cors=cors))
    return HttpServer(replace(made, snapshot=snapshot), Limits(), None)


def ask(
    run: Run, *requests: bytes, origins: tuple[str, ...] = (APP,), book: Book | None = None
) -> list[Answer]:
    answers: list[Answer] = []

    async def check() -> None:
        async with serving(server_for(book or Book(), *origins)) as port, calling(port) as caller:
            for request in requests:
                await caller.say(request)
                answers.append(await caller.answer())

    run(check())
    return answers


def preflight(path: str, method: str = "POST", origin: str = APP, *more: str) -> bytes:
    lines = [f"origin: {origin}", f"access-control-request-method: {method}", *more]
    return get(path, *lines).replace(b"GET", b"OPTIONS", 1)


def cors_of(answer: Answer) -> dict[str, str]:
    return {
        name: value
        for name, value in answer.headers.items()
        if name.startswith("access-control-") or name == "vary"
    }


@pytest.mark.parametrize(("path", "method"), MODEL_DOORS)
def test_page_that_is_named_may_call_every_door_to_models(run: Run, path: str, method: str) -> None:
    book = Book()
    asked = preflight(
        path, method, APP, "access-control-request-headers: authorization, content-type, x-stainless-os"
    )
    (answer,) = ask(run, asked, book=book)
    assert (answer.status, answer.body) == (204, b"")
    assert cors_of(answer) == {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": method.lower(),  # the caller of these tests reads it so
        "access-control-allow-headers": "authorization, content-type, x-stainless-os",
        "access-control-max-age": "77",
        "vary": "origin, access-control-request-method, access-control-request-headers",
    }
    assert book.settled == [], "nothing was asked of the house"


@pytest.mark.parametrize(
    "path",
    ["/v1beta/models/gpt:generateContent", "/model/gpt/converse", "/openai/deployments/gpt/embeddings"],
)
def test_doors_that_name_the_model_are_doors_to_models(run: Run, path: str) -> None:
    (answer,) = ask(run, preflight(path))
    assert answer.status == 204


@pytest.mark.parametrize(
    ("path", "method"),
    [
        *OTHER_DOORS,
        ("/passthrough/up/x", "POST"),
        ("/v1/responses/resp_1", "GET"),
        ("/v1/responses/resp_1", "DELETE"),
    ],
)
def test_no_page_may_call_any_other_door(run: Run, path: str, method: str) -> None:
    asked, told = ask(
        run,
        preflight(path, method),
        post(b"{}", f"authorization: Bearer {KEY}", f"origin: {APP}", path="/v1/client_tokens"),
    )
    assert asked.status == 403
    assert cors_of(asked) == {}
    assert cors_of(told) == {}


@pytest.mark.parametrize("path", [*OPEN_DOORS, "/admin/v1/keys", "/nowhere"])
def test_where_no_callers_door_is_there_is_nothing_to_be_asked(run: Run, path: str) -> None:
    (answer,) = ask(run, preflight(path, "GET"))
    assert answer.status in (400, 404)
    assert cors_of(answer) == {}


@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "null",
        "https://app.example.evil.example",
        "https://APP.example",
        "*",
        "http://app.example",
        "https://app.example:443",
    ],
)
def test_page_that_is_not_named_may_not_call(run: Run, origin: str) -> None:
    (answer,) = ask(run, preflight("/v1/chat/completions", "POST", origin))
    assert answer.status == 403
    assert cors_of(answer) == {}
    assert b"server.cors.origins" in answer.body


def test_page_may_not_call_by_another_method_than_the_doors(run: Run) -> None:
    (answer,) = ask(run, preflight("/v1/chat/completions", "DELETE"))
    assert answer.status == 400
    assert cors_of(answer) == {}


def test_options_that_asks_nothing_is_no_question_of_a_browser(run: Run) -> None:
    answers = ask(
        run,
        get("/v1/chat/completions", f"origin: {APP}").replace(b"GET", b"OPTIONS", 1),
        get("/v1/chat/completions", "access-control-request-method: POST").replace(b"GET", b"OPTIONS", 1),
    )
    assert [answer.status for answer in answers] == [400, 400]
    assert [cors_of(answer) for answer in answers] == [{}, {}]


@pytest.mark.parametrize("names", ["a" * 2_001, "x:y", "{}", "a,,b"])
def test_names_of_headers_that_are_none_are_not_repeated(run: Run, names: str) -> None:
    (answer,) = ask(
        run, preflight("/v1/chat/completions", "POST", APP, f"access-control-request-headers: {names}")
    )
    assert answer.status == 204
    assert "access-control-allow-headers" not in cors_of(answer)


@pytest.mark.parametrize("key", ["sk-th-wrong", KEY])
def test_page_can_read_answers_and_errors(run: Run, key: str) -> None:
    answers = ask(
        run,
        get("/v1/models", f"authorization: Bearer {key}", f"origin: {APP}"),
        post(b"{", f"authorization: Bearer {key}", f"origin: {APP}", path="/v1/chat/completions"),
    )
    assert [answer.status for answer in answers] == ([200, 400] if key == KEY else [401, 401])
    for answer in answers:
        told = cors_of(answer)
        assert told["access-control-allow-origin"] == APP
        assert told["vary"] == "origin"
        assert {"retry-after", "x-request-id", "x-should-retry"} <= set(
            told["access-control-expose-headers"].split(", ")
        )
        assert "access-control-allow-credentials" not in told
        assert "set-cookie" not in answer.headers


def test_page_of_another_origin_cannot_read_and_no_cache_takes_it_for_the_others(run: Run) -> None:
    (answer,) = ask(run, get("/v1/models", f"authorization: Bearer {KEY}", f"origin: {OTHER}"))
    assert answer.status == 200, (
        "a key is good from everywhere: it is the browser that does not let the page read"
    )
    assert cors_of(answer) == {"vary": "origin"}


def test_house_without_pages_says_nothing_of_them(run: Run) -> None:
    asked, told = ask(
        run,
        preflight("/v1/models", "GET"),
        get("/v1/models", f"authorization: Bearer {KEY}", f"origin: {APP}"),
        origins=(),
    )
    assert (asked.status, cors_of(asked)) == (403, {})
    assert (told.status, cors_of(told)) == (200, {})
