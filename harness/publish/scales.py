"""From numbers to positions in a figure: scales with round ticks, room for labels.

Positions are in the units of a figure's view box, `WIDTH` wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.publish import words

WIDTH = 400
LINE = 26
TOP, BOTTOM = 10, 34


def line_at(number: int) -> float:
    """The middle of a figure's line, counted from 0."""
    return TOP + LINE * (number + 0.5)


def height_of(lines: int) -> float:
    """Of a figure with so many lines above its axis."""
    return TOP + LINE * lines + BOTTOM


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, and what stands at it."""

    at: float
    label: str


@dataclass(frozen=True)
class Scale:
    """A linear map from values to positions, with round ticks."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> tuple[Tick, ...]:
        """Round values as percent."""
        values = round_steps(self.low, self.high)
        digits = 0 if len(values) < 2 or values[1] - values[0] >= 0.0099 else 1
        return tuple(Tick(self(value), words.percent(value, digits)) for value in values)

    def counts(self) -> tuple[Tick, ...]:
        """Round whole numbers."""
        return tuple(
            Tick(self(v), f"{v:.0f}") for v in round_steps(self.low, self.high) if abs(v - round(v)) < 1e-9
        )


def round_steps(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` + 1 multiples of 1, 2 or 5 times a power of ten inside [low, high]."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def spanning(values: Sequence[float], start: float, end: float) -> Scale:
    """A scale over all values with a little air; values alike get a scale of one point of percent."""
    low, high = min(values), max(values)
    air = max((high - low) * 0.06, 0.005)
    return Scale(low - air, high + air, start, end)


def label_width(labels: Sequence[str]) -> float:
    """Room for labels at the left, from their number of letters; long ones are cut by `short`."""
    return 16 + 7.2 * max((len(short(label)) for label in labels), default=0)


def short(label: str, letters: int = 24) -> str:
    """A label that fits beside a figure."""
    return label if len(label) <= letters else label[: letters - 1] + "…"
