"""Under which labels a call is counted besides its key's own: the tags on it, and the caller's own user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from tollhouse.core.errors import invalid_request
from tollhouse.ports.dialect import ClientCall

TAGS: Final = b"x-tollhouse-tags"
END_USER: Final = b"x-tollhouse-end-user"
_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_MOST_TAGS: Final = 10
_LONGEST_NAME: Final = 200
_NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "openai_chat": ("safety_identifier", "user"),
    "openai_responses": ("safety_identifier", "user"),
    "openai_completions": ("user",),
    "openai_embeddings": ("user",),
    "anthropic_messages": ("metadata",),
}
"""Where callers of a dialect name their own user; Anthropic's as `user_id` in an object."""


def tags_of(own: tuple[str, ...], headers: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """The key's tags and those the caller adds. Raises: GatewayError `invalid_request`."""
    text = headers.get(TAGS)
    if text is None:
        return own
    tags = [tag.strip() for tag in text.decode("latin-1").split(",") if tag.strip()]
    name = TAGS.decode()
    if len(tags) > _MOST_TAGS:
        raise invalid_request(f"{name} has more than {_MOST_TAGS} tags.", param=name, hint="Send fewer.")
    for tag in tags:
        if _TAG.fullmatch(tag) is None:
            raise invalid_request(
                f"{name} has something that is no tag: {tag[:64]!r}.",
                param=name,
                hint="A tag has letters, digits and . _ @ -, at most 64; several are separated by commas.",
            )
    return tuple(dict.fromkeys([*own, *tags]))


def end_user_of(dialect: str, call: ClientCall, headers: Mapping[bytes, bytes]) -> str | None:
    """Whom the caller names as its own user, at most 200 characters; None where it names nobody."""
    text = headers.get(END_USER)
    if text is not None:
        return text.decode("utf-8", "replace").strip()[:_LONGEST_NAME] or None
    for name in _NAMED.get(dialect, ()):
        span = call.spans.get(name)
        value = msgspec.json.decode(call.body[slice(*span)]) if span is not None else None
        if isinstance(value, dict):
            value = value.get("user_id")
        if isinstance(value, str) and value:
            return value[:_LONGEST_NAME]
    return None
