"""OpenAI's models on Azure.

Chat completions, text completions and embeddings go by the deployment's name in the path and a dated `api-version`,
whose newest generally available one is the default; the Responses API goes by the undated `v1` paths, which are the
only ones it is generally available on. `model` of a deployment in the configuration is the name it was deployed
under. The base URL is the resource's own, as `https://my-resource.openai.azure.com`. A credential that is JSON is
Entra's; others are keys and go into `api-key`.

Sources: https://learn.microsoft.com/azure/ai-foundry/openai/reference (paths, versions) and
https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle (`v1`), in the words of openai-python 3.57.0
too; read 2026-11-25. What differs by model goes by names that say which model was deployed.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Auth, AuthScheme, Endpoint, Provider, Traits
from tollhouse.providers.openai_family import OPENAI

_DEPLOYMENT = "/openai/deployments/{model}"
_VERSION = "?api-version={api_version}"

PROVIDER = Provider(
    kind="azure_openai",
    title="Azure OpenAI",
    docs_url="https://learn.microsoft.com/azure/ai-foundry/openai/reference",
    endpoints=(
        Endpoint(
            operation=Operation.CHAT,
            dialect="openai_chat",
            path=f"{_DEPLOYMENT}/chat/completions{_VERSION}",
        ),
        Endpoint(
            operation=Operation.CHAT,
            dialect="openai_responses",
            path="/openai/v1/responses",
            traits=(
                ("takes_result_media", True),
                ("takes_document_urls", True),
                ("server_tools", frozenset({"code_execution", "file_search", "computer_use", "mcp"})),
            ),
        ),
        Endpoint(
            operation=Operation.TEXT_COMPLETION,
            dialect="openai_completions",
            path=f"{_DEPLOYMENT}/completions{_VERSION}",
        ),
        Endpoint(
            operation=Operation.EMBEDDINGS,
            dialect="openai_embeddings",
            path=f"{_DEPLOYMENT}/embeddings{_VERSION}",
        ),
    ),
    auth=Auth(
        header="api-key",
        prefix="",
        scheme=AuthScheme.ENTRA,
        scope="https://cognitiveservices.azure.com/.default",
    ),
    settings=("api_version",),
    setting_defaults=(("api_version", "2024-10-21"),),
    traits=Traits(
        issuer="azure_openai", takes_custom_tools=True, takes_result_media=False, takes_document_urls=False
    ),
    models=OPENAI,
)
