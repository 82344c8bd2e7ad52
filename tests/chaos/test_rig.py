"""The rig does to the network and the upstream what it says, and reads what a client would."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chaos import scenarios, speech
from chaos.catalogue import CATALOGUE, MOST_REASONED_AWAY
from chaos.raw_upstream import RawUpstream, Request, Wire, whole
from chaos.recordings import last_cut, streams
from chaos.relay import Relay
from chaos.sabotage.breakages import BREAKAGES
from chaos.scenario import SCENARIOS
from chaos.seen import Seen

WORDS = ["one ", "zwei ", "三 "]


async def answer_well(wire: Wire, request: Request) -> None:
    await wire.send(whole(b"x" * 1_000, "text/plain"))


@contextmanager
def running(server: RawUpstream | Relay) -> Iterator[None]:
    try:
        yield
    finally:
        server.stop()


def ask(port: int, patience_s: float = 5.0) -> bytes:
    """What comes back for one request, to the end of the connection or a second of silence."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience_s) as caller:
        caller.sendall(b"POST /v1 HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        taken = b""
        while b"0\r\n\r\n" not in taken and (piece := caller.recv(65_536)):
            taken += piece
        return taken


def through_a_relay(look: Callable[[Relay], None]) -> None:
    upstream = RawUpstream(answer_well)
    with running(upstream):
        relay = Relay(upstream.port)
        with running(relay):
            look(relay)


def test_relay_passes_on_what_it_gets_when_nothing_is_wrong() -> None:
    through_a_relay(lambda relay: check_good_answer(ask(relay.port)))


def check_good_answer(taken: bytes) -> None:
    assert taken.startswith(b"HTTP/1.1 200")
    assert taken.count(b"x") >= 1_000


def test_relay_resets_a_connection_when_its_limit_is_reached() -> None:
    def look(relay: Relay) -> None:
        relay.set(limit_bytes=300)
        with pytest.raises(ConnectionResetError):
            ask(relay.port)
        relay.clear()
        check_good_answer(ask(relay.port))

    through_a_relay(look)


def test_relay_lets_nothing_pass_while_it_is_stalled() -> None:
    def look(relay: Relay) -> None:
        relay.set(is_stalled=True)
        with pytest.raises(TimeoutError):
            ask(relay.port, patience_s=0.3)

    through_a_relay(look)


def test_relay_resets_new_connections_when_it_refuses() -> None:
    def look(relay: Relay) -> None:
        relay.set(refuses=True)
        with pytest.raises(ConnectionResetError):
            ask(relay.port)

    through_a_relay(look)


def test_relay_is_slower_with_latency_and_with_little_bandwidth() -> None:
    def look(relay: Relay) -> None:
        for faults in ({"latency_s": 0.2}, {"bytes_per_s": 5_000, "slice_bytes": 100}):
            relay.clear()
            relay.set(**faults)
            started = time.monotonic()
            check_good_answer(ask(relay.port))
            assert time.monotonic() - started > 0.15

    through_a_relay(look)


def test_raw_upstream_remembers_requests_and_forgets_connections_that_ended() -> None:
    upstream = RawUpstream(answer_well)
    with running(upstream):
        check_good_answer(ask(upstream.port))
        end = time.monotonic() + 5
        while upstream.open_connections and time.monotonic() < end:
            time.sleep(0.01)
        assert (upstream.count, upstream.open_calls, upstream.open_connections) == (1, 0, 0)


@pytest.mark.parametrize("dialect", speech.DIALECTS)
def test_listener_hears_whole_streams_and_no_others(dialect: str) -> None:
    whole_one = b"".join(speech.frames(dialect, WORDS))
    heard = speech.listen(dialect, whole_one)
    assert (heard.text, heard.is_whole, heard.error, heard.faults) == ("".join(WORDS), True, None, [])
    for at in range(last_cut(dialect, whole_one) + 1):
        cut = speech.listen(dialect, whole_one[:at])
        assert not cut.is_whole
        assert cut.faults or at == 0 or whole_one[:at].endswith(b"\n\n")


@pytest.mark.parametrize("dialect", speech.DIALECTS)
def test_streams_to_be_cut_are_whole(dialect: str) -> None:
    draw = random.Random(1)
    for data in streams(dialect, 10):
        assert 0 < last_cut(dialect, data) < len(data)
        cut = data[: draw.randint(0, last_cut(dialect, data))]
        assert not speech.listen(dialect, cut).is_whole


def test_errors_are_heard_in_the_form_of_their_dialect() -> None:
    error = {"message": "no", "type": "x"}
    assert speech.listen(speech.CHAT, speech.event({"error": error})).error == error
    assert speech.listen(speech.GEMINI, speech.event({"error": error})).error == error
    named = speech.event({"type": "error", "error": error}, "error")
    assert speech.listen(speech.ANTHROPIC, named).error == error
    assert speech.listen(speech.ANTHROPIC, speech.event({"type": "error", "error": error})).error is None
    assert speech.listen(speech.RESPONSES, speech.event({"type": "error", "message": "no"}, "error")).error


def test_figures_that_are_not_met_are_failures() -> None:
    seen = Seen()
    seen.exactly("errors", 1, 0)
    seen.at_most("p99", 3.0, 2.0)
    seen.at_least("share", 99.0, 99.9)
    seen.within("wait", 5.0, 0.9, 1.1)
    seen.all_within("waits", [], 0.9, 1.1)
    seen.none_of("leaks", ["one"])
    assert len(seen.failures) == 6
    seen.exactly("errors", 0, 0)
    seen.all_within("waits", [1.0], 0.9, 1.1)
    seen.none_of("leaks", [])
    assert len(seen.failures) == 6


def test_every_scenario_has_its_line_in_the_catalogue_and_its_broken_build() -> None:
    scenarios.enter_all()
    ids = [entry.id for entry in CATALOGUE]
    assert len(ids) == len(set(ids))
    assert sum(bool(entry.reasoned_away) for entry in CATALOGUE) <= MOST_REASONED_AWAY
    assert SCENARIOS
    assert {scenario.id for scenario in SCENARIOS.values()} <= set(ids)
    assert {scenario.sabotage for scenario in SCENARIOS.values()} <= set(BREAKAGES)
    assert not [entry.id for entry in CATALOGUE if entry.reasoned_away and entry.id in SCENARIOS]
