"""The first column as bars, in a picture that reads on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from .report import three_digits
from .summary import OURS, Row

_WIDTH: Final = 720
_LEFT: Final = 100
_RIGHT: Final = 150
_BAR: Final = 22
_GAP: Final = 14
_TOP: Final = 44
_STYLE: Final = """\
text { font: 14px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 } .quiet { fill: #57606a }
.bar { fill: #8c959f } .ours { fill: #b3541e }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #9198a1 } .bar { fill: #6e7681 } .ours { fill: #e08a4f }
}"""


def svg(rows: Sequence[Row]) -> str:
    """Bars to one linear scale from zero; a gateway without a figure has no bar and says so."""
    medians = [row.figures["per_core"].median if "per_core" in row.figures else None for row in rows]
    longest = max((median for median in medians if median is not None), default=1.0)
    height = _TOP + len(rows) * (_BAR + _GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<style>{_STYLE}</style>",
        '<text class="title" x="0" y="20">Small chat requests per second and core</text>',
    ]
    for number, (row, median) in enumerate(zip(rows, medians, strict=True)):
        lines += _bar(row, median, longest, _TOP + number * (_BAR + _GAP))
    return "\n".join((*lines, "</svg>", ""))


def _bar(row: Row, median: float | None, longest: float, top: int) -> Sequence[str]:
    base = top + _BAR - 6
    name = f'<text x="{_LEFT - 10}" y="{base}" text-anchor="end">{escape(row.gateway)}</text>'
    if median is None:
        return name, f'<text class="quiet" x="{_LEFT}" y="{base}">no figure</text>'
    width = max(1.0, (_WIDTH - _LEFT - _RIGHT) * median / longest)
    kind = "ours" if row.gateway == OURS else "bar"
    share = row.figures.get("of_limit")
    label = three_digits(median)
    if share is not None:
        label += f'<tspan class="quiet">  {three_digits(share.median)} of nginx</tspan>'
    return (
        name,
        f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="3"/>',
        f'<text x="{_LEFT + width + 10:.1f}" y="{base}">{label}</text>',
    )
