"""Every implementation of the counters. To add one: a `Rig`, and its line in `RIGS`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from contract.counters.redis_rig import RedisRig
from contract.counters.rig import MemoryRig, Rig
from redis_server import running_redis

RIGS: Final[dict[str, type[Rig]]] = {"memory": MemoryRig, "redis": RedisRig}
TIMED_RIGS: Final = {name: rig for name, rig in RIGS.items() if rig.has_time}
"""Those whose time the test moves; the others prove what depends on it by tests of their own."""


@pytest.fixture(scope="session")
def redis_is_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with running_redis(tmp_path_factory.mktemp("redis")) as RedisRig.server:
        yield


@pytest.fixture(params=RIGS.values(), ids=RIGS.keys())
def rig(request: pytest.FixtureRequest) -> Rig:
    if request.param is RedisRig:
        request.getfixturevalue("redis_is_running")
    made: Rig = request.param()
    return made


@pytest.fixture(params=TIMED_RIGS.values(), ids=TIMED_RIGS.keys())
def timed_rig(request: pytest.FixtureRequest) -> Rig:
    made: Rig = request.param()
    return made
