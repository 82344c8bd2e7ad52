"""Gemini on Google's Vertex AI.

Sources: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference and
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (hosts by location), read 2026-11-25.
`region` is the location, `global` among them. Embeddings have another wire API there and are not offered.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Auth, AuthScheme, Endpoint, Provider, Traits
from tollhouse.providers.gemini_family import GEMINI, NEWEST_GEMINI

_MODEL = "/v1/projects/{project}/locations/{region}/publishers/google/models/{model}"

PROVIDER = Provider(
    kind="vertex",
    title="Gemini on Vertex AI",
    docs_url="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
    base_url="https://{region}-aiplatform.googleapis.com",
    region_base_urls=(("global", "https://aiplatform.googleapis.com"),),
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
    ),
    auth=Auth(
        scheme=AuthScheme.GOOGLE_SERVICE_ACCOUNT, scope="https://www.googleapis.com/auth/cloud-platform"
    ),
    settings=("project", "region"),
    traits=Traits(
        issuer="gemini",
        takes_image_urls=False,
        takes_document_urls=False,
        server_tools=frozenset({"web_search", "web_fetch", "code_execution"}),
    ),
    models=(("*", NEWEST_GEMINI), *GEMINI),
)
