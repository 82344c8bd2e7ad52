"""Chat completions, `POST /chat/completions`.

Source: OpenAI's API reference, https://platform.openai.com/docs/api-reference/chat, in the words of the types and
docstrings of openai-python 3.57.0, read 2026-11-24. Bodies in the shape of the Responses API, as Cursor sends them to
this path, are taken too: see `responses_shape`.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_family.asks import Subject
from tollhouse.dialects.openai_family.dialect import FamilyDialect
from tollhouse.dialects.openai_family.unary import read_choices

from .faces import OpenAiChatFaces
from .mend import mend
from .responses_shape import as_chat
from .vocabulary import NAME

_KNOWN: Final = frozenset(
    [
        "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
        "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model", "moderation",
        "n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
        "prompt_cache_options", "prompt_cache_retention", "reasoning_effort", "response_format",
        "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options",
        "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
        "web_search_options",
    ]
)  # fmt: skip
"""The members the reference describes."""


def _is_content(choice: dict[str, Any]) -> bool:
    """Anything in the delta but the role counts, also what only one provider sends: text, reasoning, calls, audio."""
    delta = choice.get("delta")
    if isinstance(delta, dict):
        for name, value in delta.items():
            if value and name != "role":
                return True
    return False


DIALECT = FamilyDialect(
    name=NAME,
    operation=Operation.CHAT,
    known=_KNOWN,
    subject=Subject(
        name="messages",
        starts=b"[",
        wanted="a list of messages",
        otherwise="input",
        reshape=as_chat,
    ),
    judge=read_choices,
    is_content=_is_content,
    chat=OpenAiChatFaces(),
    mend_body=mend,
)
