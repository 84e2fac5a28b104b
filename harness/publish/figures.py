"""Geometry of the site's figures: numbers to positions. Templates turn them into SVG with fixed decimals.

All positions are in the units of a figure's own view box; every figure says in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.publish import words
from harness.publish.rows import PUBLISHED, TUNED, VERDICT, Board
from harness.publish.tables import metric_name
from harness.record import Record, SearchHistory
from harness.statistics import incumbent_curve

Floats = npt.NDArray[np.float64]

WIDTH = 400
LINE = 26
TOP, BOTTOM = 10, 34
#: How many colours the style sheet has for lines.
COLOURS = 8


@dataclass(frozen=True)
class Tick:
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
        y = TOP + LINE * (i + 0.5)
        found.append(Point(y, str(row["title"]), scale(mean), seed, both, bool(row["best"])))
        said.append(f"{row['title']} {words.percent(mean)} {words.bracket(ends[2], ends[3])}")
    height = TOP + LINE * len(found) + BOTTOM
    return Points(height, left, scale.ticks(), tuple(found), "; ".join(said))


def _pair(ends: Sequence[float], scale: Scale) -> tuple[float, float] | None:
    return None if any(math.isnan(end) for end in ends) else (scale(ends[0]), scale(ends[1]))


def label_width(labels: Sequence[str]) -> float:
    """Room for labels at the left, from their number of letters; long ones are cut by `short`."""
    return 16 + 7.2 * max((len(short(label)) for label in labels), default=0)


def short(label: str, letters: int = 24) -> str:
    """A label that fits beside a figure."""
    return label if len(label) <= letters else label[: letters - 1] + "…"


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
        Change(TOP + LINE * (i + 0.5), title, scale(old), scale(new), words.gain(new - old))
        for i, (title, old, new) in enumerate(both)
    )
    said = "; ".join(f"{t} {words.percent(old)} to {words.percent(new)}" for t, old, new in both)
    return Changes(TOP + LINE * len(found) + BOTTOM, left, scale.ticks(), found, said)


# -- lines: budget curves, learning curves, the search -----------------------------------------------


@dataclass(frozen=True)
class Line:
    """A polyline; `dots` are marked on it. `label_y` is where its label stands at the right."""

    colour: int
    path: tuple[tuple[float, float], ...]
    label: str = ""
    label_y: float = 0.0
    dots: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Lines:
    """Lines over a count (trials, epochs). `right` is where the plot ends and labels begin."""

    height: float
    right: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    title: str
    description: str


LEFT, HEIGHT = 40, 250


def budget(board: Board) -> Lines | None:
    """The best validation score after each trial, the mean over an entry's searches; a step line."""
    curves = {
        record.method_title: np.mean([incumbents(search) for search in record.searches], axis=0)
        for record in board.records
        if record.status == "complete" and record.searches and _same_length(record.searches)
    }
    curves = {title: curve for title, curve in curves.items() if np.isfinite(curve).any()}
    if not curves:
        return None
    right = WIDTH - label_width(list(curves)) + 6
    trials = max(len(curve) for curve in curves.values())
    x = Scale(1, max(trials, 2), LEFT, right)
    y = spanning([v for curve in curves.values() for v in curve[np.isfinite(curve)]], HEIGHT - BOTTOM, TOP)
    labels = _apart({title: y(curve[np.isfinite(curve)][-1]) for title, curve in curves.items()})
    lines = tuple(
        Line(i % COLOURS, _steps(curve, x, y), short(title), labels[title])
        for i, (title, curve) in enumerate(curves.items())
    )
    said = "; ".join(
        f"{title}: {words.percent(curve[0])} after one trial, {words.percent(curve[-1])} at the end"
        for title, curve in curves.items()
    )
    return Lines(HEIGHT, right, x.counts(), y.ticks(), lines, f"trials; {_validation(board.first)}", said)


def incumbents(search: SearchHistory) -> Floats:
    """(trials,) the best score so far; nan before the first."""
    return incumbent_curve([trial.score for trial in search.trials])


def _same_length(searches: Sequence[SearchHistory]) -> bool:
    return len({len(search.trials) for search in searches}) == 1 and bool(searches[0].trials)


def _steps(curve: Floats, x: Scale, y: Scale, first: int = 1) -> tuple[tuple[float, float], ...]:
    """A step line through the finite values, each held until the next trial."""
    path: list[tuple[float, float]] = []
    for number, value in enumerate(curve, start=first):
        if np.isfinite(value):
            if path:
                path.append((x(number), path[-1][1]))
            path.append((x(number), y(float(value))))
    return tuple(path)


def _apart(wanted: dict[str, float], gap: float = 13.0) -> dict[str, float]:
    """Label positions near the wanted ones, at least `gap` apart and inside the figure."""
    order = sorted(wanted, key=lambda title: (wanted[title], title))
    placed: dict[str, float] = {}
    floor = TOP + 4.0
    for title in order:
        placed[title] = floor = max(wanted[title], floor)
        floor += gap
    ceiling = HEIGHT - BOTTOM + 2.0
    for title in reversed(order):
        placed[title] = min(placed[title], ceiling)
        ceiling = placed[title] - gap
    return placed


def history(record: Record) -> Lines | None:
    """Every trial's score as a dot, and the best so far as a line; one colour a search."""
    scores = [t.score for s in record.searches for t in s.trials if t.score is not None]
    if not scores:
        return None
    right = WIDTH - 16
    longest = max(len(search.trials) for search in record.searches)
    x = Scale(0, max(longest - 1, 1), LEFT, right)
    y = spanning(scores, HEIGHT - BOTTOM, TOP)
    lines = []
    for i, search in enumerate(record.searches):
        dots = tuple(
            (x(number), y(trial.score))
            for number, trial in enumerate(search.trials)
            if trial.score is not None
        )
        lines.append(Line(i % COLOURS, _steps(incumbents(search), x, y, first=0), dots=dots))
    said = (
        f"{len(scores)} scored trials; the best {words.percent(max(scores))}, "
        f"the worst {words.percent(min(scores))}"
    )
    title = f"trial (0: the published values); {_validation(record)}"
    return Lines(HEIGHT, right, x.counts(), y.ticks(), tuple(lines), title, said)


def curves(record: Record) -> Lines | None:
    """Validation score by epoch of every final training, one colour a fold, a dot at the epoch kept."""
    trained = [run for run in record.runs if run.fold is not None and run.curve]
    if not trained:
        return None
    right = WIDTH - 16
    last = max(epoch for run in trained for epoch, _ in run.curve)
    x = Scale(0, max(last, 1), LEFT, right)
    y = spanning([score for run in trained for _, score in run.curve], HEIGHT - BOTTOM, TOP)
    lines = []
    for run in trained:
        path = tuple((x(epoch), y(score)) for epoch, score in run.curve)
        dots = tuple((x(epoch), y(score)) for epoch, score in run.curve if epoch == run.best_epoch)
        lines.append(Line((run.fold or 0) % COLOURS, path, dots=dots))
    said = f"{len(trained)} trainings; the kept epochs are {_counted([run.best_epoch for run in trained])}"
    return Lines(HEIGHT, right, x.counts(), y.ticks(), tuple(lines), f"epoch; {_validation(record)}", said)


def _validation(record: Record) -> str:
    """What the vertical axis shows."""
    return f"validation {metric_name(str(record.settings.get('selection', VERDICT)))}, %"


def _counted(values: Sequence[int | None]) -> str:
    """`2 (15 times), 3 (5 times)`."""
    known = sorted(value for value in values if value is not None)
    return (
        ", ".join(f"{value} ({known.count(value)} times)" for value in dict.fromkeys(known)) or "not recorded"
    )


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
