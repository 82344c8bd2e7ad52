"""The front's contract holds on both event loops."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from contract.http_front.front import Run


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine to its end in a loop of its own."""
    runner: Run = request.param
    return runner
