"""Ids of tool calls as Bedrock takes them: `[a-zA-Z0-9_.:-]{1,64}` (ToolUseBlock in its service model 2023-09-30)."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_WHOLE: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_OTHERS: Final = re.compile(r"[^a-zA-Z0-9_.:-]")
_KEPT: Final = 40


def fitting_id(call_id: str, pattern: str | None) -> str:
    """The id, or another in its place: the same for the same, and others for others. `pattern` narrows the rule."""
    if _WHOLE.fullmatch(call_id) and (pattern is None or re.fullmatch(pattern, call_id)):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()
    fitted = f"{_OTHERS.sub('_', call_id)[:_KEPT]}_{digest[:12]}"
    return fitted if pattern is None or re.fullmatch(pattern, fitted) else digest[:9]
