"""What is said, whatever the wire API it is said in: messages and their parts.

Parts keep what any of the dialects can say about them. Texts of tool calls and signatures are kept exactly as they
came: somebody may have signed them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Role(StrEnum):
    """Who speaks. Results of tools are parts of the user's messages."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"


class CacheMark(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's wish that everything up to and including this part be cached. Never added, never moved."""

    ttl: str | None = None
    """How long, as written (`5m`, `1h`); None where the caller left it to the provider."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider signed or encrypted, byte for byte, and who can read it again."""

    issuer: str
    """Which family of models, such as `anthropic`, `gemini` or `openai`: no other accepts it."""
    value: str


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a passage of the answer comes from."""

    url: str | None = None
    title: str | None = None
    quoted: str | None = None
    start: int | None = None
    """Offsets in the answer's text where the dialect counts them there, in characters; `end` is exclusive."""
    end: int | None = None
    dialect: str = ""
    raw: dict[str, Any] | None = None
    """The citation as it came, for callers of the same dialect."""


class TokenLogprob(msgspec.Struct, frozen=True, kw_only=True):
    """The natural logarithm of a token's probability, and of those that were likely in its place."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top: tuple[TokenLogprob, ...] = ()


class Text(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Words."""

    text: str
    cache: CacheMark | None = None
    citations: tuple[Citation, ...] = ()
    signature: Signature | None = None
    logprobs: tuple[TokenLogprob, ...] = ()


class MediaKind(StrEnum):
    """What a file is to a model."""

    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    VIDEO = "video"


class Media(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A file: exactly one of `data`, `url`, `file_id` and `text` is there."""

    kind: MediaKind
    media_type: str | None = None
    """Such as `image/png`; None where the caller did not say."""
    data: str | None = None
    """Base64 in the standard alphabet, padded."""
    url: str | None = None
    file_id: str | None = None
    """The provider's own name for an uploaded file."""
    text: str | None = None
    """A document in plain text."""
    name: str | None = None
    detail: str | None = None
    """How closely an image is to be looked at: OpenAI's `low`, `high`, `auto`."""
    is_cited: bool = False
    """Whether answers shall cite this document."""
    context: str | None = None
    """What is said about a document beside it."""
    cache: CacheMark | None = None
    signature: Signature | None = None
    transcript: str | None = None
    """What an audio answer says, in words."""


class Thinking(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Reasoning before the answer. With a signature and no text it is what only its issuer can read."""

    text: str = ""
    signature: Signature | None = None
    is_redacted: bool = False
    """Whether the provider hid the text by its own decision (Anthropic's `redacted_thinking`)."""
    is_summary: bool = False
    id: str | None = None
    """The provider's name of the item, where it has one."""


class ToolKind(StrEnum):
    """How a tool takes its input."""

    FUNCTION = "function"
    """A JSON object that follows a schema."""
    CUSTOM = "custom"
    """Free text, perhaps by a grammar: OpenAI's custom tools."""


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The model wants a tool of the caller's to be run."""

    id: str
    name: str
    arguments: str
    """JSON text for functions, `{}` where there are none; the raw input for custom tools."""
    kind: ToolKind = ToolKind.FUNCTION
    namespace: str | None = None
    signature: Signature | None = None
    cache: CacheMark | None = None


class ToolResult(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the tool answered."""

    call_id: str
    parts: tuple[Text | Media, ...]
    kind: ToolKind = ToolKind.FUNCTION
    name: str | None = None
    """The tool's name, where the caller gave it here."""
    is_error: bool = False
    cache: CacheMark | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The model's words on why it will not."""

    text: str


class Opaque(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What only one dialect has: a server tool's call, a container, a compaction. Nobody else can be told of it."""

    dialect: str
    kind: str
    """The dialect's name for it."""
    value: Any
    """The decoded JSON as it came."""


Part = Text | Media | Thinking | ToolCall | ToolResult | Refusal | Opaque


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
