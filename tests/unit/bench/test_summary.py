"""Medians, ratios within a round, and honesty about what is not known."""

from __future__ import annotations

import pytest

from bench import summary
from unit.bench.figures import memory, results, run


def row(found, name):
    return next(row for row in summary.rows(found) if row.gateway == name)


def test_requests_per_core_counts_what_was_put_off():
    found = results(run("tollhouse", requests=1000, cpu_s=0.5))
    assert row(found, "tollhouse").figures["per_core"].median == 2000


def test_ratio_is_taken_within_each_round_when_the_machine_drifts():
    found = results(
        run("nginx", number=1, requests=1000),
        run("tollhouse", number=1, requests=200),
        run("nginx", number=2, requests=500),
        run("tollhouse", number=2, requests=100),
        run("nginx", number=3, requests=2000),
        run("tollhouse", number=3, requests=440),
    )
    ratio = row(found, "tollhouse").figures["of_limit"]
    assert ratio.median == pytest.approx(0.2)
    assert (ratio.low, ratio.high) == (pytest.approx(0.2), pytest.approx(0.22))


def test_ratio_leaves_out_rounds_in_which_one_side_is_void():
    found = results(run("nginx", number=1), run("tollhouse", number=1, void="a 502"), run("nginx", number=2))
    figures = row(found, "tollhouse").figures
    assert "of_limit" not in figures
    assert "per_core" not in figures
    assert "cpu_us_per_chunk" in figures
    assert any("a 502" in doubt for doubt in summary.doubts(found))
    assert summary.is_void(found)


def test_rows_are_ordered_by_speed_with_unknown_last():
    found = results(run("litellm", requests=1), run("envoy", void="x"), run("nginx", requests=900))
    assert [row.gateway for row in summary.rows(found)] == ["nginx", "litellm", "envoy"]


def test_every_unit_is_the_one_its_name_says():
    figures = row(results(run("nginx", requests=1000, cpu_s=0.5)), "nginx").figures
    assert figures["per_s"].median == 1000
    assert figures["busy_percent"].median == pytest.approx(40)
    assert figures["cpu_ms_per_1000"].median == pytest.approx(500)
    assert figures["cpu_us_per_chunk"].median == pytest.approx(250)
    assert figures["added_p50_ms"].median == pytest.approx(0.1)
    assert figures["added_p99_ms"].median == pytest.approx(0.4)
    assert figures["memory_mib"].median == pytest.approx(40)
    assert figures["idle_kib"].median == pytest.approx(1024 / 80)
    assert figures["cold_start_s"].median == pytest.approx(0.6)
    assert figures["cold_start_s"].samples == 2


def test_memory_is_resident_size_when_shares_are_not_known():
    assert memory(10, pss_known=False).total_bytes == 20 * 2**20


def test_idle_streams_have_no_figure_when_not_all_opened():
    found = results(run("litellm", opened=64))
    assert "idle_kib" not in row(found, "litellm").figures
    assert any("64 of 100 idle streams" in doubt for doubt in summary.doubts(found))


def test_rates_by_the_clock_are_doubted_when_the_generator_is_hardly_faster():
    found = results(run("nginx", requests=90_000), run("tollhouse", requests=1000), direct=100_000)
    assert summary.generator_bound(found) == ("nginx",)
    assert summary.generator_bound(results(run("nginx", requests=80_000), direct=100_000)) == ()


def test_figures_are_doubted_when_the_gateway_or_the_machine_was_still_at_work():
    found = results(run("tollhouse", is_quiet=False), busy=2.5, missing={"envoy": "make bench-peers"})
    said = "\n".join(summary.doubts(found))
    assert "still at work" in said
    assert "load average 2.50" in said
    assert "envoy: not measured: make bench-peers" in said


@pytest.mark.parametrize(
    ("ours", "peer", "shortfalls"),
    [(800, 10, 0), (790, 10, 1), (900, 19, 1), (100, 10, 2)],
)
def test_shortfalls_are_told_when_a_threshold_is_missed(ours, peer, shortfalls):
    found = results(
        run("nginx", requests=10_000), run("tollhouse", requests=ours), run("litellm", requests=peer)
    )
    assert len(summary.shortfalls(found)) == shortfalls


def test_missing_optional_peer_is_no_shortfall_but_a_void_one_is():
    both = (run("nginx", requests=1000), run("tollhouse", requests=900))
    assert summary.shortfalls(results(*both)) == ()
    assert len(summary.shortfalls(results(*both, run("litellm", void="x")))) == 1


def test_not_measured_is_a_shortfall_when_it_is_us():
    assert summary.shortfalls(results(run("nginx"))) == ("tollhouse ÷ nginx was not measured",)


def test_no_samples_are_no_figure():
    assert summary.figure([]) is None
