"""Gemini's generateContent, streamGenerateContent and countTokens, at the Gemini API and at Vertex AI.

Source: https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching, https://ai.google.dev/api/tokens
and Vertex AI's reference of the same methods, in the words of google-genai 3.6.1's types, read 2026-11-25. Modules name
the pages of what they know beyond that.
"""

from __future__ import annotations

from .dialect import GeminiGenerate

DIALECT = GeminiGenerate()
