"""What a call can be billed for beyond the bytes of its body, for budgets that must not be overspent.

A token of text is at least one byte of the body that carries it. But a body can also point to what is not in it, have a
picture or a document in few bytes, have the provider add words or run tools of its own, or ask to be served at another
price. The first three are bounded, the last two are named, so that a hard budget can refuse them.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import msgspec

from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_responses.state import references
from tollhouse.ports.dialect import ClientCall

from .dearer import DEARER, PRIORITY, Tools, asks_to_pay_more
from .members import has_member, text_of

HIDDEN_PROMPT_TOKENS: Final = 1_024
"""The most that a provider puts before tools, or a form of answer, of the caller's: Anthropic tells of up to 804 tokens
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview, "Pricing"), and of up to 735 for each tool it
has defined itself."""
MOST_PICTURES: Final = 1_000
"""No provider takes more in one call; what looks like more is taken for content of any length."""
_PICTURE_TOKENS: Final = (
    ("4o-mini", 48_200),
    ("claude", 5_000),
    ("gemini", 8_300),
    ("", 25_000),
)
"""The most tokens one picture is billed as, whatever its size, by what stands in the model's name; the first that does.
GPT-4o mini: 2,833 and 5,667 for each of 8 tiles; others of OpenAI's: 10,000 patches at 2.46
(https://developers.openai.com/api/docs/guides/images-vision). Claude: 4,784
(https://platform.claude.com/docs/en/build-with-claude/vision). Gemini: 32 tiles of 258
(https://ai.google.dev/gemini-api/docs/tokens). Qwen and its like: 16,384. All read 2026-11-25."""


class Beyond(msgspec.Struct, frozen=True, kw_only=True):
    """What there is besides."""

    is_elsewhere: bool = False
    """Whether it refers to content of any length, or has some in which few bytes say much, such as a document."""
    pictures: int = 0
    """In the body or by their addresses."""
    prompts: int = 0
    """Hidden ones, of `HIDDEN_PROMPT_TOKENS` each."""
    input_tokens: int = 0
    """Of what it says once and is read more than once."""
    output_tokens: int = 0
    """What is billed as output beside each answer."""
    hears: bool = False
    """Whether sound goes in."""
    speaks: bool = False
    """Whether sound comes out."""
    keeps_long: bool = False
    """Whether something may be cached for an hour."""
    least_window_tokens: int = 0
    """How large it asks the model's context to be at least."""
    unpriced: str | None = None
    """The first of what it asks for that costs more than its tokens do, in the caller's words."""

    @property
    def is_rare(self) -> bool:
        """Whether there can be tokens that have a price of their own in few calls."""
        return self.hears or self.speaks or self.keeps_long


NOTHING: Final = Beyond()
"""Of calls that have not been looked through."""
_PLAIN: Final = Beyond()


def beyond(dialect: str, call: ClientCall) -> Beyond:
    """Look through a call's body. Work grows with its length; bodies of more than some hundred KiB are better looked
    through in a thread. Raises: GatewayError `invalid_request`, for what is no call of its dialect."""
    body = _plainly_spelled(call.body)
    kinds = [match.lastgroup for match in _SIGNS.finditer(body)]
    told = _TELLING.intersection(call.spans)
    window = _window_asked_for(call, body)
    refers = dialect == "openai_responses" and _refers(call)
    if not (kinds or told or window or refers or PRIORITY in call.headers):
        return _PLAIN
    signs = Counter(kinds)
    tools = Tools(dialect, call)
    pictures = max(signs["image_url"], signs["image_data"]) + signs["image"] + signs["inline"]
    is_elsewhere = (
        refers
        or signs["far"] > 0
        or signs["sound"] > 0
        or (signs["document"] > 0 and (dialect == "bedrock_converse" or signs["address"] > 0))
        or signs["inline"] > signs["inline_image"]
        or pictures > MOST_PICTURES
        or any(has_member(call, name) for name in _ELSEWHERE)
    )
    speaks, unpriced = asks_to_pay_more(call)
    is_talk = call.operation in (Operation.CHAT, Operation.TEXT_COMPLETION)
    return Beyond(
        is_elsewhere=is_elsewhere,
        pictures=min(pictures, MOST_PICTURES),
        prompts=tools.prompts + (is_talk and _is_prompted(call)),
        input_tokens=_repeated(call) if dialect == "cohere_rerank" else 0,
        output_tokens=len(call.body) if has_member(call, "prediction") else 0,
        hears=signs["sound"] > 0,
        speaks=speaks,
        keeps_long=signs["kept"] > 0,
        least_window_tokens=window,
        unpriced=unpriced or tools.hosted,
    )


def most_picture_tokens(model: str) -> int:
    """The most that one picture is billed as by a model."""
    name = model.lower()
    return next(tokens for part, tokens in _PICTURE_TOKENS if part in name)


# -- what the bytes show

_KINDS: Final = {
    "image_url": r'image_url" : ["{]',
    "image_data": r"(?i:data:image/)",
    "image": r'type" : "image"|image" : \{',
    "inline": r'inline_?[dD]ata" : \{',
    "inline_image": r'mime_?[tT]ype" : "image/',
    "document": r'type" : "document"|document" : \{',
    "address": r'type" : "(?:url|file)"',
    "sound": r'(?:input_audio|audio_url|audio)" : ["{]|(?i:data:audio/)|(?:media_|mime_?)[tT]ype" : "(?i:audio/)',
    "far": r'(?:file_?[iI]d|file_url|file_?[dD]ata|file_?[uU]ri|document_url|video_url|s3Location|video)" : ["{]'
    r'|images" : \[ "(?!data:)'
    r'|(?i:data:)[a-zA-Z]|(?:media_|mime_?)[tT]ype" : "(?!image/|text/)|citations" : \{ "enabled" : true',
    "kept": r'(?:ttl|prompt_cache_retention)" :',
}
"""Members and values that stand for what is more than their bytes; a blank is any white space."""
_SIGNS: Final = re.compile(
    ('"(?=[acdDfimpstv])(?:' + "|".join([f"(?P<{kind}>{sign})" for kind, sign in _KINDS.items()]) + ")")
    .replace(" ", r"[ \t\r\n]*+")
    .encode("ascii")
)
"""A quote inside of a text is escaped, so that none of these is part of one, but for what a whole text begins with."""
_ESCAPE: Final = re.compile(rb"\\u00([4-7][0-9a-fA-F])")
_LETTERS: Final = {b"%02x" % code: bytes([code]) for code in range(0x40, 0x80) if code != ord("\\")}


def _plainly_spelled(body: bytes) -> bytes:
    """The body with escaped letters as they are, for looking at only: names of members may be written in escapes."""
    if b"\\u00" not in body:
        return body
    return _ESCAPE.sub(lambda match: _LETTERS.get(match[1].lower(), match[0]), body)


def _window_asked_for(call: ClientCall, body: bytes) -> int:
    """Anthropic's beta of a larger window goes by a header, at Amazon's by the body."""
    name = b"context-1m"
    return 1_000_000 if name in call.headers.get(b"anthropic-beta", b"") or b'"' + name in body else 0


# -- what the top level shows

_PROMPTED: Final = (
    "tools", "functions", "toolConfig", "response_format", "output_format", "output_config", "outputConfig", "text",
    "documents",
)  # fmt: skip
"""Members for which providers add words of their own."""
_ELSEWHERE: Final = (
    "previous_response_id", "conversation", "cachedContent", "cached_content", "container", "promptVariables",
)  # fmt: skip
_TOLD: Final = frozenset(
    [
        "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
        "local_shell_call", "local_shell_call_output", "apply_patch_call", "apply_patch_call_output", "compaction",
        "computer_call", "computer_call_output",
    ]
)  # fmt: skip
"""Items of the Responses API that say what they are about themselves."""


def _is_prompted(call: ClientCall) -> bool:
    """Google's callers ask for a form of the answer among their settings."""
    return any(has_member(call, name) for name in _PROMPTED) or any(
        b"esponse" in text_of(call, name) for name in ("generationConfig", "generation_config")
    )


def _refers(call: ClientCall) -> bool:
    """Whether a call of the Responses API is about something that the provider keeps."""
    if has_member(call, "prompt"):
        return True
    for item in references(call.body).items:
        if item.type == "reasoning":
            is_whole = item.encrypted_content is not None
        else:
            is_whole = item.type is None or (isinstance(item.type, str) and item.type in _TOLD)
        if item.is_reference or (item.id is not None and not is_whole):
            return True
    return False


def _repeated(call: ClientCall) -> int:
    """A query is read with each document."""
    query, documents = call.spans.get("query"), call.spans.get("documents")
    if query is None or documents is None:
        return 0
    listed = call.body[slice(*documents)].count(b",") + 1
    return (query[1] - query[0]) * listed


_TELLING: Final = frozenset(
    [
        *_PROMPTED, *_ELSEWHERE, *DEARER, "prediction", "modalities", "generationConfig", "generation_config",
        "additionalModelRequestFields", "query",
    ]
)  # fmt: skip
"""All that the top level can tell."""
