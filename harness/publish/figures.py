"""Figures of a board, one line an entry: points with intervals, published against tuned, who differs from whom.

Templates turn these positions into SVG with fixed decimals; every figure also says in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.publish import words
from harness.publish.rows import Board
from harness.publish.scales import WIDTH, Scale, Tick, height_of, label_width, line_at, spanning
from harness.publish.scores import PUBLISHED, TUNED, VERDICT

# -- points with both intervals ----------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """One line of a dot plot; `seed` and `both` are the ends of the two intervals, or None."""

    y: float
    label: str
    x: float
    seed: tuple[float, float] | None
    both: tuple[float, float] | None
    best: bool


@dataclass(frozen=True)
class Points:
    """The figure; labels end and the plot begins at `left`."""

    height: float
    left: float
    ticks: tuple[Tick, ...]
    points: tuple[Point, ...]
    description: str


def points(board: Board) -> Points | None:
    """Separated MAP@R of every scored entry with its seed interval and its interval over seeds and classes."""
    name = f"separated_{VERDICT}"
    frame = board.frame[(board.frame["variant"] == TUNED) & board.frame[name].notna()]
    if frame.empty:
        return None
    parts = ("", "_seed_low", "_seed_high", "_low", "_high")
    told = [[float(row.get(name + part, math.nan)) for part in parts] for _, row in frame.iterrows()]
    left = label_width([str(title) for title in frame["title"]])
    scale = spanning([v for values in told for v in values if not math.isnan(v)], left, WIDTH - 14)
    found, said = [], []
    for i, ((_, row), values) in enumerate(zip(frame.iterrows(), told, strict=True)):
        mean, *ends = values
        seed, both = _pair(ends[:2], scale), _pair(ends[2:], scale)
        title = words.printable(str(row["title"]))  # XML knows no control characters
        found.append(Point(line_at(i), title, scale(mean), seed, both, bool(row["best"])))
        said.append(f"{title} {words.percent(mean)} {words.bracket(ends[2], ends[3])}")
    return Points(height_of(len(found)), left, scale.ticks(), tuple(found), "; ".join(said))


def _pair(ends: Sequence[float], scale: Scale) -> tuple[float, float] | None:
    return None if any(math.isnan(end) for end in ends) else (scale(ends[0]), scale(ends[1]))


# -- published against tuned -------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """From the authors' values to the tuned ones, on one line."""

    y: float
    label: str
    published: float
    tuned: float
    gain: str


@dataclass(frozen=True)
class Changes:
    """The figure; labels end and the plot begins at `left`."""

    height: float
    left: float
    ticks: tuple[Tick, ...]
    changes: tuple[Change, ...]
    description: str


def changes(board: Board) -> Changes | None:
    """Separated MAP@R at the published values and after tuning, for entries that have both."""
    name = f"separated_{VERDICT}"
    scores = board.frame[name]
    both = [
        (record.method_title, float(scores[record.method, PUBLISHED]), float(scores[record.method, TUNED]))
        for record in board.records
        if (record.method, PUBLISHED) in scores.index
    ]
    if not both:
        return None
    left = label_width([title for title, _, _ in both])
    scale = spanning([value for _, *pair in both for value in pair], left, WIDTH - 64)
    found = tuple(
        Change(line_at(i), title, scale(old), scale(new), words.gain(new - old))
        for i, (title, old, new) in enumerate(both)
    )
    said = "; ".join(f"{t} {words.percent(old)} to {words.percent(new)}" for t, old, new in both)
    return Changes(height_of(len(found)), left, scale.ticks(), found, said)


# -- who differs from whom ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Row minus column in points of percent; `verdict`: better, worse, same, or "" on the diagonal."""

    text: str
    verdict: str


def matrix(board: Board) -> list[tuple[str, list[Pair]]] | None:
    """(title, its pairs) for every compared entry, best first; None where nothing was compared."""
    comparison = board.comparison
    if comparison is None:
        return None
    titles = {record.method: record.method_title for record in board.records}
    order = sorted(range(len(board.compared)), key=lambda i: list(titles).index(board.compared[i]))
    rows = []
    for i in order:
        pairs = []
        for j in order:
            gap = float(comparison.difference[i, j])
            verdict = "same" if not comparison.different[i, j] else "better" if gap > 0 else "worse"
            pairs.append(Pair("", "") if i == j else Pair(words.gain(gap), verdict))
        rows.append((titles[board.compared[i]], pairs))
    return rows
