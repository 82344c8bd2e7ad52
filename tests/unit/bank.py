"""A house whose callers pay, what its counters say, and calls to it: for tests of limits and budgets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from tollhouse.adapters.memory import MemoryCounters
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.exchange import ExchangeRecord
from tollhouse.core.house_scopes import HouseScopes
from tollhouse.core.identity import VirtualKey
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Timeouts
from tollhouse.pipeline import Door, House, serve
from tollhouse.plugins import Plugins, load_plugins
from tollhouse.ports.transport import Answer, Target, UpstreamRequest
from tollhouse.stages.account import Accountant
from tollhouse.stages.authenticate import Keyring, key_digest
from tollhouse.stages.dispatch import Binding, Dispatcher
from tollhouse.stages.list_models import ModelBook
from tollhouse.stages.translate import find_way
from tollhouse.testing import FakeClock
from unit.test_pipeline import (
    CHAT,
    FRAMES,
    KEY,
    PEPPER,
    FakeAnswer,
    FakeReply,
    FakeRequest,
    World,
)
from workbench import counters, rooms, turnstile, workbench

DOLLAR = 1_000_000_000
CONFIG = """
version: 1
providers:
  up: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1}
  claude: {kind: anthropic, base_url: http://127.0.0.1:1, credential: env:KEY}
  real: {kind: openai, base_url: http://127.0.0.1:1/v1, credential: env:KEY}
teams:
  payers: {limits: {tokens_per_minute: 100000}, budget: {usd: 10}}
tags:
  nightly: {budget: {usd: 5, period: day}}
end_users: {budget: {usd: 1}}
routes:
  gpt: {deployments: [{provider: up, model: m, price: PRICE}], retry: {max_attempts: 2}, budget: {usd: 20}}
  dear:
    deployments: [{provider: up, model: m, price: PRICE}]
    fallbacks: [dearer]
    retry: {max_attempts: 1}
  dearer: {deployments: [{provider: up, model: n, price: {input_per_million_usd: 5, output_per_million_usd: 500}}]}
  known: {deployments: [{provider: up, model: m, price: PRICE, max_output_tokens: 50}]}
  free: {deployments: [{provider: up, model: f, price: {input_per_million_usd: 0, output_per_million_usd: 0}}]}
  unpriced: {deployments: [{provider: up, model: nobody-knows}]}
  claude: {deployments: [{provider: claude, model: claude-sonnet-4-5}]}
  copied: {deployments: [{provider: up, model: m, price: PRICE}], mirror: {route: dearer, share: 1.0}}
""".replace("PRICE", "{input_per_million_usd: 1, output_per_million_usd: 100}")
"""A token in costs 1,000 nano-USD, a token out 100,000."""
RESPONSES = Door(operation=Operation.CHAT, dialect="openai_responses")
MESSAGES = Door(operation=Operation.CHAT, dialect="anthropic_messages")
PASS = Door(operation=Operation.PASSTHROUGH, dialect="openai_chat")
COST = 3 * 1_000 + 2 * 100_000
"""Of the good answer."""
DOORS = {
    "openai_chat": (CHAT, {"model": "gpt", "messages": [], "max_tokens": 10}),
    "openai_completions": (
        Door(operation=Operation.TEXT_COMPLETION, dialect="openai_completions"),
        {"model": "gpt", "prompt": "hi", "max_tokens": 10},
    ),
    "openai_responses": (RESPONSES, {"model": "gpt", "input": "hi", "max_output_tokens": 10}),
    "anthropic_messages": (
        MESSAGES,
        {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10},
    ),
    "gemini_generate": (
        Door(
            operation=Operation.CHAT,
            dialect="gemini_generate",
            model="gpt",
            verb="generateContent",
            is_stream=False,
        ),
        {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"maxOutputTokens": 10},
        },
    ),
    "bedrock_converse": (
        Door(operation=Operation.CHAT, dialect="bedrock_converse", model="gpt", is_stream=False),
        {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "inferenceConfig": {"maxTokens": 10}},
    ),
    "cohere_chat": (
        Door(operation=Operation.CHAT, dialect="cohere_chat"),
        {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10},
    ),
}
ANSWERED = json.dumps(
    {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
).encode()  # fmt: skip
WITH_USAGE = [*FRAMES[:1], FRAMES[1].replace(b"data: [DONE]", b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\ndata: [DONE]')]  # fmt: skip # noqa: E501


@cache
def configured() -> tuple[Plugins, Snapshot]:
    plugins = load_plugins()
    return plugins, compile_config(load(CONFIG), plugins.providers)


class Bank(World):
    """A house whose counters can be looked at, and which many calls are made to."""

    def __init__(self, *answers: Any, **key: Any) -> None:
        super().__init__(*answers, config=CONFIG)
        self.clock = FakeClock()
        self.counters: MemoryCounters = counters(self.clock)
        self.house_scopes = HouseScopes()
        self.key: dict[str, Any] = {"routes": ("*",)} | key
        self.built = self.house()

    async def open(
        self, target: Target, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> Answer:
        self.requests.append(request)
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        self.given.append(answer)
        return answer

    def configured(self) -> tuple[Plugins, Snapshot]:
        """The plugins, and the configuration that the house is of."""
        return configured()

    def house(self) -> House:
        plugins, snapshot = self.configured()
        keyring = Keyring(PEPPER)
        keyring.learn([VirtualKey(id="key_1", name="ci", digest=key_digest(PEPPER, KEY), **self.key)])
        keyring.set_loaded()
        keyring.set_freshness(is_fresh=True)
        stand_in: Any = self
        target: Any = object()
        bindings = {name: Binding(up, target, None) for name, up in snapshot.providers.items()}
        return House(
            snapshot=snapshot,
            workbench=workbench(plugins.dialects, self.clock),
            models=ModelBook(snapshot, plugins.dialects, find_way),
            keyring=keyring,
            dispatcher=Dispatcher(stand_in, stand_in, self.clock, bindings, turnstile(self.clock)),
            **rooms(snapshot, self.clock, self.counters, self.house_scopes),
            accountant=Accountant(stand_in, [stand_in], self.clock, self.counters),
            clock=self.clock,
            report=lambda _, defect: self.defects.append(defect),
        )

    def ask(self, door: Door = CHAT, headers: Mapping[str, str] | None = None, **body: Any) -> FakeReply:
        """One call, to its end."""
        return asyncio.run(self.asked(door, headers, **body))

    async def asked(
        self, door: Door = CHAT, headers: Mapping[str, str] | None = None, path: str = "", **body: Any
    ) -> FakeReply:
        reply = FakeReply()
        await serve(self.built, door, request(body, headers, path), reply)
        for task in [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            await task
        assert self.defects == []
        return reply

    def spent(self, scope: str, period: str = "total") -> int:
        """What a purse has been charged, and nothing may be held back any more."""
        figures = self.counters.purse(f"purse/{scope}/{period}")
        assert figures.held_nanousd == 0
        return figures.spent_nanousd

    @property
    def last(self) -> ExchangeRecord:
        return self.settled[-1]


def request(body: Mapping[str, Any], headers: Mapping[str, str] | None = None, path: str = "") -> FakeRequest:
    known = {b"authorization": f"Bearer {KEY}".encode()}
    made = FakeRequest(
        json.dumps(body).encode(), known | {k.encode(): v.encode() for k, v in (headers or {}).items()}
    )
    made.path = path or made.path
    return made


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10, **more}


def bound(body: Mapping[str, Any], output_tokens: int = 10) -> int:
    return len(json.dumps(body)) * 1_000 + output_tokens * 100_000


def good(count: int = 1) -> list[FakeAnswer]:
    return [FakeAnswer([ANSWERED]) for _ in range(count)]
