"""What the Responses API remembers between calls: by the upstream where it does, by the house where it does not.

An answer that went out is known afterwards under its tenant: who made it, and where no upstream keeps it the
conversation itself. The next call that names it goes to whoever knows it, or is told the whole conversation anew.
"""

from .conversation import DIALECT, Conversation, open_conversation
from .memory import Made, Memory
from .stored import Doing, answer_of, asked, foreign_provider, not_found

__all__ = [
    "DIALECT",
    "Conversation",
    "Doing",
    "Made",
    "Memory",
    "answer_of",
    "asked",
    "foreign_provider",
    "not_found",
    "open_conversation",
]
