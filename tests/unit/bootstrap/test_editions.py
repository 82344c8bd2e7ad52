"""The keeper reads the configuration again: what is wrong is told whole, what only a start changes is named."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollhouse.bootstrap import Environment, read_config
from tollhouse.bootstrap.editions import Editions, HostedMocks, only_at_start
from tollhouse.bootstrap.secrets import without_secrets
from tollhouse.config.load import load
from tollhouse.config.tree import Config
from tollhouse.core.problem import ConfigInvalid
from tollhouse.core.secret import Secret

ENVIRONMENT = Environment(variables={"UP": "sk-from-the-start"})


def config(**more: Any) -> Config:
    return load(json.dumps({"version": 1, **more}))


def with_mocks(*names: str) -> Config:
    return config(providers={name: {"kind": "mock"} for name in names})


def write(path: Path, **more: Any) -> None:
    up = {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "credential": "env:UP"}
    path.write_text(json.dumps({"version": 1, "providers": {"up": up}, **more}))


def test_what_is_read_again_is_an_edition_with_its_secrets(tmp_path: Path) -> None:
    path = tmp_path / "tollhouse.yaml"
    write(path)

    async def run() -> None:
        editions = Editions(path, ENVIRONMENT, read_config(path))
        write(path, server={"drain_s": 7})
        edition = await editions.read_again()
        assert edition.drain_s == 7
        assert edition.hash == read_config(path).snapshot.hash
        assert edition.secrets["env:UP"].reveal() == "sk-from-the-start"
        assert "sk-from-the-start" not in repr(edition)
        await editions.close()

    asyncio.run(run())


@pytest.mark.parametrize("text", [None, "", "version: 1\nroutes: {gpt: {}}", "version: 1\n\x00"])
def test_whatever_is_wrong_is_told_as_problems(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "tollhouse.yaml"
    write(path)

    async def run() -> None:
        editions = Editions(path, ENVIRONMENT, read_config(path))
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        with pytest.raises(ConfigInvalid) as caught:
            await editions.read_again()
        assert caught.value.problems

    asyncio.run(run())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_file_that_is_cut_or_damaged_anywhere_is_refused_or_good_and_nothing_else(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "tollhouse.yaml"
    write(path, routes={"gpt": {"deployments": [{"provider": "up", "model": "m"}]}})
    loaded, whole = read_config(path), path.read_bytes()
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    path.write_bytes(whole[:begin] + data.draw(st.binary(max_size=8)) + whole[end:])

    async def run() -> None:
        editions = Editions(path, ENVIRONMENT, loaded)
        with contextlib.suppress(ConfigInvalid):
            assert (await editions.read_again()).hash
        await editions.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({}, ()),
        ({"server": {"drain_s": 1, "max_body_bytes": 2048}}, ()),
        ({"observability": {"prometheus": False}}, ()),
        ({"server": {"listen": "127.0.0.1:1"}}, ("server.listen",)),
        ({"store": "sqlite:///b.db", "journal": {"folder": "j"}}, ("store", "journal.folder")),
        ({"journal": {"durability": "power"}}, ("journal.durability",)),
        ({"observability": {"log": "text"}}, ("observability.log",)),
    ],
)
def test_settings_that_only_a_start_changes_are_named(change: dict[str, Any], paths: tuple[str, ...]) -> None:
    assert only_at_start(config(), config(**change)) == paths


def test_mocks_run_on_from_reload_to_reload_and_end_with_the_house() -> None:
    async def run() -> None:
        mocks = HostedMocks()
        first = await mocks.host(with_mocks("a", "b"))
        second = await mocks.host(with_mocks("b", "c"))
        assert set(second) == {"b", "c"}
        assert second["b"] == first["b"]
        assert (await mocks.host(with_mocks("a")))["a"] == first["a"]
        await mocks.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_mocks_that_nobody_wants_any_more_are_bounded() -> None:
    async def run() -> None:
        mocks = HostedMocks()
        first = await mocks.host(with_mocks("m0"))
        for number in range(1, 18):
            await mocks.host(with_mocks(f"m{number}"))
        again = await mocks.host(with_mocks("m0"))
        assert again["m0"] != first["m0"], "it had been stopped, and was started anew"
        await mocks.close()

    asyncio.run(run())


def test_environment_of_a_worker_has_no_secret_in_it() -> None:
    variables = {
        "UP": "sk",
        "PATH": "/bin",
        "TOLLHOUSE_MASTER_KEY": "master",
        "TOLLHOUSE_ADMIN_KEY": "admin",
    }
    assert without_secrets(variables, {"env:UP": Secret("sk")}) == {"PATH": "/bin"}
