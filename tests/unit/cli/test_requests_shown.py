"""An exchange as its public JSON: every bucket, both sums, and what the upstream was not told."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tollhouse.cli.commands.requests import _cells, shown, shown_usage
from tollhouse.core.exchange import ExchangeRecord
from tollhouse.core.operation import Operation
from tollhouse.core.usage import Usage

EXCHANGE = ExchangeRecord(id="req_1", at=1.0, operation=Operation.CHAT)


def test_every_bucket_is_shown_beside_the_sums() -> None:
    names = [name for name in Usage.__struct_fields__ if name != "source"]
    usage = Usage(**{name: 2**place for place, name in enumerate(names)})
    row = shown_usage(usage)
    assert {name: row[name] for name in names} == {name: getattr(usage, name) for name in names}
    assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert row["input_tokens"] == sum(getattr(usage, name) for name in names if name.startswith("input_"))


def test_what_was_dropped_is_a_list_of_the_callers_words() -> None:
    assert shown(EXCHANGE)["dropped"] == []
    told = ExchangeRecord(id="req_1", at=1.0, operation=Operation.CHAT, dropped=("seed", "tools[].strict"))
    assert shown(told)["dropped"] == ["seed", "tools[].strict"]


@pytest.mark.parametrize(
    ("marks", "route"),
    [({}, "gpt"), ({"mirrors": "req_0"}, "gpt (copy)"), ({"replays": "req_0"}, "gpt (repeat)")],
)
def test_copies_and_repeats_are_told_from_calls_of_their_own(marks: dict[str, str], route: str) -> None:
    exchange = replace(EXCHANGE, route="gpt", **marks)
    row = shown(exchange)
    assert (row["mirrors"], row["replays"]) == (marks.get("mirrors"), marks.get("replays"))
    assert route in _cells(exchange)
