"""Mistral.

Sources, read 2026-11-25: https://docs.mistral.ai/api, in the words of mistralai 3.7.0 (`random_seed`, `any`, the
fields a request may have), and https://docs.mistral.ai/capabilities/reasoning (which models take `reasoning_effort`).
Usage comes at the end of every stream without being asked for. Ids of tool calls are nine letters or digits.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Thinking, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

_ADJUSTABLE: Final[dict[str, Any]] = {"thinking": Thinking.EFFORT, "efforts": frozenset({"none", "high"})}

PROVIDER = Provider(
    kind="mistral",
    title="Mistral",
    docs_url="https://docs.mistral.ai/api",
    base_url="https://api.mistral.ai/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
    ),
    traits=Traits(
        issuer="mistral",
        unsupported=(OPENAI_ONLY - {Field.METADATA, Field.PROMPT_CACHE_KEY})
        | {Field.LOGIT_BIAS, Field.END_USER, Field.MESSAGE_NAMES},
        thinking=Thinking.NONE,
        output_limit_field="max_tokens",
        seed_field="random_seed",
        required_word="any",
        call_id_pattern="[a-zA-Z0-9]{9}",
        takes_stream_options=False,
        takes_document_urls=False,
        takes_result_media=False,
    ),
    models=(
        ("mistral-small-latest", _ADJUSTABLE),
        ("mistral-medium-latest", _ADJUSTABLE),
        ("mistral-small-4*", _ADJUSTABLE),
        ("mistral-medium-3-5*", _ADJUSTABLE),
    ),
)
