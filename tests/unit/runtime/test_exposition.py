"""The metrics of several workers are one text, and every number says whose it is."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tollhouse.adapters.prometheus import Family, PrometheusSink
from tollhouse.core.exchange import AttemptRecord, ExchangeRecord, Outcome
from tollhouse.core.operation import Operation
from tollhouse.runtime.exposition import joined


def exposition(calls: int) -> bytes:
    """What one worker with so many calls behind it tells."""
    sink = PrometheusSink()
    for number in range(calls):
        sink.write(
            ExchangeRecord(
                id=f"r{number}",
                at=1.0,
                operation=Operation.CHAT,
                route='gp"t {x}\\',
                outcome=Outcome.OK,
                duration_s=0.1,
                attempts=(
                    AttemptRecord(
                        number=1, deployment="up/m", provider="up", model="m", at=1.0, outcome=Outcome.OK
                    ),
                ),
            )
        )
    sink.watch(
        lambda: {"connections": calls, "uptime_seconds": 1.5}, prefix="tollhouse_", counters=frozenset()
    )
    row = (("up/m",), float(calls))
    family = Family(name="deployment_limit", about="Calls there may be.", labels=("deployment",), rows=[row])
    sink.watch_families(lambda: [family], prefix="tollhouse_")
    return sink.exposition()


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_sample_of_every_worker_is_there_under_its_number_and_nothing_else_is() -> None:
    alone = {0: exposition(3), 1: exposition(0), 7: exposition(5)}
    expected = {
        (name, tuple(sorted([*labels, ("worker", str(number))]))): value
        for number, text in alone.items()
        for (name, labels), value in samples(text).items()
    }
    expected["tollhouse_workers", ()] = 8
    expected["tollhouse_workers_left_out", ()] = 5
    assert samples(joined(alone, 8)) == expected


def test_each_family_stands_in_one_place_with_one_head() -> None:
    text = joined({number: exposition(number) for number in range(4)}, 4).decode()
    lines = text.splitlines()
    heads = [line.split(" ", 3)[:3] for line in lines if line.startswith("#")]
    assert len({tuple(head) for head in heads}) == len(heads)
    names = [line.split(" ", 3)[2] for line in lines if line.startswith("# TYPE ")]
    assert len(names) == len(set(names))
    assert text.endswith("\n")
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families), "none is torn in two"


def test_house_none_of_whose_workers_says_anything_tells_that() -> None:
    assert samples(joined({}, 4)) == {("tollhouse_workers", ()): 4, ("tollhouse_workers_left_out", ()): 4}
