"""The table of shortcomings speaks of specifications that exist."""

from __future__ import annotations

from contract.transport import test_calls, test_fate, test_proxy, test_tls
from contract.transport.shortcomings import AIOHTTP


def test_shortcoming_names_a_specification() -> None:
    known = {name for module in (test_calls, test_fate, test_proxy, test_tls) for name in vars(module)}
    assert {name.partition("[")[0] for name in AIOHTTP} <= known
