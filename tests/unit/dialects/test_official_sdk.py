"""The official SDK reads what the family writes: its own classes raise, and streams are read to the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, UpstreamFault, invalid_request
from tollhouse.dialects.openai_chat import DIALECT as CHAT
from tollhouse.ports.dialect import Ask

CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[%b]}\n\n'
HELLO = CHUNK % b'{"index":0,"delta":{"role":"assistant","content":"hello"},"finish_reason":null}'
STOP = CHUNK % b'{"index":0,"delta":{},"finish_reason":"stop"}'
USAGE = (
    b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
)
DONE = b"data: [DONE]\n\n"


def client(status: int, content_type: str, body: bytes) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type}, content=body)

    return openai.OpenAI(
        api_key="sk-th-x",
        base_url="http://house/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


def ask(house: openai.OpenAI, **more: Any) -> Any:
    return house.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], **more)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (invalid_request("no", param="model", hint="do"), openai.BadRequestError),
        (GatewayError(ErrorKind.UNAUTHENTICATED, "no", blame=Blame.CLIENT), openai.AuthenticationError),
        (GatewayError(ErrorKind.FORBIDDEN, "no", blame=Blame.CLIENT), openai.PermissionDeniedError),
        (GatewayError(ErrorKind.ROUTE_NOT_FOUND, "no", blame=Blame.CLIENT), openai.NotFoundError),
        (CHAT.upstream_error(422, b'{"error":{"message":"no"}}', None), openai.UnprocessableEntityError),
        (CHAT.upstream_error(429, b'{"error":{"message":"no"}}', "3"), openai.RateLimitError),
        (CHAT.upstream_error(503, b'{"error":{"message":"no"}}', None), openai.InternalServerError),
    ],
)
def test_the_sdk_raises_its_class_with_our_words_and_code(
    error: GatewayError, raised: type[openai.APIStatusError]
) -> None:
    with client(error.status, "application/json", CHAT.error_body(error, "req-1")) as house:
        with pytest.raises(raised) as caught:
            ask(house)
    assert caught.value.status_code == error.status
    assert caught.value.code == error.kind.value
    assert caught.value.param == error.param
    assert "no" in caught.value.message


def test_the_sdk_raises_when_the_error_comes_inside_a_stream_that_has_begun() -> None:
    error = GatewayError(
        ErrorKind.UPSTREAM_UNAVAILABLE,
        "the model fell over",
        blame=Blame.UPSTREAM,
        upstream=UpstreamFault(status=500, error={"type": "server_error"}),
    )
    seen: list[str] = []
    with client(200, "text/event-stream", HELLO + CHAT.error_frame(error, "req-1")) as house:
        with pytest.raises(openai.APIError) as caught:
            seen.extend(_words(ask(house, stream=True)))
    assert seen == ["hello"]
    assert caught.value.message == "the model fell over"
    assert caught.value.code == "upstream_unavailable"
    assert caught.value.type == "server_error"


@pytest.mark.parametrize("asks", [True, False])
def test_the_sdk_sees_usage_exactly_when_the_caller_asked(asks: bool) -> None:
    wish = b',"stream_options":{"include_usage":true}' if asks else b""
    tap = CHAT.tap_stream(
        CHAT.read(
            Ask(
                operation=CHAT.operation,
                body=b'{"model":"m","messages":[],"stream":true' + wish + b"}",
            )
        )
    )
    out = tap.feed(HELLO + STOP + USAGE + DONE)
    tap.end()
    with client(200, "text/event-stream", out) as house:
        chunks = list(ask(house, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices] == ["hello", None]
    assert any(chunk.usage for chunk in chunks) is asks


def _words(stream: Any) -> Iterator[str]:
    for chunk in stream:
        yield chunk.choices[0].delta.content
