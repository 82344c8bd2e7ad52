"""Chat, `POST /v2/chat`.

Source: Cohere's API reference, https://docs.cohere.com/reference/chat and /reference/chat-stream, in the words of the
types and docstrings of its SDK cohere-python, read 2026-11-25.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.dialects.cohere_family.dialect import CohereDialect

from .faces import CohereChat
from .response_in import read_whole
from .stream_out import error_frame
from .tap import StreamTap
from .vocabulary import KNOWN, NAME

DIALECT = CohereDialect(
    name=NAME,
    operation=Operation.CHAT,
    known=KNOWN,
    subjects=("messages",),
    judge=read_whole,
    tap=StreamTap,
    frame=error_frame,
    chat=CohereChat(),
)
