"""Amazon Bedrock by its Converse API: every model it serves, in one wire API.

Sources, read 2026-11-25: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
API_runtime_ConverseStream.html, in the words of botocore 1.44.8;
https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html (a Bedrock API key is a bearer token). Pictures and
documents go as bytes or by S3. Forms of answers by schema are kept by Claude 4.5 and 4.6 but for Haiku; newer ones
refuse them here (https://github.com/vercel/ai/issues/19988), and for models of other makers it was not checked which
take them: they are emulated.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Auth, AuthScheme, Endpoint, Provider, Support, Thinking, Traits
from tollhouse.providers.claude_family import CLAUDE

_SCHEMAS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("*claude*", {"json_schema": Support.EMULATED}),
    ("*claude-opus-4[-.][56]*", {"json_schema": Support.NATIVE}),
    ("*claude-sonnet-4[-.][56]*", {"json_schema": Support.NATIVE}),
)
_OTHERS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("*nova*", {"issuer": "amazon"}),
    (
        "*nova-2*",
        {"thinking": Thinking.EFFORT, "server_tools": frozenset({"web_search", "code_execution"})},
    ),
    ("*gpt-oss*", {"issuer": "openai", "thinking": Thinking.EFFORT}),
    ("*qwen3*", {"issuer": "qwen", "thinking": Thinking.EFFORT}),
    ("*mistral*", {"issuer": "mistral"}),
)
"""By maker, because what stands in `additionalModelRequestFields` is each maker's own."""

PROVIDER = Provider(
    kind="bedrock",
    title="Amazon Bedrock",
    docs_url="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    endpoints=(
        Endpoint(
            operation=Operation.CHAT,
            dialect="bedrock_converse",
            path="/model/{model}/converse",
            stream_path="/model/{model}/converse-stream",
            stream_type="application/vnd.amazon.eventstream",
            model_in_body=False,
        ),
    ),
    auth=Auth(scheme=AuthScheme.AWS_SIGV4, service="bedrock"),
    settings=("region",),
    traits=Traits(
        issuer="bedrock",
        thinking=Thinking.NONE,
        json_schema=Support.EMULATED,
        json_object=Support.EMULATED,
        takes_image_urls=False,
        takes_document_urls=False,
        takes_cache_marks=True,
    ),
    models=(*CLAUDE, *_SCHEMAS, *_OTHERS),
)
