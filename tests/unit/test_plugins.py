"""How dialects and providers are found."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import msgspec
import pytest

from tollhouse.dialects.openai_chat import DIALECT as CHAT
from tollhouse.plugins import PluginInvalid, load_plugins
from tollhouse.ports.dialect import Dialect
from tollhouse.ports.provider import Provider


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An installed module of somebody else's."""
    module = ModuleType("stranger")
    monkeypatch.setitem(sys.modules, "stranger", module)
    return module


def point(kind: str, name: str, value: str = "stranger:IT") -> EntryPoint:
    return EntryPoint(name=name, value=value, group=f"tollhouse.{kind}")


def test_built_in_plugins_are_found_by_walking_their_packages() -> None:
    plugins = load_plugins([])
    assert {"openai_chat", "openai_completions", "openai_embeddings"} <= set(plugins.dialects)
    assert {"openai", "openai_compatible", "mock"} <= set(plugins.providers)
    assert all(isinstance(dialect, Dialect) for dialect in plugins.dialects.values())
    assert all(name == provider.kind for name, provider in plugins.providers.items())
    assert not any(name.endswith("_family") for name in plugins.dialects)


def test_every_provider_speaks_dialects_that_are_there() -> None:
    plugins = load_plugins()
    for provider in plugins.providers.values():
        assert {endpoint.dialect for endpoint in provider.endpoints} <= set(plugins.dialects)


def test_the_result_cannot_be_changed() -> None:
    plugins = load_plugins([])
    with pytest.raises(TypeError):
        plugins.dialects["x"] = CHAT  # type: ignore[index]
    with pytest.raises(AttributeError):
        plugins.dialects = {}  # type: ignore[misc]


def test_strangers_come_in_by_entry_point(stranger: ModuleType) -> None:
    stranger.D = msgspec.structs.replace(CHAT, name="own")  # type: ignore[attr-defined]
    stranger.P = Provider(kind="theirs", title="T", docs_url="", endpoints=())  # type: ignore[attr-defined]
    plugins = load_plugins(
        [point("dialects", "own", "stranger:D"), point("providers", "theirs", "stranger:P")]
    )
    assert plugins.dialects["own"].name == "own"
    assert plugins.providers["theirs"].title == "T"


def test_a_duplicate_is_refused_by_both_names(stranger: ModuleType) -> None:
    stranger.IT = CHAT  # type: ignore[attr-defined]
    with pytest.raises(PluginInvalid) as caught:
        load_plugins([point("dialects", "openai_chat")])
    for word in ("'openai_chat'", "tollhouse.dialects.openai_chat.DIALECT", "stranger:IT"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("value", "word"),
    [("no_such_module_anywhere:IT", "ModuleNotFoundError"), ("stranger:MISSING", "AttributeError")],
)
def test_a_plugin_that_cannot_be_loaded_is_named(stranger: ModuleType, value: str, word: str) -> None:
    with pytest.raises(PluginInvalid, match=f"own = {value}.* cannot be loaded: {word}"):
        load_plugins([point("dialects", "own", value)])


@pytest.mark.parametrize("kind", ["dialects", "providers"])
def test_a_plugin_that_is_something_else_is_named(stranger: ModuleType, kind: str) -> None:
    stranger.IT = object()  # type: ignore[attr-defined]
    with pytest.raises(PluginInvalid, match=r"own = stranger:IT is no (dialect|provider)"):
        load_plugins([point(kind, "own")])


def test_a_plugin_must_bear_the_name_it_is_registered_under(stranger: ModuleType) -> None:
    stranger.IT = CHAT  # type: ignore[attr-defined]
    with pytest.raises(PluginInvalid, match="calls itself 'openai_chat'"):
        load_plugins([point("dialects", "own")])
