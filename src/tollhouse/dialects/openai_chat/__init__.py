"""Chat completions, `POST /chat/completions`.

Source: OpenAI's API reference, https://platform.openai.com/docs/api-reference/chat, in the words of the types and
docstrings of openai-python 3.57.0, read 2026-11-24. Bodies in the shape of the Responses API, as Cursor sends them to
this path, are taken too: see `responses_shape`.
"""

from __future__ import annotations

from typing import Any

from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_family.dialect import FamilyDialect
from tollhouse.dialects.openai_family.request import Subject
from tollhouse.dialects.openai_family.unary import read_choices

from .faces import OpenAiChatFaces
from .mend import mend
from .responses_shape import as_chat
from .spelling import NAME


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
    mends=mend,
)
