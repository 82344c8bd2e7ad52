"""Google's Gemini API.

Source: https://ai.google.dev/api, in the words of python-genai 3.6.1 (base URL, `v1beta`, `x-goog-api-key`,
`alt=sse`); files by public or signed https URL:
https://blog.google/innovation-and-ai/technology/developers-tools/gemini-api-new-file-limits; both read 2026-11-25.
What differs by model stands in `gemini_family`.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Auth, Endpoint, Provider, Traits
from tollhouse.providers.gemini_family import GEMINI, NEWEST_GEMINI

_MODEL = "/v1beta/models/{model}"

PROVIDER = Provider(
    kind="gemini",
    title="Google Gemini",
    docs_url="https://ai.google.dev/api",
    base_url="https://generativelanguage.googleapis.com",
    endpoints=(
        Endpoint(
            operation=Operation.CHAT,
            dialect="gemini_generate",
            path=f"{_MODEL}:generateContent",
            stream_path=f"{_MODEL}:streamGenerateContent?alt=sse",
            model_in_body=False,
        ),
        Endpoint(
            operation=Operation.COUNT_TOKENS,
            dialect="gemini_generate",
            path=f"{_MODEL}:countTokens",
            model_in_body=False,
        ),
        Endpoint(
            operation=Operation.EMBEDDINGS,
            dialect="gemini_embed",
            path=f"{_MODEL}:batchEmbedContents",
            own_path=f"{_MODEL}:{{verb}}",
            model_in_body=False,
        ),
    ),
    auth=Auth(header="x-goog-api-key", prefix=""),
    traits=Traits(
        issuer="gemini",
        takes_plain_urls=False,
        server_tools=frozenset({"web_search", "web_fetch", "code_execution"}),
    ),
    models=(("*", NEWEST_GEMINI), *GEMINI),
)
