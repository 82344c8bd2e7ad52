"""Credentials from Vault and from the encrypted store, in a house that runs: they change, their sources go away, the
master key is rotated, and nobody who calls sees anything of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text
from secret_doubles import VaultDouble
from tollhouse.testing import CanaryScanner, ScriptedUpstream

pytestmark = pytest.mark.slow


FIRST = "sk-first-canary-3Kd8wQz7RtVb2mLx"
SECOND = "sk-second-canary-9Pf4hJn6TyCs1gWe"
OLD_MASTER = "7f3c9a1e5b8d2460fe91c7a35d08b64219e4"
NEW_MASTER = "c04e8b21d97f6a35b8120dfe4a9c63758d1b"


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def vault() -> Iterator[VaultDouble]:
    with VaultDouble(secret__openai={"key": FIRST}) as vault:
        yield vault


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Scanned when the test is over: no file of the house has ever held a credential or a master key in clear."""
    made = tmp_path / "house"
    made.mkdir()
    yield made
    canaries = {
        "first": FIRST,
        "second": SECOND,
        "old": OLD_MASTER,
        "new": NEW_MASTER,
        "vault": VaultDouble.TOKEN,
    }
    assert CanaryScanner(canaries).scan_tree(made) == []


def config_with(upstream: ScriptedUpstream, reference: str, **more: Any) -> str:
    up = {"kind": "openai_compatible", "base_url": upstream.base_url, "credential": reference}
    return config_text(upstream.base_url, providers={"up": up}, **{"secrets": {"refresh_s": 1}, **more})


def by_vault(folder: Path, upstream: ScriptedUpstream, vault: VaultDouble) -> House:
    env = {"VAULT_ADDR": vault.url, "VAULT_TOKEN": VaultDouble.TOKEN}
    return House(folder, config_with(upstream, "vault:secret/openai#key"), env)


def by_store(folder: Path, upstream: ScriptedUpstream, **env: str) -> House:
    return House(folder, config_with(upstream, "store:red/openai", secrets={"refresh_s": 3600}), env)


def put(house: House, value: str, *flags: str) -> dict[str, Any]:
    """`secrets set`, its value by standard input."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tollhouse",
            "secrets",
            "set",
            "openai",
            "--team",
            "red",
            "--json",
            *flags,
            "--config",
            str(house.config),
        ],
        input=value,
        capture_output=True,
        text=True,
        env=house.env,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert value not in done.stdout + done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def used(upstream: ScriptedUpstream) -> str:
    """The credential of the last call."""
    return str(upstream.received[-1].headers["authorization"]).removeprefix("Bearer ")


def wait_for(what: Callable[[], bool], patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def refused_start(house: House) -> str:
    """What `serve` says where it does not start."""
    done = house.run("serve", check=False)
    assert done.returncode in (1, 3), done.stderr
    assert not any(canary in done.stderr for canary in (FIRST, SECOND, OLD_MASTER, NEW_MASTER))
    return done.stderr


class Callers:
    """Some who call all the time, until they are told to stop."""

    def __init__(self, house: House, key: str) -> None:
        self.statuses: list[int] = []
        self._house = house
        self._key = key
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(2)]

    def _call(self) -> None:
        while not self._done.is_set():
            self.statuses.append(self._house.chat(self._key)[0])

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(30)


# -- Vault


def test_credential_that_was_rotated_in_vault_is_used_without_a_call_lost(
    folder: Path, upstream: ScriptedUpstream, vault: VaultDouble
) -> None:
    house = by_vault(folder, upstream, vault)
    house.start()
    key = house.new_key()
    assert house.chat(key)[0] == 200
    assert used(upstream) == FIRST
    with Callers(house, key) as callers:
        vault.secrets["secret/openai"] = {"key": SECOND}
        wait_for(lambda: used(upstream) == SECOND)
    assert set(callers.statuses) == {200}
    (event,) = [each for each in house.events() if each["event"] == "secrets_renewed"]
    assert event["references"] == "vault:secret/openai#key"
    scanner = CanaryScanner({"first": FIRST, "second": SECOND, "token": VaultDouble.TOKEN})
    assert scanner.scan_processes(house.worker_pids()) == []
    assert house.stop() == 0


def test_house_that_runs_goes_on_when_vault_goes_away(
    folder: Path, upstream: ScriptedUpstream, vault: VaultDouble
) -> None:
    house = by_vault(folder, upstream, vault)
    house.start()
    key = house.new_key()
    vault.status = 503
    wait_for(lambda: any(each["event"] == "secret_unavailable" for each in house.events()))
    assert house.chat(key)[0] == 200
    os.kill(house.worker_pids()[0], 9)
    wait_for(lambda: bool(house.worker_pids()) and house.chat(key)[0] == 200)
    assert used(upstream) == FIRST
    vault.status = None
    vault.secrets["secret/openai"] = {"key": SECOND}
    wait_for(lambda: house.chat(key)[0] == 200 and used(upstream) == SECOND)
    assert house.stop() == 0


@pytest.mark.parametrize("trouble", ["down", "failing", "slow"])
def test_fresh_start_without_vault_is_refused_unless_something_is_known(
    folder: Path, upstream: ScriptedUpstream, vault: VaultDouble, trouble: str
) -> None:
    house = by_vault(folder, upstream, vault)
    house.start()
    key = house.new_key()
    assert house.stop() == 0
    if trouble == "down":
        vault.stop()
    elif trouble == "failing":
        vault.status = 500
    else:
        vault.delay_s = 60.0
    house.start()
    assert house.chat(key)[0] == 200
    assert used(upstream) == FIRST
    assert "What it said last is used." in house.log.read_text()
    assert house.stop() == 0
    (folder / "tollhouse-journal" / "secrets.sealed").unlink()
    said = refused_start(house)
    assert "providers.up.credential" in said
    assert {"down": "cannot be reached", "failing": "status 500", "slow": "too slow"}[trouble] in said


def test_secret_that_vault_does_not_give_any_more_ends_no_call_and_starts_no_house(
    folder: Path, upstream: ScriptedUpstream, vault: VaultDouble
) -> None:
    house = by_vault(folder, upstream, vault)
    house.start()
    key = house.new_key()
    vault.forbidden.add("secret/openai")
    wait_for(lambda: any(each["event"] == "secret_unavailable" for each in house.events()))
    assert house.chat(key)[0] == 200
    assert house.stop() == 0
    assert "capability `read`" in refused_start(house)


# -- the encrypted store


def test_credential_of_the_store_counts_when_the_command_returns(
    folder: Path, upstream: ScriptedUpstream
) -> None:
    house = by_store(folder, upstream)
    assert "tollhouse secrets set openai --team red" in refused_start(house)
    put(house, FIRST)
    house.start()
    key = house.new_key()
    assert house.chat(key)[0] == 200
    assert used(upstream) == FIRST
    shown = put(house, SECOND + "\n")
    assert shown == shown | {"reference": "store:red/openai", "version": 2, "state": "ok"}
    assert house.chat(key)[0] == 200
    assert used(upstream) == SECOND
    listed = house.run("secrets", "list", "--json").stdout + house.run("secrets", "list").stdout
    listed += house.run("secrets", "show", "openai", "--team", "red").stdout
    assert shown["fingerprint"] in listed
    assert SECOND not in listed
    kept = house.run("secrets", "delete", "openai", "--team", "red", check=False)
    assert kept.returncode == 1
    assert "providers.up.credential" in kept.stderr
    house.config.write_text(config_with(upstream, "env:UP_KEY"))
    house.run("reload")
    house.run("secrets", "delete", "openai", "--team", "red")
    assert house.run("secrets", "show", "openai", "--team", "red", check=False).returncode == 1
    assert house.stop() == 0


@pytest.mark.parametrize("value", ["", " \n", "two\nlines"])
def test_value_that_is_none_is_refused(folder: Path, upstream: ScriptedUpstream, value: str) -> None:
    house = by_store(folder, upstream)
    with pytest.raises(AssertionError, match=r"standard input|several lines|is empty"):
        put(house, value)
    assert json.loads(house.run("secrets", "list", "--json").stdout) == []


def test_row_that_was_altered_ends_no_call_and_starts_no_house(
    folder: Path, upstream: ScriptedUpstream
) -> None:
    house = by_store(folder, upstream)
    put(house, FIRST)
    house.start()
    key = house.new_key()
    raw = sqlite3.connect(folder / "tollhouse.db", timeout=20)
    raw.execute("UPDATE secrets SET version = 7 WHERE name = 'openai'")
    raw.commit()
    raw.close()
    done = house.run("secrets", "list", "--json")
    assert "does not open" in json.loads(done.stdout)[0]["state"]
    assert house.chat(key)[0] == 200
    assert house.stop() == 0
    assert "not what the house has written" in refused_start(house)


# -- the master key


def test_master_key_in_a_file_is_rotated_under_load_without_an_error(
    folder: Path, upstream: ScriptedUpstream
) -> None:
    house = by_store(folder, upstream)
    put(house, FIRST)
    house.start()
    key = house.new_key()
    with Callers(house, key) as callers:
        for number in range(2):
            rotation = json.loads(house.run("secrets", "rotate-master", "--json").stdout)
            assert rotation["rewrapped"] == 2, "the credential and the pepper"
            assert rotation["still_needed"] == rotation["damaged"] == []
            put(house, (SECOND, FIRST)[number % 2])
            wait_for(lambda expected=(SECOND, FIRST)[number % 2]: used(upstream) == expected)
        told = len(callers.statuses)
        wait_for(lambda: len(callers.statuses) >= told + 20)
    assert set(callers.statuses) == {200}
    assert [each for each in house.events() if each["level"] == "error"] == []
    assert house.stop() == 0
    file = folder / "tollhouse.master-key"
    keys = file.read_text().splitlines()
    assert len(keys) == 3
    file.write_text(keys[0] + "\n")
    house.start()
    assert house.chat(key)[0] == 200, "keys outlive the master key that their pepper came from"
    assert house.chat(house.new_key())[0] == 200
    assert house.stop() == 0


def test_given_master_key_is_rotated_in_steps_and_missed_when_it_goes_too_early(
    folder: Path, upstream: ScriptedUpstream
) -> None:
    house = by_store(folder, upstream, TOLLHOUSE_MASTER_KEY=OLD_MASTER)
    put(house, FIRST)
    house.start()
    key = house.new_key()
    alone = house.run("secrets", "rotate-master", check=False)
    assert alone.returncode == 1
    assert "new:KEY,old:KEY" in alone.stderr
    assert house.stop() == 0

    house.env["TOLLHOUSE_MASTER_KEY"] = NEW_MASTER
    said = refused_start(house)
    assert "not the master key of this store" in said
    shutil.rmtree(folder / "tollhouse-journal")
    assert "not the master key of this store" in refused_start(house)

    house.env["TOLLHOUSE_MASTER_KEY"] = f"new:{NEW_MASTER},old:{OLD_MASTER}"
    house.start()
    assert house.chat(key)[0] == 200
    put(house, FIRST)
    rotation = json.loads(house.run("secrets", "rotate-master", "--json").stdout)
    assert (rotation["key"], rotation["not_needed"], rotation["still_needed"]) == ("new", ["old"], [])
    assert house.stop() == 0
    house.env["TOLLHOUSE_MASTER_KEY"] = NEW_MASTER
    house.start()
    assert house.chat(key)[0] == 200
    assert used(upstream) == FIRST
    assert house.stop() == 0


def test_master_key_that_rows_still_need_is_missed_although_the_pepper_opens(
    folder: Path, upstream: ScriptedUpstream
) -> None:
    house = by_store(folder, upstream, TOLLHOUSE_MASTER_KEY=OLD_MASTER)
    put(house, FIRST)
    house.env["TOLLHOUSE_MASTER_KEY"] = f"new:{NEW_MASTER},old:{OLD_MASTER}"
    raw = sqlite3.connect(folder / "tollhouse.db")
    kept = raw.execute("SELECT id, wrapped_key, key_id FROM secrets WHERE name = 'openai'").fetchone()
    house.run("secrets", "rotate-master")
    raw.execute("UPDATE secrets SET wrapped_key = ?, key_id = ? WHERE id = ?", (kept[1], kept[2], kept[0]))
    raw.commit()
    raw.close()
    house.env["TOLLHOUSE_MASTER_KEY"] = NEW_MASTER
    house.config.write_text(config_with(upstream, "env:UP_KEY"))
    said = refused_start(house)
    assert re.search(rf"1 secrets in the store still need .*{kept[2]} \(1 rows\)", said)
    assert "rotate-master" in said


def test_weak_master_key_is_refused_with_the_way_out(folder: Path, upstream: ScriptedUpstream) -> None:
    house = House(folder, config_with(upstream, "env:UP_KEY"), {"TOLLHOUSE_MASTER_KEY": "change-me-please"})
    said = refused_start(house)
    assert "weak" in said
    assert "rotate-master" in said
    assert "change-me-please" not in said


# -- processes


def test_processes_of_a_house_leave_no_core_files(folder: Path, upstream: ScriptedUpstream) -> None:
    house = by_store(folder, upstream)
    put(house, FIRST)
    house.start()
    for pid in (house.pid, *house.worker_pids()):
        limits = Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]
    assert house.stop() == 0
