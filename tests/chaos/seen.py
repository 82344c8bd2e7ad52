"""What a scenario measured, and whether it is what was expected."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured thing. `wanted` is empty where it is only told."""

    name: str
    value: str
    wanted: str = ""
    is_met: bool = True

    def __str__(self) -> str:
        text = f"{self.name} {self.value}"
        return text if self.is_met else f"{text} (wanted {self.wanted})"


class Seen:
    """Collects figures. A figure that is not met does not end the scenario: the others are worth knowing too."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []

    @property
    def failures(self) -> list[Figure]:
        return [figure for figure in self.figures if not figure.is_met]

    def note(self, name: str, value: object) -> None:
        """A figure nothing depends on."""
        self.figures.append(Figure(name, _text(value)))

    def exactly(self, name: str, value: object, wanted: object) -> None:
        self._add(name, value, _text(wanted), value == wanted)

    def at_most(self, name: str, value: float, wanted: float) -> None:
        self._add(name, value, f"≤ {_text(wanted)}", value <= wanted)

    def at_least(self, name: str, value: float, wanted: float) -> None:
        self._add(name, value, f"≥ {_text(wanted)}", value >= wanted)

    def within(self, name: str, value: float, low: float, high: float) -> None:
        self._add(name, value, f"{_text(low)}–{_text(high)}", low <= value <= high)

    def all_within(self, name: str, values: list[float], low: float, high: float) -> None:
        """Every one of them; the smallest and the largest are told. Not met where there are none."""
        told = f"{_text(min(values))}–{_text(max(values))}" if values else "nothing"
        is_met = bool(values) and low <= min(values) and max(values) <= high
        self.figures.append(Figure(name, told, f"{_text(low)}–{_text(high)}", is_met))

    def none_of(self, name: str, offenders: list[str]) -> None:
        """An empty list is what is wanted; otherwise the first of them are told."""
        told = f"{len(offenders)}" + (f": {'; '.join(offenders[:3])}" if offenders else "")
        self.figures.append(Figure(name, told, "0", not offenders))

    def _add(self, name: str, value: object, wanted: str, is_met: bool) -> None:
        self.figures.append(Figure(name, _text(value), wanted, is_met))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
