"""Only what a browser would send is an origin: anything else would silently never match."""

from __future__ import annotations

import pytest

from tollhouse.core.origins import check_origin


@pytest.mark.parametrize(
    "text",
    [
        "https://app.example", "http://localhost:3000", "http://127.0.0.1:8090", "https://a-b.example:8443",
        "http://[::1]:8080", "https://x",
    ],
)  # fmt: skip
def test_origin_is_taken(text: str) -> None:
    check_origin(text)


@pytest.mark.parametrize(
    "text",
    [
        "*", "null", "", "app.example", "https://", "https://app.example/", "https://app.example/path", "https://*.example",
        "HTTPS://app.example", "https://App.example", "https://app.example:443", "http://app.example:80",
        "https://app.example:99999", "https://app.example:0", "https://user@app.example", "https://app.example?x",
        "https://app.example#x", "ftp://app.example", "https://app.example\n", " https://app.example",
        "https://äpp.example", "https://-app.example", "https://app.example.", "https://" + "a" * 400,
    ],
)  # fmt: skip
def test_what_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        check_origin(text)
