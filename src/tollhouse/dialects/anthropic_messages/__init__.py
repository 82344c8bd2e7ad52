"""Anthropic's Messages API, `POST /v1/messages` and `POST /v1/messages/count_tokens`.

Source: Anthropic's API reference, https://platform.claude.com/docs/en/api/messages, in the words of the types and
docstrings of its SDK anthropic-sdk-python 2.13.0, and of the guides named where a rule comes from one; read
2026-11-25. Deviations name the provider that was seen to have them.
"""

from __future__ import annotations

from .dialect import MessagesDialect

DIALECT = MessagesDialect()
