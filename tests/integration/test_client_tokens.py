"""Browser tokens before real processes: judged by every worker alike, counted exactly, gone with their key."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from base64 import urlsafe_b64decode
from collections import Counter as Tally
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from house import House, config_text, running_house
from integration.redis_bank import DOLLAR, Bank, admitted, purse, until
from redis_server import RedisServer, running_redis
from tollhouse.bootstrap import MASTER_KEY_FILE
from tollhouse.core.client_token import ClientToken, ClientTokenSigner
from tollhouse.core.limits import Charge, Counter, CounterKind, Unit
from tollhouse.core.master_key import Purpose, parse_master_keys
from tollhouse.testing import CanaryScanner, ScriptedUpstream

pytestmark = pytest.mark.slow


APP = "https://app.example"
PRICE = {"input_per_million_usd": 1, "output_per_million_usd": 5}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def config_of(upstream: ScriptedUpstream, workers: int = 1, **more: Any) -> str:
    deployment = {"provider": "up", "model": "mock-chat", "price": PRICE}
    routes = {"gpt": {"deployments": [deployment], "retry": {"max_attempts": 1}}}
    listening = {"listen": "127.0.0.1:0", "drain_s": 5, "workers": workers, "cors": {"origins": [APP]}}
    return config_text(upstream.base_url, server=listening, routes=routes, **more)


@pytest.fixture(scope="module")
def pair(
    server: RedisServer, upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """A house of two workers that count in Redis."""
    config = config_of(upstream, 2, shared=server.url)
    with running_house(tmp_path_factory.mktemp("pair"), config) as house:
        yield house


@pytest.fixture
def alone(upstream: ScriptedUpstream, tmp_path: Path) -> Iterator[House]:
    """A house of one worker that counts in its own memory."""
    with running_house(tmp_path, config_of(upstream)) as house:
        yield house


def mint(house: House, key: str, **wish: Any) -> str:
    for _ in range(100):
        status, _, body = house.call(
            "POST", "/v1/client_tokens", json.dumps(wish).encode(), {"authorization": f"Bearer {key}"}
        )
        if status != 503:  # a bank that is opened just now
            break
        time.sleep(0.1)
    assert status == 200, body
    token: str = json.loads(body)["token"]
    return token


def _id_of(token: str) -> str:
    """Without its signature: what it says can be read by anybody who has it."""
    content = urlsafe_b64decode(token.removeprefix("ct-th-").partition(".")[0] + "===")
    return msgspec.msgpack.decode(content, type=ClientToken).id


def code_of(answer: tuple[int, dict[str, str], bytes]) -> str:
    status, _, body = answer
    return "ok" if status == 200 else str(json.loads(body)["error"]["code"])


def ask(house: House, token: str, **body: Any) -> str:
    return code_of(house.chat(token, max_tokens=20, **body))


def ask_often(house: House, token: str, calls: int) -> Tally[str]:
    with ThreadPoolExecutor(8) as pool:
        return Tally(pool.map(lambda _: ask(house, token), range(calls)))


# -- two workers


def test_every_worker_takes_the_token_that_one_of_them_has_made(pair: House) -> None:
    token = mint(pair, pair.new_key("gpt"))
    assert ask_often(pair, token, 40) == {"ok": 40}
    assert len(pair.worker_pids()) == 2


def test_calls_are_counted_to_the_last_over_all_workers(pair: House) -> None:
    token = mint(pair, pair.new_key("gpt"), max_calls=20)
    assert ask_often(pair, token, 60) == {"ok": 20, "budget_exceeded": 40}


def test_money_is_counted_to_the_last_over_all_workers(pair: House) -> None:
    token = mint(pair, pair.new_key("gpt"), max_usd=0.001, max_calls=1_000, max_tokens=1_000_000)
    token_id = _id_of(token)
    outcomes = ask_often(pair, token, 60)
    assert outcomes["ok"] + outcomes["budget_exceeded"] == 60
    assert outcomes["budget_exceeded"] > 0
    pair.book()  # everything that has been written is in the ledger now
    with closing(sqlite3.connect(pair.folder / "tollhouse.db")) as ledger:
        spent = dict(ledger.execute("SELECT purse, sum(nanousd) FROM spending GROUP BY purse").fetchall())
    assert [purse for purse in spent if not purse.startswith("purse/")] == [], "the ledger is about money"
    (mine,) = [nanousd for purse, nanousd in spent.items() if token_id in purse]
    assert 0 < mine <= 1_000_000


def test_key_that_is_revoked_ends_its_tokens_in_every_worker(pair: House) -> None:
    key = pair.new_key_with_id("gpt")
    token = mint(pair, key["key"])
    assert ask_often(pair, token, 8) == {"ok": 8}
    pair.run("keys", "revoke", key["id"])
    assert ask_often(pair, token, 16) == {"unauthenticated": 16}


def test_calls_of_a_worker_that_was_killed_stay_counted(pair: House) -> None:
    token = mint(pair, pair.new_key("gpt"), max_calls=30)
    before = ask_often(pair, token, 16)
    assert before == {"ok": 16}
    os.kill(pair.worker_pids()[0], signal.SIGKILL)
    outcomes: Tally[str] = Tally()
    end = time.monotonic() + 30
    while len(pair.worker_pids()) < 2 or sum(outcomes.values()) < 40:
        assert time.monotonic() < end
        try:
            outcomes[ask(pair, token)] += 1
        except OSError:
            time.sleep(0.05)
    assert outcomes["ok"] <= 30 - 16
    assert outcomes["budget_exceeded"] > 0


# -- one worker


def test_token_that_was_counted_by_a_worker_that_is_gone_is_worth_nothing(alone: House) -> None:
    key = alone.new_key("gpt")
    counted, free = mint(alone, key, max_calls=9), mint(alone, key)
    assert (ask(alone, counted), ask(alone, free)) == ("ok", "ok")
    (worker,) = alone.worker_pids()
    os.kill(worker, signal.SIGKILL)
    _until_answered(alone, free)
    assert ask(alone, counted) == "key_expired"
    assert ask(alone, mint(alone, key, max_calls=9)) == "ok"


def _until_answered(house: House, token: str) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            if ask(house, token) == "ok":
                return
        except OSError:
            pass
        assert time.monotonic() < end
        time.sleep(0.05)


def test_stream_of_a_page_ends_with_the_key(alone: House, upstream: ScriptedUpstream) -> None:
    key = alone.new_key_with_id("gpt")
    token = mint(alone, key["key"])
    upstream.reset()
    upstream.script(chunks=100_000, chunk_delay_s=0.005)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(alone.chat, token, stream=True, max_tokens=100)
        upstream.wait_received(1)
        alone.run("keys", "revoke", key["id"])
        assert ask(alone, token) == "unauthenticated"
        status, _, body = call.result(30)
    last = [line for line in body.decode().splitlines() if line.startswith("data: ")][-1]
    error = json.loads(last.removeprefix("data: "))["error"]
    assert (status, error["message"]) == (200, "This key has been revoked.")


def test_nothing_that_the_house_writes_has_a_token_in_it(alone: House) -> None:
    token = mint(alone, alone.new_key("gpt"), end_user="alice")
    assert ask(alone, token) == "ok"
    assert ask(alone, token[:-2]) == "unauthenticated"
    alone.run("requests", "--json")
    assert (
        CanaryScanner({"token": token, "its signature": token.partition(".")[2]}).scan_tree(alone.folder)
        == []
    )


def test_token_is_no_admin_key_and_opens_no_provider(alone: House) -> None:
    token = mint(alone, alone.new_key("*"))
    for method, path in (
        ("GET", "/admin/v1/keys"), ("POST", "/admin/v1/keys"), ("GET", "/v1/key"), ("POST", "/v1/client_tokens"),
        ("GET", "/passthrough/up/models"), ("POST", "/passthrough/up/chat/completions"),
        ("GET", "/v1/responses/resp_1"),
    ):  # fmt: skip
        status, _, _ = alone.call(
            method, path, b"{}" if method == "POST" else None, {"authorization": f"Bearer {token}"}
        )
        assert status in (401, 403, 404), path
        assert status == 403 or path.startswith("/admin"), path


def test_tokens_go_on_when_the_master_key_is_rotated(alone: House) -> None:
    key = alone.new_key("gpt")
    before = mint(alone, key)
    file = alone.folder / MASTER_KEY_FILE
    new = "Zr8uB2nQe6TfWk0Lx5VhGd9SjYm3CpAi7oRtX1cKq4M"
    file.write_text(f"{new}\n{file.read_text()}")
    alone.run("reload")
    after = mint(alone, key)
    assert (ask(alone, before), ask(alone, after)) == ("ok", "ok")
    signer = ClientTokenSigner(parse_master_keys(new).derive(Purpose.BROWSER_TOKENS))
    assert signer.read(after.encode()).id == _id_of(after), "signed with the new one"


def test_origins_of_the_configuration_are_taken_over_by_a_reload(alone: House) -> None:
    def preflight() -> int:
        headers = {"origin": "https://new.example", "access-control-request-method": "POST"}
        return alone.call("OPTIONS", "/v1/chat/completions", None, headers)[0]

    assert preflight() == 403
    alone.config.write_text(alone.config.read_text().replace(APP, "https://new.example"))
    alone.run("reload")
    assert preflight() == 204


# -- the bank


def calls(limit: int) -> Counter:
    return Counter(
        id="count/client_token:t/calls/day/2026-11-25", kind=CounterKind.PURSE, limit=limit, unit=Unit.CALLS
    )


def test_bank_takes_money_of_a_dead_worker_from_the_ledger_and_leaves_what_else_was_counted(
    server: RedisServer,
) -> None:
    async def play() -> None:
        async with Bank(server, "counts") as bank:
            gone, heir = await bank.crew(2)
            money = purse(limit=DOLLAR)
            for _ in range(3):
                gone.settle(await gone.reserve([Charge(calls(5), 1), Charge(money, 10)]), {})
            await gone.refresh()
            await bank.keeper.recover("worker-0", {})
            await heir.refresh()
            assert bank.figures(money)["s"] == 0
            assert len(await admitted(heir, calls(5), 1, 9)) == 2

    asyncio.run(play())


def test_bank_is_in_another_era_once_it_has_forgotten(tmp_path: Path) -> None:
    async def play(server: RedisServer) -> None:
        async with Bank(server) as bank:
            crew = await bank.crew(2)
            before = {worker.era for worker in crew}
            assert len(before) == 1
            server.ask("FLUSHALL")
            await bank.open()
            await until(lambda: all(worker.is_exact for worker in crew))
            after = {worker.era for worker in crew}
            assert len(after) == 1
            assert after != before

    with running_redis(tmp_path) as server:
        asyncio.run(play(server))
