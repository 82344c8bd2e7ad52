"""Four workers under one keeper: what happens to one of them happens to nobody else."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream

pytestmark = pytest.mark.slow


WORKERS = 4
CALLERS = 8
ADMIN_KEY = "the-operators-own-key-4711"
GROWN_UP_S = 2.1
"""A worker that dies younger may have died of a bad start, and its successor is let wait a little."""


def config_to(provider: str, upstream: ScriptedUpstream, **more: Any) -> str:
    return config_text(
        upstream.base_url,
        server={"listen": "127.0.0.1:0", "drain_s": 10, "workers": WORKERS},
        accept_unshared_limits=True,
        providers={
            name: {"kind": "openai_compatible", "base_url": upstream.base_url, "credential": "env:UP_KEY"}
            for name in ("one", "two")
        },
        routes={
            "gpt": {
                "deployments": [{"provider": provider, "model": "mock-chat"}],
                "retry": {"max_attempts": 1},
            }
        },
        **more,
    )


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def house(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[House]:
    with running_house(tmp_path, config_to("one", upstream), {"TOLLHOUSE_ADMIN_KEY": ADMIN_KEY}) as house:
        yield house


def until(what: Callable[[], Any], patience_s: float = 30.0) -> Any:
    end = time.monotonic() + patience_s
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def events(house: House, name: str) -> list[dict[str, Any]]:
    return [event for event in house.events() if event["event"] == name]


def reload(house: House) -> tuple[int, dict[str, Any]]:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    status, _, body = house.call("POST", "/admin/v1/config/reload", headers=headers)
    return status, json.loads(body)


class Line:
    """A connection that is kept, and the worker at its other end."""

    def __init__(self, house: House) -> None:
        self._connection = http.client.HTTPConnection(house.url.removeprefix("http://"), timeout=30)
        self._connection.connect()
        try:
            # Answered, so it has been accepted.
            self.ask("GET", "/healthz")
        except BaseException:
            self.close()
            raise
        self.worker = self._owner(house)

    def _owner(self, house: House) -> int | None:
        """The process that has the other end open; None where it has just ended."""
        assert self._connection.sock is not None
        ours, theirs = self._connection.sock.getsockname()[1], self._connection.sock.getpeername()[1]
        ends = f"0100007F:{theirs:04X} 0100007F:{ours:04X} "
        for line in Path("/proc/net/tcp").read_text().splitlines():
            if ends in line:
                socket = f"socket:[{line.split()[9]}]"
                return next((pid for pid in house.worker_pids() if socket in open_files(pid)), None)
        return None

    def ask(
        self, method: str, path: str, body: Any = None, key: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"} if key else {}
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def chat(self, key: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
        body = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}], **more}
        return self.ask("POST", "/v1/chat/completions", body, key)

    def close(self) -> None:
        self._connection.close()


def open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(link))
    return found


@contextmanager
def a_line_to_each(house: House) -> Iterator[dict[int, Line]]:
    """One connection to every worker there is."""
    lines: dict[int, Line] = {}

    def has_all() -> bool:
        for _ in range(8):
            line = Line(house)
            if line.worker is None or line.worker in lines:
                line.close()
            else:
                lines[line.worker] = line
        return set(lines) == set(house.worker_pids()) and len(lines) == WORKERS

    try:
        until(has_all)
        yield lines
    finally:
        for line in lines.values():
            line.close()


class Callers:
    """Eight callers on connections they keep, half of them with streams; whoever loses one takes another."""

    def __init__(self, house: House, key: str) -> None:
        self.answers: list[tuple[int, str, str]] = []
        """Status, configuration and deployment."""
        self.lost: list[int | None] = []
        """The workers at whose connections a call was lost."""
        self.faults: list[BaseException] = []
        self._house = house
        self._key = key
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        self.go_on(16)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(60)

    def go_on(self, calls: int) -> None:
        """Return when so many more have been answered."""
        told = len(self.answers)
        until(lambda: len(self.answers) >= told + calls or self.faults, 60)

    def _call(self, number: int) -> None:
        line: Line | None = None
        try:
            for call in range(1_000_000):
                if self._done.is_set():
                    break
                with suppress(OSError, http.client.HTTPException):
                    line = line or Line(self._house)
                if line is None:
                    continue
                line = self._one(line, f"caller-{number}-{call}", is_stream=number % 2 == 0)
                time.sleep(0.03)
        except BaseException as fault:
            self.faults.append(fault)
        finally:
            if line is not None:
                line.close()

    def _one(self, line: Line, user: str, *, is_stream: bool) -> Line | None:
        try:
            mock = {"chunk_delay_s": 0.02} if is_stream else {}
            status, of, text = line.chat(self._key, stream=is_stream, user=user, mock=mock)
        except (OSError, http.client.HTTPException):
            self.lost.append(line.worker)
            line.close()
            return None
        assert not is_stream or text.rstrip().endswith(b"data: [DONE]"), text
        self.answers.append((status, of.get("x-tollhouse-config", ""), of.get("x-tollhouse-deployment", "")))
        return line


# -- death


def test_worker_that_is_killed_takes_nobody_with_it_and_its_calls_stand_in_the_book_once(
    house: House, upstream: ScriptedUpstream
) -> None:
    key = house.new_key()
    killed: set[int | None] = set()
    with Callers(house, key) as callers:
        for seat in range(WORKERS):
            time.sleep(GROWN_UP_S / 2)
            worker = house.worker_pids()[0]
            killed.add(worker)
            died = len(events(house, "worker_died"))
            os.kill(worker, signal.SIGKILL)
            callers.go_on(16)
            until(lambda died=died: len(events(house, "worker_died")) > died)
            until(lambda seat=seat: len(events(house, "worker_started")) == WORKERS + seat + 1)
        callers.go_on(16)
    assert callers.faults == []
    assert {status for status, _, _ in callers.answers} == {200}
    assert set(callers.lost) <= killed, "calls at the other workers were answered, every one"
    assert len(callers.lost) >= CALLERS, "nobody's first worker has survived"
    assert len(house.worker_pids()) == WORKERS
    rows = house.book(limit=100_000)
    assert len({row["id"] for row in rows}) == len(rows)
    outcomes = Counter(row["outcome"] for row in rows)
    assert set(outcomes) <= {"ok", "cut"}
    # The last word about a call is written just after its answer: a kill may come in between.
    assert outcomes["ok"] >= len(callers.answers) - CALLERS * WORKERS
    assert 0 < outcomes["cut"] <= CALLERS * WORKERS
    # What was sent is in the book once; what is in the book may have been killed on its way.
    sent = Counter(received.user for received in upstream.received)
    assert max(sent.values()) == 1
    assert len(sent) <= len(rows) <= len(sent) + len(callers.lost)


def test_killed_worker_is_replaced_while_the_others_serve(house: House) -> None:
    time.sleep(GROWN_UP_S)
    key, worker = house.new_key(), house.worker_pids()[2]
    os.kill(worker, signal.SIGKILL)
    for _ in range(10):
        assert house.chat(key)[0] == 200
    until(lambda: len(house.worker_pids()) == WORKERS and worker not in house.worker_pids())
    (death,) = events(house, "worker_died")
    assert death["restart_in_s"] == 0
    until(lambda: len(events(house, "worker_started")) == WORKERS + 1)
    assert events(house, "worker_started")[-1]["seat"] == death["seat"]


def test_worker_that_stands_still_is_replaced_while_the_others_serve(house: House) -> None:
    key = house.new_key()
    with a_line_to_each(house) as lines:
        stopped = house.worker_pids()[1]
        os.kill(stopped, signal.SIGSTOP)
        while stopped in house.worker_pids():
            for worker, line in lines.items():
                if worker != stopped:
                    assert line.chat(key)[0] == 200
            assert house.chat(key)[0] == 200
            time.sleep(0.2)
    (replaced,) = events(house, "worker_replaced")
    assert replaced["pid"] == stopped
    until(lambda: len(events(house, "worker_started")) == WORKERS + 1)
    with a_line_to_each(house) as lines:
        assert stopped not in lines


# -- the end


def test_house_that_closes_lets_the_streams_of_all_workers_end(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    with running_house(tmp_path, config_to("one", upstream)) as house, a_line_to_each(house) as lines:
        key = house.new_key()
        ends: list[bytes] = []
        streams = [
            threading.Thread(target=lambda line=line: ends.append(a_long_stream(line, key)))
            for line in lines.values()
        ]
        for stream in streams:
            stream.start()
        upstream.wait_received(WORKERS)
        os.kill(house.pid, signal.SIGTERM)
        until(lambda: not lets_in(house))
        assert ends == [], "the streams were still going on"
        for stream in streams:
            stream.join(30)
        assert [end.rstrip().endswith(b"data: [DONE]") for end in ends] == [True] * WORKERS
        assert house.stop() == 0
    assert [row["outcome"] for row in house.book()] == ["ok"] * WORKERS
    assert not re.search("Traceback|Fatal error", house.log.read_text())


def a_long_stream(line: Line, key: str) -> bytes:
    return line.chat(key, stream=True, mock={"chunk_delay_s": 0.5})[2]


def lets_in(house: House) -> bool:
    try:
        house.call("GET", "/healthz")
    except (OSError, http.client.HTTPException):
        return False
    return True


# -- the configuration


def test_no_call_is_dropped_or_sees_two_configurations_while_all_workers_alternate(
    house: House, upstream: ScriptedUpstream
) -> None:
    key = house.new_key()
    hashes = {"one": json.loads(house.call("GET", "/readyz")[2])["config"]}
    with Callers(house, key) as callers:
        for number in range(50):
            provider = ("two", "one")[number % 2]
            house.config.write_text(config_to(provider, upstream))
            status, answer = reload(house)
            assert status == 200, answer
            assert hashes.setdefault(provider, answer["hash"]) == answer["hash"]
            # Whoever asks after the answer meets it, at whichever worker.
            assert house.chat(key)[1]["x-tollhouse-deployment"] == f"{provider}/mock-chat"
            callers.go_on(4)
    assert (callers.faults, callers.lost) == ([], [])
    assert set(callers.answers) == {(200, hashes[name], f"{name}/mock-chat") for name in ("one", "two")}


def test_reload_that_one_worker_refuses_is_undone_on_all_of_them(
    house: House, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    before = json.loads(house.call("GET", "/readyz")[2])["config"]
    with a_line_to_each(house) as lines:
        tree = json.loads(config_to("two", upstream))
        authority = tmp_path / "authority.pem"
        authority.write_text("")
        tree["providers"]["tls"] = {
            "kind": "openai_compatible",
            "base_url": "https://127.0.0.1:1/v1",
            "ca_file": str(authority),
        }
        certificate = next(Path(path) for path in CA_FILES if Path(path).exists())
        authority.write_bytes(certificate.read_bytes())
        house.config.write_text(json.dumps(tree))
        poor = house.worker_pids()[3]
        had = resource.prlimit(poor, resource.RLIMIT_NOFILE)
        resource.prlimit(poor, resource.RLIMIT_NOFILE, (3, had[1]))
        try:
            done = house.run("reload", check=False)
        finally:
            resource.prlimit(poor, resource.RLIMIT_NOFILE, had)
        assert done.returncode == 1, done.stdout
        assert [line.ask("GET", "/readyz")[0] for line in lines.values()] == [200] * WORKERS
        shown = {json.loads(line.ask("GET", "/readyz")[2])["config"] for line in lines.values()}
        assert shown == {before}
        assert set(house.worker_pids()) == set(lines), "none had to be replaced for it"
        assert reload(house)[0] == 200
        shown = {json.loads(line.ask("GET", "/readyz")[2])["config"] for line in lines.values()}
        assert len(shown) == 1
        assert shown != {before}


CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


# -- keys


def test_revoked_key_is_refused_by_every_worker_once_that_is_confirmed(house: House) -> None:
    created = house.new_key_with_id("gpt")
    with a_line_to_each(house) as lines:
        assert [line.chat(created["key"])[0] for line in lines.values()] == [200] * WORKERS
        done = house.run("keys", "revoke", created["id"])
        assert done.stderr == ""
        assert [line.chat(created["key"])[0] for line in lines.values()] == [401] * WORKERS


def test_revocation_that_the_house_was_not_told_of_counts_at_every_worker_soon(
    house: House, record_property: Callable[[str, object], None]
) -> None:
    """As when another house on the same store has done it: within two seconds where nothing else keeps the machine."""
    created = house.new_key_with_id("gpt")
    with a_line_to_each(house) as lines:
        away = house.folder / "tollhouse-journal" / "control.sock"
        away.rename(away.with_suffix(".aside"))
        try:
            house.run("keys", "revoke", created["id"], check=False)
        finally:
            away.with_suffix(".aside").rename(away)
        revoked = time.monotonic()
        for line in lines.values():
            until(lambda line=line: line.chat(created["key"])[0] == 401)
        record_property(
            "report", f"four workers knew of it {time.monotonic() - revoked:.2f} s after the command"
        )


def test_change_that_a_worker_does_not_take_in_is_not_confirmed_and_counts_at_the_others(
    house: House,
) -> None:
    created = house.new_key_with_id("gpt")
    with a_line_to_each(house) as lines:
        stopped = house.worker_pids()[0]
        os.kill(stopped, signal.SIGSTOP)
        try:
            done = house.run("keys", "revoke", created["id"], check=False)
            # It is confirmed only by a command that took so long that the worker was replaced meanwhile.
            assert done.returncode == 3 or stopped not in house.worker_pids()
            assert ("has not confirmed" in done.stderr) == (done.returncode == 3)
            others = [line for worker, line in lines.items() if worker != stopped]
            assert [line.chat(created["key"])[0] for line in others] == [401] * (WORKERS - 1)
        finally:
            with suppress(ProcessLookupError):
                os.kill(stopped, signal.SIGCONT)
        until(lambda: house.run("keys", "revoke", created["id"], check=False).returncode == 0)


# -- what is told


def test_any_worker_tells_the_metrics_of_all(house: House) -> None:
    key = house.new_key()
    with a_line_to_each(house) as lines:
        for number, line in enumerate(lines.values()):
            for _ in range(number + 1):
                assert line.chat(key)[0] == 200
        texts = [line.ask("GET", "/metrics")[2].decode() for line in lines.values()]
        for text in texts:
            families = list(text_string_to_metric_families(text))
            assert len({family.name for family in families}) == len(families)
            calls = {
                sample.labels["worker"]: sample.value
                for family in families
                if family.name == "tollhouse_exchanges"
                for sample in family.samples
            }
            assert sorted(calls.values()) == [1, 2, 3, 4]
            assert set(calls) == {"0", "1", "2", "3"}
            whole = {family.name: family.samples[0].value for family in families if family.samples}
            assert (whole["tollhouse_workers"], whole["tollhouse_workers_left_out"]) == (WORKERS, 0)


def test_worker_that_says_nothing_is_left_out_of_the_metrics_and_counted(house: House) -> None:
    with a_line_to_each(house) as lines:
        stopped = house.worker_pids()[2]
        os.kill(stopped, signal.SIGSTOP)
        try:
            line = next(line for worker, line in lines.items() if worker != stopped)
            status, _, body = line.ask("GET", "/metrics")
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert status == 200
        families = {family.name: family for family in text_string_to_metric_families(body.decode())}
        assert families["tollhouse_workers_left_out"].samples[0].value == 1
        assert len(families["tollhouse_keys"].samples) == WORKERS - 1


def test_deployments_are_those_of_all_workers_together(house: House) -> None:
    key = house.new_key()
    with a_line_to_each(house) as lines:
        for line in lines.values():
            assert line.chat(key)[0] == 200
        shown = json.loads(house.run("deployments", "--json").stdout)
        assert [(view["provider"], view["calls"]) for view in shown["deployments"]] == [("one", WORKERS)]
        assert shown["workers_left_out"] == 0
        for _ in range(WORKERS):
            headers = {"authorization": f"Bearer {ADMIN_KEY}"}
            _, _, body = house.call("GET", "/admin/v1/deployments", headers=headers)
            (view,) = json.loads(body)["deployments"]
            assert view["calls"] == WORKERS
        assert "one/mock-chat" in house.run("deployments").stdout
