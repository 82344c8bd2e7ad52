"""OpenAI and those compatible with it, as data."""

from __future__ import annotations

import inspect

import openai
import pytest

from tollhouse.core.operation import Operation
from tollhouse.plugins import load_plugins
from tollhouse.ports.provider import Provider
from tollhouse.providers.openai import PROVIDER as OPENAI
from tollhouse.providers.openai_compatible import PROVIDER as COMPATIBLE

BOTH = pytest.mark.parametrize("provider", [OPENAI, COMPATIBLE], ids=lambda provider: provider.kind)


@BOTH
def test_every_endpoint_names_a_dialect_that_is_there(provider: Provider) -> None:
    dialects = load_plugins().dialects
    assert provider.endpoints
    for endpoint in provider.endpoints:
        assert dialects[endpoint.dialect].name == endpoint.dialect
        assert endpoint.path.startswith("/")
        assert provider.endpoint(endpoint.operation, endpoint.dialect) is endpoint
    assert provider.endpoint(Operation.CHAT, "openai_embeddings") is None


@BOTH
def test_paths_are_those_of_the_official_sdk(provider: Provider) -> None:
    resources = [openai.resources.chat.completions, openai.resources.completions, openai.resources.embeddings]
    for endpoint, resource in zip(provider.endpoints, resources, strict=True):
        module = inspect.getmodule(getattr(resource, "Completions", None) or resource.Embeddings)
        assert module is not None
        assert f'"{endpoint.path}"' in inspect.getsource(module)


def test_openai_lives_where_its_sdk_calls_it() -> None:
    with openai.OpenAI(api_key="x", base_url=None) as client:
        assert OPENAI.base_url == str(client.base_url).rstrip("/")


def test_a_compatible_server_has_no_address_of_its_own_and_may_want_no_credential() -> None:
    assert COMPATIBLE.base_url is None
    assert not COMPATIBLE.needs_credential
    assert OPENAI.needs_credential
