"""The doors of the real server: which are open, which ask for a key, and what is said where there is none."""

from __future__ import annotations

import json

import pytest

from contract.http_front.front import Answer, Run, get, post
from contract.http_front.house import KEY, Book, calling, server_of, serving
from tollhouse.surface.http.bodies import BodyRoom
from tollhouse.surface.http.doors import DOORS, OPEN_DOORS, PREFIXES
from tollhouse.surface.http.server import is_from_here
from tollhouse.surface.http.wire_request import WireRequest

CLOSED = [(method, path) for path, (method, _) in DOORS.items()] + [
    (method, path + "up/x") for path, methods, _ in PREFIXES for method in methods.split(", ")
]


def ask(
    run: Run,
    request: bytes,
    *,
    book: Book | None = None,
    with_keys: bool = True,
    with_metrics: bool = True,
    is_closing: bool = False,
) -> Answer:
    answers: list[Answer] = []

    async def check() -> None:
        server = server_of(book or Book(), with_keys=with_keys, with_metrics=with_metrics)
        async with serving(server) as port, calling(port) as caller:
            await caller.say(get("/healthz"))
            assert (await caller.answer()).status == 200
            server.is_closing = is_closing
            await caller.say(request)
            answers.append(await caller.answer(to_head=request.startswith(b"HEAD")))

    run(check())
    return answers[0]


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize(
    "header",
    ["x: y", "authorization: Bearer sk-th-wrong", "x-api-key: other", "authorization: Basic Zm9v"],
    ids=["no key", "broken key", "unknown key", "no bearer"],
)
def test_every_door_but_the_open_ones_refuses_without_a_key(
    run: Run, method: str, path: str, header: str
) -> None:
    book = Book()
    request = post(b"{}", header, path=path).replace(b"POST", method.encode())
    answer = ask(run, request, book=book)
    assert answer.status == 401
    assert b"unauthenticated" in answer.body.lower()
    assert [entry.exchange.error for entry in book.settled] == ["unauthenticated"]


def test_open_doors_are_these_three() -> None:
    assert OPEN_DOORS == ("/healthz", "/readyz", "/metrics")


def test_healthz_says_that_the_process_lives(run: Run) -> None:
    assert ask(run, get("/healthz"), with_keys=False).body == b"ok\n"


@pytest.mark.parametrize(
    ("with_keys", "is_closing", "status"), [(True, False, 200), (False, False, 503), (True, True, 503)]
)
def test_readyz_says_whether_known_keys_can_be_served(
    run: Run, with_keys: bool, is_closing: bool, status: int
) -> None:
    answer = ask(run, get("/readyz"), with_keys=with_keys, is_closing=is_closing)
    assert answer.status == status
    state = json.loads(answer.body)
    assert (state["ready"], state["draining"]) == (status == 200, is_closing)
    assert len(state["config"]) == 12


def test_head_of_an_open_door_is_answered(run: Run) -> None:
    answer = ask(run, get("/healthz").replace(b"GET", b"HEAD"))
    assert (answer.status, answer.headers["content-length"]) == (200, "3")


def test_metrics_answer_a_caller_on_this_machine(run: Run) -> None:
    answer = ask(run, get("/metrics"))
    assert answer.body == b"tollhouse_up 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize(
    "header", ["x-forwarded-for: 10.0.0.1", "Forwarded: for=10.0.0.1", "x-real-ip: 10.0.0.1", "via: 1.1 p"]
)
def test_metrics_refuse_what_a_proxy_forwards(run: Run, header: str) -> None:
    answer = ask(run, get("/metrics", header))
    assert answer.status == 403
    assert answer.error["code"] == "forbidden"


@pytest.mark.parametrize(
    ("peer", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_metrics_are_for_loopback_addresses(peer: str, is_here: bool) -> None:
    request = WireRequest(
        method="GET",
        path="/metrics",
        query="",
        version="1.1",
        keep_alive=True,
        headers={},
        peer=peer,
        body_bytes=1,
        room=BodyRoom(1 << 20),
        ask=lambda: None,
    )
    assert is_from_here(request) is is_here


def test_metrics_do_not_exist_where_they_are_off(run: Run) -> None:
    assert ask(run, get("/metrics"), with_metrics=False).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/chat/completions/",
        "/V1/models",
        "/v1//models",
        "/v1/./models",
        "/x/../v1/models",
        "/v1/chat%2Fcompletions",
        "/%76%31/models",
        "/passthrough",
        "/healthz/",
        "/metrics/x",
        "/" + "x" * 10_000,
    ],
)
def test_path_that_leads_nowhere_is_not_found_in_words(run: Run, path: str) -> None:
    book = Book()
    answer = ask(run, get(path, f"authorization: Bearer {KEY}"), book=book)
    assert answer.status == 404
    assert set(answer.error) >= {"type", "code", "message", "param", "request_id", "source", "hint", "docs"}
    assert answer.error["code"] == "route_not_found"
    assert answer.error["request_id"] == answer.headers["x-request-id"]
    assert "connection" not in answer.headers
    (entry,) = book.settled
    assert entry.exchange.id == answer.error["request_id"]
    assert len(entry.exchange.door) < 300


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/embeddings", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/gpt", "GET"),
        ("POST", "/healthz", "GET"),
        ("DELETE", "/metrics", "GET"),
    ],
)
def test_wrong_method_is_told_the_right_one(run: Run, method: str, path: str, right: str) -> None:
    request = get(path, f"authorization: Bearer {KEY}").replace(b"GET", method.encode(), 1)
    answer = ask(run, request)
    assert answer.status == 400
    assert answer.error["hint"] == f"Use {right}."


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_models_are_listed_for_a_key(run: Run, method: str) -> None:
    request = get("/v1/models", f"x-api-key: {KEY}").replace(b"GET", method.encode(), 1)
    answer = ask(run, request)
    assert answer.status == 200
    if method == "GET":
        assert [model["id"] for model in json.loads(answer.body)["data"]] == ["gpt"]


def test_what_is_no_request_stands_in_the_book_too(run: Run) -> None:
    book = Book()
    answer = ask(run, b"\x16\x03\x01 hello\r\n\r\n", book=book)
    assert answer.status == 400
    (entry,) = book.settled
    assert entry.exchange.error == "invalid_request"
    assert entry.exchange.id == answer.error["request_id"]
