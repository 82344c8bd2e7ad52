"""What aiohttp cannot promise. Each entry is proved on every run: one that began to hold would fail."""

from __future__ import annotations

AIOHTTP: dict[str, str] = {}
