"""Every recorded stream of a conversation is read and tapped the same, however its bytes are split."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tollhouse.core.fold import fold
from unit.dialects.answers import splits
from unit.dialects.crossing import CALLERS, ONE_WAY, plain_call
from unit.dialects.reading_streams import read_pieces, tap_pieces

pytestmark = pytest.mark.corpus

LIKE_CHAT = (
    "openai_chat", "azure_openai", "cerebras", "deepseek", "fireworks", "gemini_openai_compat", "groq", "heroku",
    "huggingface", "litellm_proxy", "mistral", "moonshot", "ollama_openai", "openrouter", "perplexity", "together",
    "vllm_local", "xai", "zai", "alibaba", "crusoe", "gpustack", "portkey_gateway", "pydantic_gateway", "writer",
    "snowflake",
)  # fmt: skip
DIALECTS = {
    **dict.fromkeys(LIKE_CHAT, "openai_chat"),
    **dict.fromkeys(
        [
            "openai_responses",
            "openrouter_responses",
            "xai_responses",
            "deepseek_responses",
            "lmstudio_responses",
        ],
        "openai_responses",
    ),
    "openai_completions": "openai_completions",
    "anthropic_messages": "anthropic_messages",
    "gemini_generate": "gemini_generate",
    "vertex_generate": "gemini_generate",
    "bedrock_converse": "bedrock_converse",
    "cohere": "cohere_chat",
}
"""In which dialect the streams of an API are."""
FRAMINGS = {"bedrock_converse": "eventstream"}


def recorded(folder: Path, api: str) -> Iterator[tuple[str, bytes]]:
    """The streams of good answers, by their record's id."""
    path = folder / "dev" / f"{api}.jsonl.gz"
    if not path.exists():
        return
    with gzip.open(path, "rt") as lines:
        for line in lines:
            record: dict[str, Any] = json.loads(line)
            kind = FRAMINGS.get(DIALECTS[api], "sse")
            if record["status"] == 200 and record["response_kind"] == kind and is_of(record, api):
                yield record["id"], body_of(record)


def is_of(record: dict[str, Any], api: str) -> bool:
    """Gateways and clouds serve several APIs under one roof."""
    path = record["path"]
    if DIALECTS[api] == "openai_chat":
        return str(path).endswith("/chat/completions")
    return DIALECTS[api] != "openai_responses" or str(path).rstrip("/").endswith("/responses")


def body_of(record: dict[str, Any]) -> bytes:
    is_binary = record.get("stream_framing") == "aws-eventstream"
    frames: list[str] = record["stream"]
    return b"".join([base64.b64decode(frame) if is_binary else frame.encode() for frame in frames])


@pytest.mark.parametrize("api", DIALECTS)
def test_recorded_streams_are_the_same_however_they_are_split(
    corpus: Path, api: str, record_property: Any
) -> None:
    name = DIALECTS[api]
    dialect = CALLERS[name]
    count, whole_ones = 0, 0
    for case, data in recorded(corpus, api):
        count += 1
        tapped = tap_pieces(dialect, plain_call(name), [data])
        read = read_pieces(dialect, [data]) if name not in ONE_WAY else None
        if read is not None and not read[1]:
            whole_ones += 1
            assert fold(read[0]).choices, case
        for way, pieces in splits(data).items():
            assert tap_pieces(dialect, plain_call(name), pieces) == tapped, f"{case}, in pieces of {way}"
            if read is not None:
                assert read_pieces(dialect, pieces) == read, f"{case}, in pieces of {way}"
    record_property("report", f"recorded streams of {api}: {count}, {whole_ones} of them whole")
