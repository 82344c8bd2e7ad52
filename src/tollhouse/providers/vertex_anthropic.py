"""Claude on Google's Vertex AI: Anthropic's own wire API below Google's paths.

Sources, read 2026-11-25: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude
(`anthropic_version` in the body, the model in the path) and anthropic-sdk-python 2.13.0 (the path that counts tokens,
hosts of the locations `global`, `us` and `eu`). The names in `betas` are those
https://docs.litellm.ai/docs/tutorials/claude_code_beta_headers says Vertex takes: it refuses a call that has another
one. So it does with sources of pictures and documents that are URLs.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Auth, AuthScheme, Endpoint, Provider, Traits
from tollhouse.providers.claude_family import CLAUDE, NEWEST_CLAUDE

_MODELS = "/v1/projects/{project}/locations/{region}/publishers/anthropic/models"
_VERSION = (("anthropic_version", "vertex-2023-10-16"),)

PROVIDER = Provider(
    kind="vertex_anthropic",
    title="Claude on Vertex AI",
    docs_url="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude",
    base_url="https://{region}-aiplatform.googleapis.com",
    region_base_urls=(
        ("global", "https://aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
    ),
    endpoints=(
        Endpoint(
            operation=Operation.CHAT,
            dialect="anthropic_messages",
            path=f"{_MODELS}/{{model}}:rawPredict",
            stream_path=f"{_MODELS}/{{model}}:streamRawPredict",
            model_in_body=False,
            body_fields=_VERSION,
        ),
        Endpoint(
            operation=Operation.COUNT_TOKENS,
            dialect="anthropic_messages",
            path=f"{_MODELS}/count-tokens:rawPredict",
            body_fields=_VERSION,
        ),
    ),
    auth=Auth(
        scheme=AuthScheme.GOOGLE_SERVICE_ACCOUNT, scope="https://www.googleapis.com/auth/cloud-platform"
    ),
    settings=("project", "region"),
    betas=(
        "compact-2026-01-12",
        "compact-2026-09-04",
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        "context-1m-2025-08-07",
        "context-management-2025-06-27",
        "interleaved-thinking-2025-05-14",
        "per-turn-control-2026-07-01",
        "thinking-binding-controls-2026-08-01",
        "thinking-display-updates-2026-08-18",
        "tool-search-tool-2025-10-19",
        "web-search-2025-03-05",
    ),
    traits=Traits(
        issuer="anthropic",
        takes_image_urls=False,
        takes_document_urls=False,
        server_tools=frozenset({"web_search", "computer_use"}),
    ),
    models=(("*", NEWEST_CLAUDE), *CLAUDE),
)
