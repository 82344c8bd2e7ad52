"""Every way of keeping answers. To add one: a `Rig`, and its line in `RIGS`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from contract.answers.redis_rig import RedisRig
from contract.answers.rig import LocalRig, Rig
from redis_server import running_redis

RIGS: Final[dict[str, type[Rig]]] = {"local": LocalRig, "redis": RedisRig}


@pytest.fixture(scope="session")
def answers_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with running_redis(tmp_path_factory.mktemp("redis")) as RedisRig.server:
        yield


@pytest.fixture(params=RIGS.values(), ids=RIGS.keys())
def rig(request: pytest.FixtureRequest) -> Rig:
    if request.param is RedisRig:
        request.getfixturevalue("answers_redis")
    made: Rig = request.param()
    return made
