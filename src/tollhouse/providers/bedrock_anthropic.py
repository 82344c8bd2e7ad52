"""Claude on Amazon Bedrock by InvokeModel: Anthropic's own wire API, for callers who speak it.

Sources, read 2026-11-25:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
(`anthropic_version` and `anthropic_beta` in the body, the model in the path) and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html (each event in
the `bytes` of a chunk). The names in `betas` are those that page and
https://docs.litellm.ai/docs/tutorials/claude_code_beta_headers say Bedrock takes: it refuses a call that has another
one. Sources of pictures and documents that are URLs are refused too. Tools that run at Anthropic are not served.
Forms of answers by schema are kept by Claude 4.5 and 4.6 but for Haiku; newer ones refuse them here
(https://github.com/vercel/ai/issues/19988).
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Auth, AuthScheme, Endpoint, Framing, Provider, Support, Traits
from tollhouse.providers.claude_family import CLAUDE, NEWEST_CLAUDE

_SCHEMAS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("*claude*", {"json_schema": Support.EMULATED}),
    ("*claude-opus-4[-.][56]*", {"json_schema": Support.NATIVE}),
    ("*claude-sonnet-4[-.][56]*", {"json_schema": Support.NATIVE}),
)

PROVIDER = Provider(
    kind="bedrock_anthropic",
    title="Claude on Amazon Bedrock",
    docs_url=(
        "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html"
    ),
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    endpoints=(
        Endpoint(
            operation=Operation.CHAT,
            dialect="anthropic_messages",
            path="/model/{model}/invoke",
            stream_path="/model/{model}/invoke-with-response-stream",
            stream_type="application/vnd.amazon.eventstream",
            framing=Framing.BEDROCK_CHUNKS,
            model_in_body=False,
            body_fields=(("anthropic_version", "bedrock-2023-05-31"),),
            beta_field="anthropic_beta",
        ),
    ),
    auth=Auth(scheme=AuthScheme.AWS_SIGV4, service="bedrock"),
    settings=("region",),
    betas=(
        "compact-2026-01-12",
        "computer-use-2024-10-22",
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        "context-1m-2025-08-07",
        "context-management-2025-06-27",
        "effort-2025-11-24",
        "fine-grained-tool-streaming-2025-05-14",
        "interleaved-thinking-2025-05-14",
        "mid-conversation-output-config-2026-07-01",
        "mid-conversation-tool-changes-2026-07-01",
        "output-128k-2025-02-19",
        "thinking-binding-controls-2026-08-01",
        "thinking-display-updates-2026-08-18",
        "token-efficient-tools-2025-02-19",
        "tool-examples-2025-10-29",
        "tool-search-tool-2025-10-19",
    ),
    traits=Traits(
        issuer="anthropic",
        takes_image_urls=False,
        takes_document_urls=False,
        server_tools=frozenset({"computer_use"}),
    ),
    models=(("*", NEWEST_CLAUDE), *CLAUDE, *_SCHEMAS),
)
