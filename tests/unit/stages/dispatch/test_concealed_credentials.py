"""Whatever an upstream repeats of what opens it is taken out, minted tokens and keys to sign with as well."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, UpstreamFault
from tollhouse.core.secret import Secret
from tollhouse.plugins import load_providers
from tollhouse.ports.transport import Origin, UpstreamRequest
from tollhouse.stages.dispatch.answers import Binding, carried, scrubbed, without_secrets

CONFIG = """
version: 1
providers: {up: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1}}
routes: {gpt: {deployments: [{provider: up, model: m}]}}
"""
ID = "AKIDCANARY0123"
KEY = "s3cret/canary+="
TOKEN = "ya29.minted-canary"


class Minting:
    """Implements ports.credential.Opener: its token changes."""

    origin = Origin("http", "127.0.0.1", 1)
    names = frozenset((b"authorization",))

    def __init__(self) -> None:
        self.token = TOKEN

    async def headers(self, request: UpstreamRequest, deadline: float) -> tuple[tuple[bytes, bytes], ...]:
        raise AssertionError(f"nothing is sent: {request} {deadline}")

    def secrets(self) -> tuple[str, ...]:
        return (self.token, KEY, "")

    def refused(self) -> None: ...


class Answered:
    """What `carried` looks at of an answer."""

    status = 200

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers


@pytest.fixture
def opener() -> Minting:
    return Minting()


@pytest.fixture
def binding(opener: Minting) -> Binding:
    upstream = compile_config(load(CONFIG), load_providers()).providers["up"]
    target: Any = object()
    return Binding(upstream, target, Secret(f"{ID}:{KEY}"), opener)


def test_longest_text_is_taken_out_first_and_no_empty_one(binding: Binding) -> None:
    assert binding.secrets() == (f"{ID}:{KEY}", TOKEN, KEY)


def test_error_shows_neither_the_token_nor_the_key_to_sign_with(binding: Binding) -> None:
    theirs: dict[str, object] = {"message": TOKEN, TOKEN: {"a": [f"x{KEY}", {KEY: 1}]}}
    error = scrubbed(
        GatewayError(
            ErrorKind.UPSTREAM_UNAVAILABLE,
            f"no good: {TOKEN} and {KEY}",
            blame=Blame.OPERATOR,
            param=f"p{KEY}",
            upstream=UpstreamFault(status=401, error=theirs, retry_after=TOKEN),
        ),
        binding.secrets(),
    )
    assert error.message == "no good: *** and ***"
    assert error.param == "p***"
    assert error.upstream is not None
    assert error.upstream.retry_after is None
    assert error.upstream.error == {"message": "***", "***": {"a": ["x***", {"***": 1}]}}


def test_token_that_is_used_now_is_looked_for(binding: Binding, opener: Minting) -> None:
    opener.token = "the-next-one"
    assert without_secrets(b"Bearer the-next-one", binding.secrets()) == b"Bearer ***"


@pytest.mark.parametrize("written", [KEY, KEY.replace("/", "\\/")])
def test_body_shows_no_secret_however_json_escapes_it(binding: Binding, written: str) -> None:
    assert without_secrets(f'{{"a":"{written}"}}'.encode(), binding.secrets()) == b'{"a":"***"}'


def test_secret_with_line_breaks_is_found_in_json() -> None:
    secret = "-----BEGIN-----\nabc\n"
    assert without_secrets(json.dumps({"a": secret}).encode(), [secret]) == b'{"a": "***"}'


def test_header_with_a_token_is_not_carried(binding: Binding) -> None:
    kept = (b"openai-version", b"2020-10-01")
    answer: Any = Answered((b"retry-after", TOKEN.encode()), (b"openai-processing-ms", KEY.encode()), kept)
    assert carried(answer, binding, None) == [kept]
