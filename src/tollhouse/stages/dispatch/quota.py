"""What an answer says about how much more its provider will take: rate-limit headers that say "nothing", retry-after.

Sources, read 2026-11: OpenAI, "Rate limits" (`x-ratelimit-remaining-requests`, `-tokens`, with `x-ratelimit-reset-…` as
durations such as `1s`, `6m0s`, `20ms`), which most compatible servers copy, some with plain seconds; Anthropic, "Rate
limits" (`anthropic-ratelimit-requests-remaining`, `-tokens-…`, with `…-reset` as an RFC 3339 time).
"""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from tollhouse.ports.transport import Headers

_RESET: Final = {
    b"x-ratelimit-remaining-requests": b"x-ratelimit-reset-requests",
    b"x-ratelimit-remaining-tokens": b"x-ratelimit-reset-tokens",
    b"anthropic-ratelimit-requests-remaining": b"anthropic-ratelimit-requests-reset",
    b"anthropic-ratelimit-tokens-remaining": b"anthropic-ratelimit-tokens-reset",
    b"anthropic-ratelimit-input-tokens-remaining": b"anthropic-ratelimit-input-tokens-reset",
    b"anthropic-ratelimit-output-tokens-remaining": b"anthropic-ratelimit-output-tokens-reset",
}
"""Where it stands what is left, and where when there is more again."""
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_LONGEST_TEXT: Final = 64
_FAR_S: Final = 1e9
"""Whatever is later than this is never."""


def asked_wait_s(retry_after: bytes | None, now: float) -> float | None:
    """The seconds a `retry-after` asks for, by number or by date (RFC 9110, 10.2.3); None where it asks for nothing
    that makes sense. `now` is the wall clock's."""
    if retry_after is None or len(retry_after) > _LONGEST_TEXT:
        return None
    text = retry_after.decode("latin-1").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return min(float(text), _FAR_S)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (TypeError, ValueError, OverflowError):
        return None


def used_up_for_s(headers: Headers, now: float) -> float | None:
    """For how long a quota is used up, in seconds; None where nothing says that one is. `now` is the wall clock's."""
    longest_s: float | None = None
    for name, value in headers:
        if value == b"0" and (reset := _RESET.get(name)) is not None:
            reset_s = _seconds(headers, reset, now)
            if reset_s is not None and reset_s > (longest_s or 0.0):
                longest_s = reset_s
    return longest_s


def _seconds(headers: Headers, name: bytes, now: float) -> float | None:
    text = next((value for key, value in headers if key == name), b"").decode("latin-1").strip()
    if not text or len(text) > _LONGEST_TEXT:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
        return seconds - now if seconds > 1e9 else seconds
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        hours, minutes, whole, thousandths = (float(part or 0) for part in duration.groups())
        return hours * 3600 + minutes * 60 + whole + thousandths / 1000
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - now
    except (ValueError, OverflowError):
        return None
