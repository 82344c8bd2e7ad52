"""Every dialect that converses, every provider's traits, and a request put from one to the other: for tests of all."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.request import ModelRequest
from tollhouse.plugins import load_plugins
from tollhouse.ports.dialect import Ask, ClientCall, Dialect
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import ChatFaces, Scene

PLUGINS: Final = load_plugins()
CALLERS: Final[dict[str, Dialect]] = {
    name: dialect for name, dialect in PLUGINS.dialects.items() if dialect.chat is not None
}
"""Dialects in which a conversation, or what becomes one, can be asked for."""
ONE_WAY: Final = frozenset(["openai_completions"])
"""Read and answered, but never asked of an upstream: a conversation is no text to go on with."""
TARGETS: Final = {name: dialect for name, dialect in CALLERS.items() if name not in ONE_WAY}
PAIRS: Final = [(caller, target) for caller in TARGETS for target in TARGETS if caller != target]
SCENE: Final = Scene(id="abc", now=7, model="route")
MODEL: Final = "some-model"


def faces_of(name: str) -> ChatFaces:
    faces = CALLERS[name].chat
    assert faces is not None
    return faces


def call_of(name: str, body: bytes, *, stream: bool = False) -> ClientCall:
    """The call as the dialect's own door would read it."""
    operation = Operation.TEXT_COMPLETION if name in ONE_WAY else Operation.CHAT
    in_path = name in ("gemini_generate", "bedrock_converse")
    return CALLERS[name].read(
        Ask(
            operation=operation,
            body=body,
            path_model=MODEL if in_path else None,
            path_stream=stream if in_path else None,
            query="alt=sse" if stream and name == "gemini_generate" else "",
        )
    )


def read(name: str, body: bytes) -> tuple[ModelRequest, tuple[str, ...]]:
    return faces_of(name).read_request(call_of(name, body))


def assert_told_to_caller(error: GatewayError, about: object) -> None:
    """Whatever is sent, what is refused is refused as the caller's fault."""
    assert 400 <= error.status < 500, f"{error!r} for {about}"


def plain_call(name: str, *, stream: bool = True) -> ClientCall:
    """The shortest request there is."""
    document: dict[str, Any]
    match name:
        case "openai_responses":
            document = {"model": MODEL, "input": "hi"}
        case "openai_completions":
            document = {"model": MODEL, "prompt": "hi"}
        case "gemini_generate":
            document = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        case "bedrock_converse":
            document = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
        case _:
            document = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    if name == "anthropic_messages":
        document["max_tokens"] = 9
    if stream and name not in ("gemini_generate", "bedrock_converse"):
        document["stream"] = True
        if name in ("openai_chat", "openai_completions"):
            document["stream_options"] = {"include_usage": True}
    return call_of(name, msgspec.json.encode(document), stream=stream)


def traits_of(target: str) -> dict[str, Traits]:
    """All ways in which providers serve the dialect, by a name for people; equal ones once."""
    found: dict[str, Traits] = {"default": Traits()}
    for provider in PLUGINS.providers.values():
        for endpoint in provider.endpoints:
            if endpoint.dialect != target or endpoint.operation is not Operation.CHAT:
                continue
            found[provider.kind] = provider.traits_for(MODEL, endpoint)
            for glob, _ in provider.models:
                model = glob.replace("[0-9]", "5").replace("*", "").replace("?", "5")
                found[f"{provider.kind}/{model}"] = provider.traits_for(model, endpoint)
    unique: dict[Traits, str] = {}
    for name, traits in found.items():
        unique.setdefault(traits, name)
    return {name: traits for traits, name in unique.items()}
