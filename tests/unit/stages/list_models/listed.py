"""A house's models as one key sees them."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.core.identity import Principal
from tollhouse.plugins import load_plugins
from tollhouse.stages.list_models import Ask, ModelBook, list_models
from tollhouse.stages.translate import find_way

PLUGINS: Final = load_plugins([])
_CONFIG: Final = """
version: 1
providers:
  openai: {kind: openai, credential: env:A}
  claude: {kind: anthropic, credential: env:A}
  gemini: {kind: gemini, credential: env:A}
  cohere: {kind: cohere, credential: env:A}
  chat-only: {kind: openai, credential: env:A, dialects: [openai_chat]}
  onprem: {kind: vllm, base_url: "http://10.0.0.5:8000/v1"}
  bare: {kind: groq, credential: env:A}
routes:
"""


def book_of(**routes: Any) -> ModelBook:
    """The book of a house with these routes, each a list of deployments."""
    tree = {name.replace("__", "/"): {"deployments": deployments} for name, deployments in routes.items()}
    text = _CONFIG + "\n".join(f"  {json.dumps(name)}: {json.dumps(route)}" for name, route in tree.items())
    return ModelBook(compile_config(load(text), PLUGINS.providers), PLUGINS.dialects, find_way)


def to(provider: str, model: str, **more: Any) -> dict[str, Any]:
    return {"provider": provider, "model": model, **more}


def ask(book: ModelBook, path: str = "/v1/models", *, query: str = "", dialect: str = "openai_chat", routes: tuple[str, ...] = ("*",)) -> Any:  # fmt: skip # noqa: E501
    """What is answered, decoded."""
    principal = Principal(key_id="k", key_name="k", team=None, routes=routes)
    return json.loads(asyncio.run(list_models(book, principal, Ask(path=path, query=query, dialect=dialect))))


def one(*deployments: dict[str, Any]) -> Any:
    """What is said of a route with these deployments, in OpenAI's shape."""
    return ask(book_of(model=list(deployments)), "/v1/models/model")
