"""`tollhouse mock`: the scripted provider alone."""

from __future__ import annotations

import asyncio
import signal

from tollhouse.bootstrap import mock_server
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import line
from tollhouse.config.address import Listen, parse_listen


def mock(*, listen: str = "127.0.0.1:8901", require_key: str | None = None) -> int:
    """Run the mock provider: OpenAI-shaped, no account, no network, faults on demand.

    Parameters
    ----------
    listen
        HOST:PORT; port 0 takes a free one and prints it.
    require_key
        The bearer credential it demands; any, if not given.
    """
    try:
        address = parse_listen(listen)
    except ValueError as error:
        raise CommandFailed(ExitStatus.USAGE, f"--listen: {error}") from error
    try:
        asyncio.run(_run(address, require_key))
    except OSError as error:
        raise CommandFailed(
            ExitStatus.ENVIRONMENT, f"Cannot listen on {listen}: {error.strerror or error}."
        ) from error
    return ExitStatus.DONE


async def _run(address: Listen, require_key: str | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with mock_server(address.host, address.port, require_key=require_key) as server:
        line(f"mock provider at {server.base_url}")
        await stop.wait()
