"""What reaches a provider's own path: nothing by accident."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Endpoint, Provider
from tollhouse.ports.transport import Origin
from tollhouse.stages.translate import pass_through

PROVIDER = Provider(
    kind="k",
    title="K",
    docs_url="https://example.com",
    endpoints=(Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),),
    headers=(("X-Fixed", "yes"),),
)
UPSTREAM = Upstream(
    name="up", provider=PROVIDER, origin=Origin("http", "127.0.0.1", 1), base_path="/v1", credential=None, egress=None,
    dialects=("openai_chat",), settings={}, foreign_ids=False,
)  # fmt: skip
SENSITIVE = [
    b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key", b"cookie", b"host", b"connection", b"content-length",
    b"transfer-encoding", b"te", b"upgrade", b"expect", b"proxy-authorization", b"forwarded", b"x-forwarded-for",
    b"x-tollhouse-tags", b"openai-organization", b"openai-project",
]  # fmt: skip


def test_passthrough_carries_headers_but_none_that_are_the_houses_business() -> None:
    headers = dict.fromkeys(SENSITIVE, b"secret") | {b"x-custom": b"kept", b"content-type": b"text/x"}
    request = pass_through("PUT", "files/1", "a=b", headers, b"body", UPSTREAM)
    assert dict(request.headers) == {
        b"x-custom": b"kept", b"content-type": b"text/x", b"accept-encoding": b"identity", b"x-fixed": b"yes",
    }  # fmt: skip
    assert (request.method, request.path, request.body) == (b"PUT", b"/v1/files/1?a=b", b"body")


def test_passthrough_drops_headers_that_connection_names() -> None:
    headers = {b"connection": b"close, X-Hop", b"x-hop": b"1", b"x-custom": b"2"}
    assert b"x-hop" not in dict(pass_through("GET", "x", "", headers, b"", UPSTREAM).headers)


@given(st.text(alphabet="ab./\\%25efEF2cC", max_size=24))
def test_passthrough_path_never_leaves_the_base_url(path: str) -> None:
    try:
        request = pass_through("GET", path, "", {}, b"", UPSTREAM)
    except GatewayError:
        return
    seen = unquote(request.path.decode()).replace("\\", "/")
    assert seen.startswith("/v1/")
    assert ".." not in seen.split("/")
    assert "//" not in seen


@pytest.mark.parametrize(
    "path", ["..;/x", "a/%252e%252e/b", "a/%25252e%25252e/b", "a;x/..;y/b", "%2e;/a", "a/%5c../b"]
)
def test_passthrough_path_hides_no_dots(path: str) -> None:
    with pytest.raises(GatewayError):
        pass_through("GET", path, "", {}, b"", UPSTREAM)


@pytest.mark.parametrize("path", ["a b", "a\r\nb", "ä", "a\x00"])
def test_passthrough_path_is_plain_ascii(path: str) -> None:
    with pytest.raises(GatewayError):
        pass_through("GET", path, "", {}, b"", UPSTREAM)
