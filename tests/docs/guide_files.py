"""The files that a guide shows, so that tests use what people copy."""

from __future__ import annotations

import re
from pathlib import Path

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
_NAMED = re.compile(r"^`([a-z_.]+)`[^\n]*:\n\n```[a-z]+\n(.*?)```", re.M | re.S)
_COMMENTED = re.compile(r"^```yaml\n# ([a-z_.]+)\n(.*?)```", re.M | re.S)


def files_of(guide: str) -> dict[str, str]:
    """By name: blocks whose name stands in the line before them, and YAML blocks that begin with theirs."""
    text = (GUIDES / guide).read_text()
    return dict(_NAMED.findall(text)) | dict(_COMMENTED.findall(text))
