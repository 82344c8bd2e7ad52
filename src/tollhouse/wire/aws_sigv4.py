"""AWS Signature Version 4: the headers that sign one HTTP request. Pure: the time is handed in.

Source: "Signature Version 4 signing process", https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html,
and the signer of botocore 1.44.8, read 2026-11-25. Paths are encoded twice, as every service but S3 wants it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

Header = tuple[bytes, bytes]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED: Final = frozenset(
    [
        b"authorization", b"baggage", b"connection", b"expect", b"keep-alive", b"proxy-authenticate",
        b"proxy-authorization", b"te", b"traceparent", b"tracestate", b"trailer", b"transfer-encoding", b"upgrade",
        b"user-agent", b"x-amz-date", b"x-amz-security-token", b"x-amzn-trace-id",
    ]
)  # fmt: skip
"""Headers that may change on the way, and those which are written here."""
_HASH_NAME: Final = b"x-amz-content-sha256"


def sign(
    method: str,
    path: str,
    query: str,
    headers: Iterable[Header],
    body: bytes,
    *,
    region: str,
    service: str,
    access_key: str,
    secret_key: str,
    session_token: str | None,
    now_epoch_s: int,
    sends_body_hash: bool = False,
) -> list[Header]:
    """The headers to be added to the request; the last one is `authorization`.

    `path` and `query` are as they go out: percent-encoded, the query without its question mark. `headers` are those
    that will go out, in lower case, `host` among them; each of them is signed but for those that proxies may change.
    With `sends_body_hash` the hash of the body goes out as `x-amz-content-sha256`, as some services want it.
    """
    stamp = timestamp(now_epoch_s)
    body_hash = hashlib.sha256(body).hexdigest()
    added: list[Header] = [(b"x-amz-date", stamp.encode())]
    if session_token:
        added.append((b"x-amz-security-token", session_token.encode()))
    if sends_body_hash:
        added.append((_HASH_NAME, body_hash.encode()))
    signed = _signed_headers([*headers, *added])
    names = ";".join(signed)
    request = "\n".join(
        [
            method.upper(),
            canonical_path(path),
            canonical_query(query),
            *[f"{name}:{value}" for name, value in signed.items()],
            "",
            names,
            signed.get(_HASH_NAME.decode(), body_hash),
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = (
        f"{_ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return [*added, (b"authorization", authorization.encode())]


def timestamp(epoch_s: int) -> str:
    """Seconds since the epoch as `20150830T123600Z`.

    The civil date is counted in eras of 400 years that begin on the first of March, so that the day that some years
    have more is the last of its year.
    """
    days, seconds = divmod(epoch_s, 86_400)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = 400 * era + year_of_era + (month <= 2)
    return f"{year:04}{month:02}{day:02}T{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}Z"


def canonical_path(path: str) -> str:
    """An encoded path, without dots and empty segments, encoded once more."""
    if not path:
        return "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    first = "/" if path.startswith("/") else ""
    last = "/" if path.endswith("/") and kept else ""
    return quote(first + "/".join(kept) + last, safe="/~")


def canonical_query(query: str) -> str:
    """An encoded query, its pairs in order."""
    if not query:
        return ""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&"))
    return "&".join(f"{name}={value}" for name, value in pairs)


def _signed_headers(headers: Iterable[Header]) -> dict[str, str]:
    """By name, in order; values of the same name are joined, their spaces squeezed."""
    values: dict[bytes, list[bytes]] = {}
    ours = (b"x-amz-date", b"x-amz-security-token")
    for name, value in headers:
        if name not in _UNSIGNED or name in ours:
            values.setdefault(name, []).append(b" ".join(value.split()))
    return {name.decode("latin-1"): b",".join(values[name]).decode("latin-1") for name in sorted(values)}
