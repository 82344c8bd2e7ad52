"""What people read."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from bench import chart, report, summary
from unit.bench.figures import results, run

FOUND = results(
    run("nginx", number=1, requests=60_000),
    run("tollhouse", number=1, requests=15_000),
    run("nginx", number=2, requests=50_000),
    run("tollhouse", number=2, void="a <502>\nwith lines"),
    missing={"litellm": "install with `make bench-peers`"},
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (123456.7, "123,000"),
        (1234, "1,230"),
        (99.96, "100"),
        (12.345, "12.3"),
        (1, "1.00"),
        (0.08968, "0.0897"),
        (0.000529, "0.000529"),
        (-0.0251, "-0.0251"),
    ],
)
def test_number_has_three_digits(value, text):
    assert report.three_digits(value) == text


def test_terminal_table_shows_every_gateway_and_what_was_not_measured():
    out = io.StringIO()
    Console(file=out, width=100).print(report.terminal(FOUND))
    text = out.getvalue()
    for word in ("nginx", "tollhouse", "litellm", "0.250", "not measured: install with `make bench-peers`"):
        assert word in text


def test_page_has_figures_chart_doubts_and_machine():
    page = report.markdown(FOUND, "RESULTS.svg")
    assert "| | nginx | tollhouse |" in page
    assert "| ÷ nginx | 1.00 | 0.250 |" in page
    assert "| × LiteLLM | – | – |" in page
    assert "](RESULTS.svg)" in page
    assert "- tollhouse, round 2: void: a <502> with lines" in page
    assert "Abacus 9, 2 cores, 8 GiB" in page
    assert "- tollhouse 0.1.0: virtual key checked" in page


def test_chart_has_a_bar_of_the_right_length_for_each_figure():
    rows = summary.rows(results(run("nginx", requests=40_000), run("tollhouse", requests=10_000)))
    root = ET.fromstring(chart.svg(rows))
    bars = [float(bar.attrib["width"]) for bar in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars[1] == pytest.approx(bars[0] / 4, abs=0.1)
    assert "0.250 of nginx" in "".join(root.itertext())


def test_chart_says_so_when_a_gateway_has_no_figure():
    root = ET.fromstring(chart.svg(summary.rows(results(run("nginx", void="x")))))
    assert "no figure" in "".join(root.itertext())
