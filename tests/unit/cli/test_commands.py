"""What each command prints and which status it leaves with."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tollhouse.adapters.journal import FileJournal
from tollhouse.cli.main import run
from tollhouse.core.exchange import AttemptRecord, Caller, ExchangeRecord, Outcome, Settlement
from tollhouse.core.operation import Operation
from tollhouse.core.usage import Usage

CONFIG = """
version: 1
providers:
  up: {kind: openai_compatible, base_url: http://127.0.0.1:9/v1, credential: env:CLI_TEST_KEY}
routes:
  gpt: {deployments: [{provider: up, model: m}]}
keys:
  - {name: declared, sha256: 5d0c3c1f2c7b8f0e6a1d4b9e8f7a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a, routes: [gpt]}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLI_TEST_KEY", "sk-not-shown-anywhere")
    monkeypatch.delenv("TOLLHOUSE_CONFIG", raising=False)
    monkeypatch.delenv("TOLLHOUSE_MASTER_KEY", raising=False)
    path = tmp_path / "tollhouse.yaml"
    path.write_text(CONFIG)
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int = 0) -> str:
    """Standard output of a command that leaves with this status."""
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == status, capsys.readouterr().err
    return capsys.readouterr().out


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int) -> str:
    """Standard error of a command that fails."""
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == status
    return capsys.readouterr().err


def exchange(number: int, **fields: Any) -> ExchangeRecord:
    row: dict[str, Any] = {
        "id": f"req_{number:012x}", "at": 1_800_000_000.0 + number, "operation": Operation.CHAT,
        "door": "POST /v1/chat/completions", "caller": Caller(key_id="key_1", key_name="[red]=alice", peer="127.0.0.1"),
        "route": "gpt", "model": "gpt", "provider": "up", "deployment": "up/m", "outcome": Outcome.OK, "status": 200,
        "usage": Usage(input_uncached_tokens=10, output_text_tokens=5), "duration_s": 0.5,
        "attempts": (AttemptRecord(number=1, deployment="up/m", provider="up", model="m", at=1.0, outcome=Outcome.OK),),
    }  # fmt: skip
    return ExchangeRecord(**{**row, **fields})


def written(config: Path, *records: ExchangeRecord) -> None:
    """Put settled exchanges into the journal, as a worker that has ended would have."""

    async def write() -> None:
        journal = FileJournal(config.parent / "tollhouse-journal", "w1")
        for record in records:
            journal.note(Settlement(exchange=record))
        journal.close()

    asyncio.run(write())


# -- check


def test_check_finds_nothing_wrong(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "fine, 1 providers, 1 routes, hash " in said(capsys, "check", config)
    document = json.loads(said(capsys, "check", config, "--json"))
    assert (document["ok"], document["problems"]) == (True, [])


def test_check_tells_every_problem_with_its_place(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("version: 1\nprovidres: {}\nserver: {listen: nowhere, workers: 4000}\n")
    text = complaint(capsys, "check", config, status=1)
    assert "Did you mean `providers`?" in text
    assert f"{config}:3: server.listen" in text
    assert "server.workers" in text
    document = json.loads(said(capsys, "check", config, "--json", status=1))
    assert len(document["problems"]) >= 3
    assert {problem["path"] for problem in document["problems"]} >= {"server.listen", "server.workers"}


def test_check_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(said(capsys, "check", "--schema"))
    assert "providers" in json.dumps(schema)


def test_check_finds_the_file_as_every_command_does(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    assert "tollhouse.yaml: fine" in said(capsys, "check")
    assert "fine" in said(capsys, "check", "--config", config)
    monkeypatch.setenv("TOLLHOUSE_STORE", "mysql://nobody")
    assert "TOLLHOUSE_STORE" in complaint(capsys, "check", status=1)


def test_check_wants_a_file_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no configuration file" in complaint(capsys, "check", tmp_path / "nowhere.yaml", status=1)


# -- keys


def test_key_is_made_shown_once_listed_and_revoked(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(
        said(capsys, "keys", "create", "--name", "app", "--route", "gpt", "--route", "text-*", "--team", "search",
             "--expires", "30d", "--json", "--config", config)
    )  # fmt: skip
    assert set(made) == {"id", "key"}
    listed = {
        row["id"]: row for row in json.loads(said(capsys, "keys", "list", "--json", "--config", config))
    }
    row = listed[made["id"]]
    assert (row["name"], row["team"], row["routes"], row["state"]) == (
        "app",
        "search",
        ["gpt", "text-*"],
        "active",
    )
    assert listed["cfg-declared"]["state"] == "active"
    assert made["key"] not in json.dumps(listed)
    assert made["key"] not in said(capsys, "keys", "list", "--config", config)
    assert f"revoked {made['id']}" in said(capsys, "keys", "revoke", made["id"], "--config", config)
    listed = {
        row["id"]: row for row in json.loads(said(capsys, "keys", "list", "--json", "--config", config))
    }
    assert listed[made["id"]]["state"] == "revoked"


def test_key_is_shown_unwrapped_to_people(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "keys", "create", "--name", "app", "--config", config).splitlines()
    assert lines[1].startswith("key  sk-th-")
    assert len(lines[1]) == len("key  ") + 55


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (("create", "--name", "a", "--expires", "soon"), 2, "not a duration"),
        (("create", "--name", ""), 2, "1 to 100"),
        (("create",), 2, ""),
        (("revoke", "key_nobody"), 1, "no key"),
        (("revoke", "cfg-declared"), 1, "declared in the configuration"),
    ],
)
def test_wrong_key_command_says_why(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, expected: str
) -> None:
    assert expected in complaint(capsys, "keys", *arguments, "--config", config, status=status)


def test_key_that_cannot_be_shown_is_revoked_again(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout.write", full)
        assert run(["keys", "create", "--name", "lost", "--config", str(config)]) == 3
    keys = json.loads(said(capsys, "keys", "list", "--json", "--config", config))
    assert {key["name"]: key["state"] for key in keys} == {"declared": "active", "lost": "revoked"}


# -- the book


def test_requests_are_shown_newest_first_one_object_a_line(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = exchange(2, outcome=Outcome.TIMEOUT, status=504, error="timeout_idle", usage=None)
    written(config, exchange(1), failed, exchange(3))
    rows = [json.loads(line) for line in said(capsys, "requests", "--json", "--config", config).splitlines()]
    assert [row["id"] for row in rows] == [f"req_{n:012x}" for n in (3, 2, 1)]
    contract = {
        "id",
        "at",
        "key_id",
        "route",
        "deployment",
        "outcome",
        "status",
        "attempts",
        "usage",
        "cost_nanousd",
    }
    assert contract <= set(rows[0])
    assert rows[0]["usage"]["input_tokens"] == 10
    assert rows[0]["at"] == "2027-01-15T08:00:03.000Z"
    assert (rows[1]["usage"], rows[1]["cost_nanousd"]) == (None, None)
    assert len(said(capsys, "requests", "--json", "--limit", "2", "--config", config).splitlines()) == 2


def test_requests_table_does_not_act_on_what_strangers_wrote(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(config, exchange(1, route=None, model="\x1b[2J[bold]evil"))
    text = said(capsys, "requests", "--config", config)
    assert "\x1b" not in text
    assert "[bold]evil" in text
    assert "[red]=alice" in text


def test_requests_takes_a_sensible_limit(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--limit" in complaint(capsys, "requests", "--limit", "0", "--config", config, status=2)


def test_usage_sums_up_and_does_not_take_unknown_for_zero(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(config, exchange(1), exchange(2), exchange(3, route="dark", usage=None))
    rows = {
        row["route"]: row
        for row in json.loads(said(capsys, "usage", "--by", "route", "--json", "--config", config))
    }
    assert (rows["gpt"]["requests"], rows["gpt"]["input_tokens"], rows["gpt"]["output_tokens"]) == (2, 20, 10)
    assert rows["dark"]["input_tokens"] is None
    assert rows["dark"]["requests_without_usage"] == 1
    assert "unknown" in said(capsys, "usage", "--by", "route", "--config", config)


def test_usage_as_csv_is_no_formula(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(config, exchange(1, caller=Caller(key_id="k", key_name="=cmd()")))
    head, row = list(csv.reader(io.StringIO(said(capsys, "usage", "--csv", "--config", config))))
    assert (head[0], row[0]) == ("key", "'=cmd()")
    assert "cannot be had at once" in complaint(
        capsys, "usage", "--csv", "--json", "--config", config, status=2
    )


# -- the rest


def test_missing_configuration_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOLLHOUSE_CONFIG", raising=False)
    assert "--config FILE or TOLLHOUSE_CONFIG" in complaint(capsys, "requests", status=1)


def test_configuration_is_found_by_the_environment(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLHOUSE_CONFIG", str(config))
    assert json.loads(said(capsys, "keys", "list", "--json"))


def test_store_can_be_named_by_the_environment(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLHOUSE_STORE", "sqlite:///other.db")
    said(capsys, "keys", "create", "--name", "a", "--config", config)
    assert (config.parent / "other.db").is_file()
    assert not (config.parent / "tollhouse.db").exists()


def test_broken_store_leaves_with_3_and_is_not_touched(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = config.parent / "tollhouse.db"
    database.write_bytes(b"this is no database, and it stays as it is" * 100)
    before = database.read_bytes()
    assert "tollhouse: " in complaint(capsys, "keys", "list", "--config", config, status=3)
    assert database.read_bytes() == before


def test_unreadable_master_key_leaves_with_3(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "list", "--config", config)
    (config.parent / "tollhouse.master-key").chmod(0o644)
    assert "chmod 600" in complaint(capsys, "keys", "list", "--config", config, status=3)


def test_wrong_configuration_leaves_with_1_everywhere(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("version: 7\n")
    for command in ("requests", "usage", "serve"):
        assert "version" in complaint(capsys, command, "--config", config, status=1)


def test_unresolved_secret_keeps_the_house_closed(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLI_TEST_KEY")
    assert "providers.up.credential" in complaint(capsys, "serve", "--config", config, status=1)


@pytest.mark.parametrize(
    "arguments", [("nothing",), ("keys", "nothing"), ("requests", "--nope"), ("usage", "--by", "moon")]
)
def test_wrong_usage_leaves_with_2(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(list(arguments)) == 2


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("keys", "create", "--help"), ("serve", "--help")]
)
def test_help_and_version_are_done(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    text = said(capsys, *arguments)
    assert "tollhouse" in text
    assert "sk-th-" not in text


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:99999", "8080"])
def test_wrong_address_is_wrong_usage(config: Path, capsys: pytest.CaptureFixture[str], listen: str) -> None:
    assert "--listen" in complaint(capsys, "serve", "--listen", listen, "--config", config, status=2)
    assert "--listen" in complaint(capsys, "mock", "--listen", listen, status=2)


# -- doctor


def findings(capsys: pytest.CaptureFixture[str], config: Path, status: int) -> dict[str, dict[str, str]]:
    document = json.loads(said(capsys, "doctor", "--json", "--config", config, status=status))
    assert document["ok"] is (status == 0)
    return {finding["subject"]: finding for finding in document["findings"]}


def test_doctor_names_what_is_missing_and_the_cure(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLI_TEST_KEY")
    found = findings(capsys, config, status=1)
    assert found["secrets"]["state"] == "failed"
    assert found["provider up"]["state"] == "failed"
    assert found["provider up"]["cure"]
    assert found["store"]["state"] == "ok"


def test_doctor_sees_a_wrong_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("version: 7\n")
    assert findings(capsys, config, status=1)["configuration"]["state"] == "failed"


def test_doctor_is_content_with_what_is_in_order(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tollhouse.testing import ScriptedUpstream

    with ScriptedUpstream() as upstream:
        config.write_text(CONFIG.replace("http://127.0.0.1:9/v1", upstream.base_url))
        found = findings(capsys, config, status=0)
        assert {finding["state"] for finding in found.values()} <= {"ok", "warning"}
        assert "reached in" in found["provider up"]["detail"]
        assert upstream.count == 0
        assert "Doctor" in said(capsys, "doctor", "--config", config)
