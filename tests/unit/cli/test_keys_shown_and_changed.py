"""The verbs of `tollhouse keys`: what they take, what they show, and what they never show."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tollhouse.cli.key_options import REMOVABLE
from tollhouse.cli.key_views import usd
from tollhouse.cli.main import run
from tollhouse.core.limits import Limits

CONFIG = """
version: 1
providers: {up: {kind: openai_compatible, base_url: "http://127.0.0.1:9/v1"}}
routes: {gpt: {deployments: [{provider: up, model: m}]}}
keys:
  - name: declared
    sha256: 5d0c3c1f2c7b8f0e6a1d4b9e8f7a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a
    routes: [gpt]
    expires: 2027-01-01
    networks: [10.0.0.0/8]
    tags: [ci]
"""
EVERYTHING = (
    "--route", "gpt", "--route", "text-*", "--team", "search", "--expires", "2027-06-01",
    "--budget-usd", "2.5", "--budget-period", "month", "--budget-timezone", "Europe/Berlin", "--on-low-budget", "clamp",
    "--requests-per-minute", "60", "--tokens-per-minute", "1000", "--input-tokens-per-minute", "800",
    "--output-tokens-per-minute", "200", "--concurrency", "4", "--max-body-bytes", "1000000",
    "--network", "10.0.0.0/8", "--network", "fd00::/8", "--hours", "Mon-Fri 08:00-18:00 Europe/Berlin",
    "--door", "chat", "--tag", "a", "--tag", "b", "--max-output-tokens", "100", "--metadata", "owner=a=b",
)  # fmt: skip


class Shell:
    """Runs commands over one configuration."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._config = config
        self._capsys = capsys

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """What it said; of a command that is to fail, on standard error."""
        self._capsys.readouterr()
        left = run(["keys", *arguments, "--config", str(self._config)])
        out, err = self._capsys.readouterr()
        assert left == status, err
        return out if status == 0 else err

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    for name in ("TOLLHOUSE_CONFIG", "TOLLHOUSE_MASTER_KEY", "TOLLHOUSE_STORE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "tollhouse.yaml"
    path.write_text(CONFIG)
    return Shell(path, capsys)


def test_everything_that_was_said_is_shown_again(keys: Shell) -> None:
    made = keys.json("create", "--name", "app", *EVERYTHING)
    assert set(made) == {"id", "key"}
    key = keys.json("show", made["id"])
    assert {name: key[name] for name in ("name", "team", "routes", "expires_at", "state")} == {
        "name": "app", "team": "search", "routes": ["gpt", "text-*"], "expires_at": "2027-06-01T00:00:00.000Z",
        "state": "active",
    }  # fmt: skip
    assert key["limits"] == {
        "requests_per_minute": 60, "tokens_per_minute": 1000, "input_tokens_per_minute": 800,
        "output_tokens_per_minute": 200, "concurrency": 4, "max_body_bytes": 1_000_000,
    }  # fmt: skip
    assert key["budget"] == {
        "usd": 2.5, "period": "month", "timezone": "Europe/Berlin", "hard": True, "on_low_budget": "clamp",
        "alerts_percent": [80, 100],
    }  # fmt: skip
    assert key["spent_nanousd"] == 0
    assert (key["networks"], key["doors"], key["tags"]) == (["10.0.0.0/8", "fd00::/8"], ["chat"], ["a", "b"])
    assert (key["hours"], key["max_output_tokens"]) == (["Mon-Fri 08:00-18:00 Europe/Berlin"], 100)
    assert key["metadata"] == {"owner": "a=b"}
    text = keys("show", made["id"])
    for shown in ("2.50 USD, month, Europe/Berlin, hard, 0.00 USD of it spent", "10.0.0.0/8 fd00::/8", "a=b"):
        assert shown in text


def test_every_limit_has_an_option(keys: Shell) -> None:
    for name in Limits.__struct_fields__:
        option = name.replace("_", "-")
        made = keys.json("create", "--name", "app", f"--{option}", "7")
        assert keys.json("show", made["id"])["limits"] == {name: 7}
        assert keys.json("edit", made["id"], "--without", option)["limits"] == {}


def test_text_of_a_key_is_shown_by_the_command_that_made_it_and_by_no_other(keys: Shell) -> None:
    made = keys.json("create", "--name", "app", "--route", "gpt")
    rotated = keys.json("rotate", made["id"], "--grace", "24h")
    said = [
        keys("list"), keys("list", "--json"), keys("show", made["id"]), keys("show", made["id"], "--json"),
        keys("edit", made["id"], "--tag", "a", "--json"), keys("disable", made["id"], "--json"),
        keys("enable", made["id"]), keys("revoke", made["id"], "--json"),
    ]  # fmt: skip
    for text in (made["key"], rotated["key"], made["key"][6:40]):
        assert not any(text in each for each in said)


def test_edit_changes_what_is_named_and_nothing_else(keys: Shell) -> None:
    made = keys.json("create", "--name", "app", *EVERYTHING)
    before = keys.json("show", made["id"])
    after = keys.json(
        "edit", made["id"], "--name", "other", "--tag", "c", "--concurrency", "9", "--budget-usd", "3"
    )
    spent = before.pop("spent_nanousd")
    assert spent == 0
    expected = {
        **before,
        "name": "other",
        "tags": ["c"],
        "limits": {**before["limits"], "concurrency": 9},
        "budget": {**before["budget"], "usd": 3.0},
    }
    assert after == expected


def test_everything_that_can_be_taken_away_is(keys: Shell) -> None:
    made = keys.json("create", "--name", "app", *EVERYTHING)
    bare = keys.json("show", keys.json("create", "--name", "app")["id"])
    without = [flag for name in REMOVABLE for flag in ("--without", name)]
    after = keys.json("edit", made["id"], *without)
    for key in (after, bare):
        for varying in ("id", "hint", "created_at"):
            del key[varying]
    bare.pop("spent_nanousd")
    assert after == bare


def test_rotation_says_until_when_the_text_before_opens(keys: Shell) -> None:
    made = keys.json("create", "--name", "app", "--route", "gpt")
    rotated = keys.json("rotate", made["id"], "--grace", "24h")
    assert set(rotated) == {"id", "key", "former_text_until"}
    assert keys.json("show", made["id"])["former_text_until"] == rotated["former_text_until"]
    assert set(keys.json("rotate", made["id"])) == {"id", "key"}
    assert "opens until" in keys("rotate", made["id"], "--grace", "1h")


def test_key_whose_new_text_cannot_be_shown_has_its_former_one_again(
    keys: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str) -> int:
        raise OSError(28, "No space left on device")

    made = keys.json("create", "--name", "app", "--route", "gpt")
    hint = keys.json("show", made["id"])["hint"]
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout.write", full)
        assert "its former one again" in keys("rotate", made["id"], status=3)
    after = keys.json("show", made["id"])
    assert (after["hint"], after["former_text_until"]) == (hint, None)


def test_states_are_told_apart(keys: Shell) -> None:
    made = keys.json("create", "--name", "app")["id"]
    assert keys.json("disable", made)["state"] == "disabled"
    assert keys.json("enable", made)["state"] == "active"
    assert keys.json("edit", made, "--expires", "2020-01-01")["state"] == "expired"
    assert keys.json("revoke", made)["state"] == "revoked"
    assert keys.json("revoke", made)["state"] == "revoked"
    assert "revoked, for good" in keys("enable", made, status=1)
    assert "revoked, for good" in keys("rotate", made, status=1)


def test_declared_key_is_shown_with_all_its_fields_and_changed_elsewhere(keys: Shell) -> None:
    key = keys.json("show", "cfg-declared")
    assert (key["expires_at"], key["networks"], key["tags"]) == (
        "2027-01-01T00:00:00.000Z",
        ["10.0.0.0/8"],
        ["ci"],
    )
    assert "tollhouse reload" in keys("edit", "cfg-declared", "--tag", "a", status=1)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--expires", "2026-13-01"), "There is no"),
        (("--budget-usd", "a lot"), "no amount of money"),
        (("--budget-usd", "-1"), "no amount of money"),
        (("--budget-usd", "NaN"), "no amount of money"),
        (("--budget-usd", "0.0000000001"), "no amount of money"),
        (("--budget-period", "month"), "--budget-usd as well"),
        (("--soft-budget",), "--budget-usd as well"),
        (("--budget-usd", "1", "--budget-timezone", "Mars/Olympus"), "not a time zone"),
        (("--requests-per-minute", "0"), "at least 1"),
        (("--network", "10.0.0.1/8"), "no network"),
        (("--hours", "8 to 5"), "no times of the day"),
        (("--hours", "Mon Europe/Atlantis"), "not a time zone"),
        (("--door", "cellar"), "chat"),
        (("--tag", "two words"), "no name"),
        (("--team", "two words"), "no name"),
        (("--route", "two words"), "no route"),
        (("--metadata", "owner"), "NAME=TEXT"),
    ],
)
def test_wrong_option_is_told_with_what_to_write(
    keys: Shell, arguments: tuple[str, ...], expected: str
) -> None:
    assert expected in keys("create", "--name", "app", *arguments, status=2)
    assert keys.json("list")[1:] == []


def test_what_no_key_can_be_without_is_told(keys: Shell) -> None:
    made = keys.json("create", "--name", "app")["id"]
    assert "requests-per-minute" in keys("edit", made, "--without", "name", status=2)


@pytest.mark.parametrize("verb", ["show", "edit", "rotate", "disable", "enable", "revoke"])
def test_key_that_is_not_there_is_told(keys: Shell, verb: str) -> None:
    assert "There is no key" in keys(verb, "key_nobody", status=1)


def test_money_is_shown_to_the_cent_and_further_where_there_is_more() -> None:
    assert [usd(nano) for nano in (0, 10**9, 1_500_000_000, 1, 12_345_678_901)] == [
        "0.00 USD", "1.00 USD", "1.50 USD", "0.000000001 USD", "12.345678901 USD",
    ]  # fmt: skip


# -- import


def line(text: str, **more: object) -> str:
    return json.dumps({"name": text, "sha256": sha256(text.encode()).hexdigest(), **more}) + "\n"


def test_file_of_keys_is_imported_once(keys: Shell, tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_text(line("one", routes=["gpt"]) + "\n" + line("two", team="search"))
    done = keys.json("import", str(file))
    assert (done["added"], done["already_here"], done["wrong"], done["problems"]) == (2, 0, 0, [])
    assert "0 keys added, 2 were here already" in keys("import", str(file))
    assert {row["name"] for row in keys.json("list")} == {"declared", "one", "two"}


def test_wrong_lines_are_named_and_the_rest_is_imported(keys: Shell, tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_text("nonsense\n" + line("one"))
    assert f"{file}:1: " in keys("import", str(file), status=1)
    assert {row["name"] for row in keys.json("list")} == {"declared", "one"}


def test_file_that_is_not_there_is_told(keys: Shell, tmp_path: Path) -> None:
    assert "cannot be read" in keys("import", str(tmp_path / "nowhere.jsonl"), status=1)
