"""What is known of Gemini's models, whoever serves them: shared by every provider that does.

Sources, read 2026-11-25: https://ai.google.dev/gemini-api/docs/thinking and
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking (levels from 3 on, budgets for 2.5; 2.5 Pro and
the Pro models of 3 always think), https://ai.google.dev/gemini-api/docs/function-calling (pictures in a function's
response from 3 on).

Pictures and documents go as bytes, or as the provider's own files: which models fetch other URLs was not checked.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.ports.provider import Thinking

NEWEST_GEMINI: Final[dict[str, Any]] = {
    "issuer": "gemini",
    "thinking": Thinking.LEVEL,
    "efforts": frozenset({"minimal", "low", "medium", "high"}),
}
_UNTHINKING: Final[dict[str, Any]] = {"thinking": Thinking.NONE, "takes_result_media": False}

GEMINI: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("*gemini*", NEWEST_GEMINI),
    ("*gemini-3*-pro*", {"efforts": frozenset({"low", "medium", "high"})}),
    ("*gemini-3-pro*", {"efforts": frozenset({"low", "high"})}),
    (
        "*gemini-2.5*",
        {
            "thinking": Thinking.BUDGET,
            "efforts": frozenset({"none", "minimal", "low", "medium", "high"}),
            "takes_result_media": False,
        },
    ),
    ("*gemini-2.5-pro*", {"efforts": frozenset({"minimal", "low", "medium", "high"})}),
    ("*gemini-2.5*-image*", _UNTHINKING),
    ("*gemini-2.5*-tts*", _UNTHINKING),
    ("*gemini-2.0*", _UNTHINKING),
    ("*gemini-1.*", _UNTHINKING),
)
"""Rows for `Provider.models`."""
