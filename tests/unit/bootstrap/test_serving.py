"""A worker changes its configuration: what has not changed stays, what has changed goes, and nothing piles up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tollhouse.adapters.http1.pool import Pool
from tollhouse.adapters.http1.target import Http1Target
from tollhouse.bootstrap.serving import Workshop, assemble
from tollhouse.config.load import load
from tollhouse.config.snapshot import to_wire
from tollhouse.core.errors import GatewayError
from tollhouse.core.secret import Secret
from tollhouse.pipeline import House
from tollhouse.ports.transport import UpstreamRequest
from tollhouse.runtime.link import Boot, Reload

NOW = 1_800_000_000.0
UP = {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "credential": "env:UP"}


def tree(**more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "providers": {"up": UP, "other": {**UP, "base_url": "http://127.0.0.1:10/v1"}},
        "routes": {"gpt": {"deployments": [{"provider": "up", "model": "m"}]}},
        **more,
    }


def wire(config: dict[str, Any]) -> bytes:
    return to_wire(load(json.dumps(config)))


def reload_of(config: dict[str, Any], secret: str = "sk-upstream") -> Reload:
    return Reload(
        serial=1, config=wire(config), secrets={"env:UP": Secret(secret)}, base_urls={}, waits_for_restart=()
    )


@contextlib.asynccontextmanager
async def workshop(folder: Path, config: dict[str, Any] | None = None) -> AsyncIterator[Workshop]:
    async def ask_keeper(word: str) -> bytes | None:
        return None

    (folder / "tollhouse-journal").mkdir(exist_ok=True)
    boot = Boot(
        config=wire(config or tree()),
        secrets={"env:UP": Secret("sk-upstream")},
        pepper=Secret("pepper"),
        base_urls={},
        folder=str(folder),
        writer="w1",
        listener_fd=-1,
    )
    made = assemble(boot, ask_keeper)
    try:
        yield made
    finally:
        await made.close()


def inside(folder: Path, check: Callable[[Workshop], Awaitable[None]]) -> None:
    async def run() -> None:
        async with workshop(folder) as made:
            await check(made)

    asyncio.run(run())


def target(house: House, provider: str) -> object:
    binding = house.dispatcher.binding(provider)
    assert binding is not None
    return binding.target


def test_reload_makes_another_house_and_leaves_the_one_before_as_it_was(tmp_path: Path) -> None:
    async def check(made: Workshop) -> None:
        before = made.house
        hash_ = await made.reload(reload_of(tree(routes={})))
        assert made.house is not before
        assert made.house.snapshot.hash == hash_ != before.snapshot.hash
        assert list(before.snapshot.routes) == ["gpt"]
        for kept in ("keyring", "accountant", "clock"):
            assert getattr(made.house, kept) is getattr(before, kept)
        assert made.house.workbench.recall is before.workbench.recall

    inside(tmp_path, check)


@pytest.mark.parametrize(
    "up",
    [UP, {**UP, "dialects": ["openai_chat"]}, {**UP, "foreign_ids": "forward"}],
    ids=["same", "dialects", "foreign ids"],
)
def test_upstream_that_is_reached_as_before_keeps_its_connections(
    tmp_path: Path, up: dict[str, object]
) -> None:
    async def check(made: Workshop) -> None:
        before = made.house
        await made.reload(reload_of(tree(providers={"up": up}, server={"drain_s": 1})))
        assert target(made.house, "up") is target(before, "up")
        assert made.house.dispatcher.binding("up").upstream == made.house.snapshot.providers["up"]  # type: ignore[union-attr]
        assert made.house.dispatcher.binding("other") is None

    inside(tmp_path, check)


@pytest.mark.parametrize(
    ("up", "secret"),
    [
        ({**UP, "base_url": "http://127.0.0.1:11/v1"}, "sk-upstream"),
        ({**UP, "proxy": "http://127.0.0.1:12"}, "sk-upstream"),
        ({**UP, "kind": "anthropic"}, "sk-upstream"),
        (UP, "another secret"),
    ],
    ids=["address", "proxy", "header of the credential", "secret"],
)
def test_upstream_that_is_reached_otherwise_is_bound_anew(
    tmp_path: Path, up: dict[str, object], secret: str
) -> None:
    async def check(made: Workshop) -> None:
        before = made.house
        await made.reload(reload_of(tree(providers={"up": up}), secret))
        assert target(made.house, "up") is not target(before, "up")

    inside(tmp_path, check)


def test_reload_that_fails_changes_nothing(tmp_path: Path) -> None:
    async def check(made: Workshop) -> None:
        before = made.house
        wrong = tree(providers={"up": {**UP, "base_url": "https://127.0.0.1:9", "ca_file": "missing.pem"}})
        with pytest.raises(ValueError, match="missing") as caught:
            await made.reload(reload_of(wrong))
        assert "missing.pem" in made.describe(caught.value)
        assert made.house is before
        assert made.in_force().hash == before.snapshot.hash

    inside(tmp_path, check)


def test_defect_in_a_reload_is_told_without_its_words(tmp_path: Path) -> None:
    async def check(made: Workshop) -> None:
        assert "sk-upstream" not in made.describe(RuntimeError("what stood there: sk-upstream"))

    inside(tmp_path, check)


def test_declared_keys_come_and_go_with_the_configuration(tmp_path: Path) -> None:
    digest = "5d0c3c1f2c7b8f0e6a1d4b9e8f7a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a"

    async def check(made: Workshop) -> None:
        ring = made.house.keyring
        await made.reload(reload_of(tree(keys=[{"name": "k", "sha256": digest, "routes": ["gpt"]}])))
        assert len(ring) == 1
        await made.reload(reload_of(tree()))
        assert len(ring) == 0
        ring.set_loaded()
        with pytest.raises(GatewayError):
            ring.identify(b"whatever", NOW)

    inside(tmp_path, check)


def test_two_hundred_reloads_leave_nothing_behind(tmp_path: Path) -> None:
    kinds = (Http1Target, Pool, House)

    def alive() -> list[int]:
        gc.collect()
        things = gc.get_objects()
        return [sum(1 for thing in things if type(thing) is kind) for kind in kinds]

    async def check(made: Workshop) -> None:
        words = [
            reload_of(tree(providers={"up": {**UP, "base_url": f"http://127.0.0.1:{port}/v1"}}))
            for port in (21, 22)
        ]
        await made.reload(words[0])
        before = alive()
        assert min(before) >= 1
        for number in range(200):
            await made.reload(words[(number + 1) % 2])
        assert alive() == before

    inside(tmp_path, check)


def test_configuration_in_force_tells_no_secret(tmp_path: Path) -> None:
    async def check(made: Workshop) -> None:
        shown = made.in_force()
        assert shown.hash == made.house.snapshot.hash
        assert shown.loaded_at.endswith("Z")
        assert "sk-upstream" not in repr(shown)

    inside(tmp_path, check)


# -- active checks


def checked(check: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    up = {**UP, **more, **({} if check is None else {"health_check": check})}
    return tree(providers={"up": up, "other": UP}, routes={})


def looked_at(made: Workshop) -> dict[str, Any]:
    return made._fixtures.checkups.subjects


def test_provider_is_looked_at_once_for_all_its_credentials_and_without_any(tmp_path: Path) -> None:
    async def check(made: Workshop) -> None:
        assert looked_at(made) == {}
        several = checked({"path": "/health"}, credential=["env:UP", "env:UP2"])
        word = reload_of(several)
        secrets = {"env:UP": Secret("sk-upstream"), "env:UP2": Secret("sk-second")}
        word = msgspec.structs.replace(word, secrets=secrets)
        await made.reload(word)
        (subject,) = looked_at(made).values()
        assert subject.accounts == ("up", "up#2")
        assert subject.target.opener is None
        head = subject.target.render(UpstreamRequest(method=b"GET", path=b"/health"))
        assert head == b"GET /health HTTP/1.1\r\nhost: 127.0.0.1:9\r\n\r\n"

    inside(tmp_path, check)


def test_check_that_is_as_before_goes_on_over_a_reload(tmp_path: Path) -> None:
    async def check(made: Workshop) -> None:
        await made.reload(reload_of(checked({"path": "/health"})))
        before = looked_at(made)["up"]
        await made.reload(reload_of(checked({"path": "/health"}, foreign_ids="forward"), "another secret"))
        assert looked_at(made)["up"] is before
        await made.reload(reload_of(checked(None)))
        assert looked_at(made) == {}

    inside(tmp_path, check)


@pytest.mark.parametrize(
    "changed",
    [
        checked({"path": "/other"}),
        checked({"path": "/health", "every_s": 5}),
        checked({"path": "/health"}, base_url="http://127.0.0.1:11/v1"),
        checked({"path": "/health"}, proxy="http://127.0.0.1:12"),
    ],
    ids=["path", "interval", "address", "proxy"],
)
def test_check_that_has_changed_begins_anew(tmp_path: Path, changed: dict[str, Any]) -> None:
    async def check(made: Workshop) -> None:
        await made.reload(reload_of(checked({"path": "/health"})))
        before = looked_at(made)["up"]
        await made.reload(reload_of(changed))
        assert looked_at(made)["up"] is not before

    inside(tmp_path, check)
