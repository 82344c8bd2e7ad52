"""References are resolved in time, whatever sources do; what they said last stands in while they are away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tollhouse.adapters.sealing import MasterKeySealer
from tollhouse.adapters.secrets.last_known import LastKnown
from tollhouse.bootstrap import read_config
from tollhouse.bootstrap.fetching import fetch
from tollhouse.bootstrap.reading import Loaded
from tollhouse.bootstrap.secrets import SecretResolver, without_secrets
from tollhouse.core.master_key import MasterKey, MasterKeyring
from tollhouse.core.problem import ConfigInvalid, ConfigProblem
from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretSource, SecretSourceDown, SecretUnavailable

KEY = MasterKey(Secret("4ee9d0c3a7518b62f0e1d2c3b4a59687"))


class Source:
    """A source that says what it is told to."""

    def __init__(self, scheme: str = "vault", **content: str | Exception) -> None:
        self.scheme = scheme
        self.content: dict[str, str | Exception] = dict(content)
        self.asked: list[str] = []
        self.hangs: threading.Event | None = None

    def resolve(self, rest: str) -> Secret:
        self.asked.append(rest)
        if self.hangs is not None:
            self.hangs.wait(20)
        found = self.content.get(rest, SecretUnavailable(f"There is no {rest}."))
        if isinstance(found, Exception):
            raise found
        return Secret(found)

    def caution(self, rest: str) -> str | None:
        return "It lies open." if rest == "x/open#f" else None


DOWN = SecretSourceDown("The source is down.")


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Ends whatever hangs."""
    event = threading.Event()
    yield event
    event.set()


def config(folder: Path, *references: str) -> Loaded:
    path = folder / "tollhouse.yaml"
    up = "kind: openai_compatible, base_url: 'http://127.0.0.1:9/v1'"
    lines = [f"  p{number}: {{{up}, credential: '{each}'}}" for number, each in enumerate(references)]
    path.write_text("version: 1\nproviders:\n" + "\n".join(lines) + "\n")
    return read_config(path)


def resolver(*sources: Source, **more: Any) -> SecretResolver:
    by_scheme: dict[str, SecretSource] = {source.scheme: source for source in sources}
    return SecretResolver(by_scheme.get, **more)


def sealed_in(folder: Path) -> LastKnown:
    return LastKnown(folder / "sealed", MasterKeySealer(lambda: MasterKeyring([KEY])))


def plain(secrets: Any) -> dict[str, str]:
    return {reference: secret.reveal() for reference, secret in secrets.items()}


# -- asking


def test_every_reference_is_asked_for_once() -> None:
    source = Source(**{"a/x#f": "1", "a/y#f": "2"})
    found = fetch(["vault:a/x#f", "vault:a/y#f", "vault:a/x#f", "unknown:z"], {"vault": source})
    assert {name: value.reveal() for name, value in found.items() if isinstance(value, Secret)} == {
        "vault:a/x#f": "1",
        "vault:a/y#f": "2",
    }
    assert sorted(source.asked) == ["a/x#f", "a/y#f"]


def test_source_that_hangs_is_given_up_and_keeps_no_other_waiting(released: threading.Event) -> None:
    slow, quick = Source("vault"), Source("env", A="1")
    slow.hangs = released
    references = [*[f"vault:a/{number}#f" for number in range(20)], "env:A"]
    began = time.monotonic()
    found = fetch(references, {"vault": slow, "env": quick}, budget_s=0.3)
    assert time.monotonic() - began < 10
    assert isinstance(found["env:A"], Secret)
    late = [found[f"vault:a/{number}#f"] for number in range(20)]
    assert all(isinstance(each, SecretSourceDown) for each in late)
    assert "0.3 s" in str(late[0])
    assert len(slow.asked) <= 4


def test_defect_of_a_library_is_an_outage_and_shows_nothing() -> None:
    found = fetch(["vault:a/x#f"], {"vault": Source(**{"a/x#f": RuntimeError("sk-canary")})})
    assert isinstance(found["vault:a/x#f"], SecretSourceDown)
    assert "sk-canary" not in str(found["vault:a/x#f"])
    assert "RuntimeError" in str(found["vault:a/x#f"])


# -- at the start and at reloads


def test_all_that_cannot_be_had_is_told_at_once_with_its_path(tmp_path: Path) -> None:
    loaded = config(tmp_path, "vault:a/x#f", "vault:a/none#f", "env:A")
    with pytest.raises(ConfigInvalid) as caught:
        resolver(Source(**{"a/x#f": DOWN}), Source("env", A="1")).usable(loaded)
    assert [(each.path, each.message) for each in caught.value.problems] == [
        ("providers.p0.credential", "The source is down."),
        ("providers.p1.credential", "There is no a/none#f."),
    ]


def test_what_is_kept_unwisely_is_warned_of(tmp_path: Path) -> None:
    warnings: list[ConfigProblem] = []
    secrets = resolver(Source(**{"x/open#f": "1"})).usable(
        config(tmp_path, "vault:x/open#f"), warnings.extend
    )
    assert plain(secrets) == {"vault:x/open#f": "1"}
    assert [each.message for each in warnings] == ["It lies open."]


def test_fresh_start_without_its_source_goes_by_what_was_known_last(tmp_path: Path) -> None:
    loaded = config(tmp_path, "vault:a/x#f")
    resolver(Source(**{"a/x#f": "1"}), last_known=sealed_in(tmp_path)).usable(loaded)
    warnings: list[ConfigProblem] = []
    secrets = resolver(Source(**{"a/x#f": DOWN}), last_known=sealed_in(tmp_path)).usable(
        loaded, warnings.extend
    )
    assert plain(secrets) == {"vault:a/x#f": "1"}
    assert [each.message for each in warnings] == ["The source is down. What it said last is used."]


def test_reload_without_the_source_goes_by_what_was_known_last_without_a_file(tmp_path: Path) -> None:
    loaded, source = config(tmp_path, "vault:a/x#f"), Source(**{"a/x#f": "1"})
    made = resolver(source)
    made.usable(loaded)
    source.content["a/x#f"] = DOWN
    assert plain(made.usable(loaded)) == {"vault:a/x#f": "1"}


@pytest.mark.parametrize("restarted", [False, True])
def test_secret_that_was_taken_away_does_not_come_back(tmp_path: Path, restarted: bool) -> None:
    loaded, source = config(tmp_path, "vault:a/x#f"), Source(**{"a/x#f": "1"})
    made = resolver(source, last_known=sealed_in(tmp_path))
    made.usable(loaded)
    del source.content["a/x#f"]
    if restarted:
        made = resolver(source, last_known=sealed_in(tmp_path))
    with pytest.raises(ConfigInvalid):
        made.usable(loaded)


def test_what_is_read_from_this_machine_is_not_kept_elsewhere(tmp_path: Path) -> None:
    loaded = config(tmp_path, "env:A", "vault:a/x#f")
    resolver(Source("env", A="1"), Source(**{"a/x#f": "2"}), last_known=sealed_in(tmp_path)).usable(loaded)
    held = sealed_in(tmp_path)
    assert held.get("env:A") is None
    assert held.get("vault:a/x#f") is not None


def test_file_that_cannot_be_written_keeps_nobody_from_starting(tmp_path: Path) -> None:
    nowhere = LastKnown(tmp_path / "none" / "sealed", MasterKeySealer(lambda: MasterKeyring([KEY])))
    made = resolver(Source(**{"a/x#f": "1"}), last_known=nowhere)
    assert plain(made.usable(config(tmp_path, "vault:a/x#f"))) == {"vault:a/x#f": "1"}


# -- looking again


def held(**secrets: str) -> dict[str, Secret]:
    return {f"{name}": Secret(value) for name, value in secrets.items()}


def test_look_tells_what_has_changed_and_asks_nothing_of_the_environment() -> None:
    source, environment = Source(**{"a/x#f": "sk-fresh", "a/y#f": "same"}), Source("env", A="other")
    before = held(**{"vault:a/x#f": "old", "vault:a/y#f": "same", "env:A": "1"})
    renewal = resolver(source, environment).refresh(before)
    assert renewal.changed == ("vault:a/x#f",)
    assert plain(renewal.secrets) == {"vault:a/x#f": "sk-fresh", "vault:a/y#f": "same", "env:A": "1"}
    assert renewal.problems == ()
    assert environment.asked == []
    assert "sk-fresh" not in repr(renewal)


@pytest.mark.parametrize("fault", [DOWN, SecretUnavailable("It was deleted.")])
def test_look_that_fails_changes_nothing_and_says_why(fault: Exception) -> None:
    renewal = resolver(Source(**{"a/x#f": fault})).refresh(held(**{"vault:a/x#f": "old"}))
    assert (renewal.changed, plain(renewal.secrets)) == ((), {"vault:a/x#f": "old"})
    assert renewal.problems == (f"vault:a/x#f: {fault}",)


def test_new_value_is_kept_for_the_next_start(tmp_path: Path) -> None:
    made = resolver(Source(**{"a/x#f": "new"}), last_known=sealed_in(tmp_path))
    made.refresh(held(**{"vault:a/x#f": "old"}))
    known = sealed_in(tmp_path).get("vault:a/x#f")
    assert known is not None
    assert known.reveal() == "new"


# -- environments


def test_worker_has_none_of_the_variables_that_open_sources_or_databases() -> None:
    names = (
        "VAULT_TOKEN",
        "VAULT_SECRET_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AZURE_CLIENT_SECRET",
        "TOLLHOUSE_STORE",
    )
    secret = dict.fromkeys(names, "s")
    assert without_secrets({**secret, "UP": "s", "PATH": "/bin"}, {"env:UP": Secret("s")}) == {"PATH": "/bin"}
