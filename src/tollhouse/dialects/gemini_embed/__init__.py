"""Gemini's embedContent and batchEmbedContents.

Source: https://ai.google.dev/api/embeddings, in the words of google-genai 3.6.1, which asks by batchEmbedContents only,
and recorded answers; read 2026-11-25. One dialect for both: a body with `requests` is a batch, and what is translated
for Gemini always is one.
"""

from __future__ import annotations

from .dialect import GeminiEmbed

DIALECT = GeminiEmbed()
