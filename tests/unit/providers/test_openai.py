"""OpenAI and those compatible with it, as data."""

from __future__ import annotations

import inspect

import openai
import pytest
from openai.resources.chat.completions import Completions as Chat
from openai.resources.completions import Completions
from openai.resources.embeddings import Embeddings
from openai.resources.responses import Responses

from tollhouse.core.operation import Operation
from tollhouse.plugins import load_plugins
from tollhouse.ports.provider import Provider
from tollhouse.providers.openai import PROVIDER as OPENAI
from tollhouse.providers.openai_compatible import PROVIDER as COMPATIBLE

BOTH = pytest.mark.parametrize("provider", [OPENAI, COMPATIBLE], ids=lambda provider: provider.kind)
RESOURCES = {
    "openai_chat": Chat,
    "openai_responses": Responses,
    "openai_completions": Completions,
    "openai_embeddings": Embeddings,
}


@BOTH
def test_every_endpoint_of_a_dialect_that_is_there_is_found(provider: Provider) -> None:
    dialects = load_plugins().dialects
    known = [endpoint for endpoint in provider.endpoints if endpoint.dialect in dialects]
    assert known
    for endpoint in known:
        assert dialects[endpoint.dialect].name == endpoint.dialect
        assert provider.endpoint(endpoint.operation, endpoint.dialect) is endpoint
    assert provider.endpoint(Operation.CHAT, "openai_embeddings") is None


@BOTH
def test_paths_are_those_of_the_official_sdk(provider: Provider) -> None:
    for endpoint in provider.endpoints:
        module = inspect.getmodule(RESOURCES[endpoint.dialect])
        assert module is not None
        assert f'"{endpoint.path}"' in inspect.getsource(module)


def test_openai_lives_where_its_sdk_calls_it() -> None:
    with openai.OpenAI(api_key="x", base_url=None) as client:
        assert OPENAI.base_url == str(client.base_url).rstrip("/")


def test_a_compatible_server_has_no_address_of_its_own_and_may_want_no_credential() -> None:
    assert COMPATIBLE.base_url is None
    assert not COMPATIBLE.needs_credential
    assert OPENAI.needs_credential
