"""Figures with lines over a count: the search's best so far by trials, learning curves by epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.publish import words
from harness.publish.rows import Board
from harness.publish.scales import BOTTOM, TOP, WIDTH, Scale, Tick, label_width, short, spanning
from harness.publish.scores import VERDICT
from harness.publish.tables import metric_name
from harness.record import Record, SearchHistory
from harness.statistics import incumbent_curve

Floats = npt.NDArray[np.float64]

LEFT, HEIGHT = 40, 250
#: How many colours the style sheet has for lines.
COLOURS = 8


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


def budget(board: Board) -> Lines | None:
    """The best validation score after each trial, the mean over an entry's searches; a step line."""
    told = [
        (record.method_title, curve)
        for record in board.complete
        if _same_length(record.searches)
        if np.isfinite(curve := np.mean([incumbents(search) for search in record.searches], axis=0)).any()
    ]
    if not told:
        return None
    right = WIDTH - label_width([title for title, _ in told]) + 6
    x = Scale(1, max(2, *(len(curve) for _, curve in told)), LEFT, right)
    y = spanning([v for _, curve in told for v in curve[np.isfinite(curve)]], HEIGHT - BOTTOM, TOP)
    labels = apart([y(curve[np.isfinite(curve)][-1]) for _, curve in told])
    lines = tuple(
        Line(i % COLOURS, _steps(curve, x, y), short(title), labels[i])
        for i, (title, curve) in enumerate(told)
    )
    said = "; ".join(
        f"{title}: {words.percent(curve[0])} after one trial, {words.percent(curve[-1])} at the end"
        for title, curve in told
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


def apart(wanted: Sequence[float], gap: float = 13.0) -> list[float]:
    """Label positions near the wanted ones, at least `gap` apart while they fit into the figure."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = list(wanted)
    free = TOP + 4.0
    for i in order:
        placed[i] = max(wanted[i], free)
        free = placed[i] + gap
    free = HEIGHT - BOTTOM + 2.0
    for i in reversed(order):
        placed[i] = min(placed[i], free)
        free = placed[i] - gap
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


def learning(record: Record) -> Lines | None:
    """Validation score by epoch of every final training, one colour a fold, a dot at the epoch kept."""
    trained = [run for run in record.runs if run.fold is not None and len(run.curve) > 1]
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
