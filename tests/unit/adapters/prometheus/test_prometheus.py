"""What a scraper reads is what happened, under labels that cannot grow without bound."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tollhouse.adapters.prometheus import Family, PrometheusSink
from tollhouse.core.exchange import AttemptRecord, Caller, ExchangeRecord, Outcome
from tollhouse.core.operation import Operation
from tollhouse.core.usage import Usage


def record(**more: object) -> ExchangeRecord:
    fields: dict[str, object] = {
        "id": "req_1", "at": 1.0, "operation": Operation.CHAT, "route": "gpt", "outcome": Outcome.OK,
        "duration_s": 0.2, "first_byte_s": 0.1, "caller": Caller(key_id="key_secret", key_name="alice"),
        "model": "gpt", "usage": Usage(input_uncached_tokens=7, output_text_tokens=5),
        "attempts": (AttemptRecord(number=1, deployment="up/m", provider="up", model="m", at=1.0, outcome=Outcome.OK),),
    }  # fmt: skip
    return ExchangeRecord(**{**fields, **more})  # type: ignore[arg-type]


def lines(sink: PrometheusSink) -> dict[str, float]:
    text = sink.exposition().decode()
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }


def test_exchanges_attempts_and_tokens_are_counted() -> None:
    sink = PrometheusSink()
    sink.write(record())
    sink.write(record(outcome=Outcome.TIMEOUT, error="timeout_idle", usage=None))
    found = lines(sink)
    assert found['tollhouse_exchanges_total{code="",operation="chat",outcome="ok",route="gpt"}'] == 1
    assert (
        found['tollhouse_exchanges_total{code="timeout_idle",operation="chat",outcome="timeout",route="gpt"}']
        == 1
    )
    assert found['tollhouse_attempts_total{code="",deployment="up/m",outcome="ok"}'] == 2
    assert found['tollhouse_tokens_total{direction="input",route="gpt"}'] == 7
    assert found['tollhouse_exchange_duration_seconds_count{route="gpt"}'] == 2


def test_callers_and_model_names_never_become_labels() -> None:
    sink = PrometheusSink()
    for number in range(50):
        sink.write(record(id=f"req_{number}", model=f"made-up-{number}", route=None, attempts=(), usage=None))
    text = sink.exposition().decode()
    assert "made-up" not in text
    assert "alice" not in text
    assert "key_secret" not in text


def test_watched_numbers_are_read_at_each_scrape() -> None:
    sink = PrometheusSink()
    numbers = {"connections": 1.0, "entries": 5.0}
    sink.watch(lambda: numbers, prefix="tollhouse_", counters=frozenset({"entries"}))
    assert lines(sink)["tollhouse_connections"] == 1
    numbers["connections"] = 2.0
    assert lines(sink)["tollhouse_connections"] == 2
    assert lines(sink)["tollhouse_entries_total"] == 5


def test_copies_are_counted_apart_from_callers_and_their_cost_with_everybodys() -> None:
    sink = PrometheusSink()
    sink.write(record())
    sink.write(record(id="req_2", mirrors="req_1", duration_s=99.0))
    sink.write(record(id="req_3", mirrors="req_1", outcome=Outcome.CUT, usage=None))
    found = lines(sink)
    assert found['tollhouse_mirrors_total{outcome="ok",route="gpt"}'] == 1
    assert found['tollhouse_mirrors_total{outcome="cut",route="gpt"}'] == 1
    assert found['tollhouse_exchanges_total{code="",operation="chat",outcome="ok",route="gpt"}'] == 1
    assert found['tollhouse_exchange_duration_seconds_count{route="gpt"}'] == 1
    assert found['tollhouse_first_byte_seconds_count{route="gpt"}'] == 1
    assert found['tollhouse_attempts_total{code="",deployment="up/m",outcome="ok"}'] == 3
    assert found['tollhouse_tokens_total{direction="input",route="gpt"}'] == 14


def test_families_are_read_at_each_scrape_and_whatever_their_labels_say_they_can_be_parsed() -> None:
    sink = PrometheusSink()
    names = ["plain", 'with "quotes"', "back\\slash", "two\nlines"]
    rows = [((name, "x"), float(number)) for number, name in enumerate(names)]
    sink.watch_families(
        lambda: [
            Family(name="waits", about="Calls that wait.", labels=("deployment", "kind"), rows=rows),
            Family(name="seen", about="Calls that came.", labels=(), rows=[((), len(rows))], is_counter=True),
        ],
        prefix="tollhouse_",
    )
    found = {family.name: family for family in text_string_to_metric_families(sink.exposition().decode())}
    waits, seen = found["tollhouse_waits"], found["tollhouse_seen"]
    assert (waits.type, waits.documentation) == ("gauge", "Calls that wait.")
    assert {(sample.labels["deployment"], sample.value) for sample in waits.samples} == {
        (name, number) for number, name in enumerate(names)
    }
    assert (seen.type, [(sample.name, sample.value) for sample in seen.samples]) == (
        "counter", [("tollhouse_seen_total", 4)]
    )  # fmt: skip
    rows.append((("another", "x"), 9.0))
    assert lines(sink)["tollhouse_seen_total"] == 5
