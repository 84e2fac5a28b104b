"""Validation against test, at one gallery size: what the smaller gallery of a validation fold is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.publish import words
from harness.publish.rows import Board
from harness.publish.scales import WIDTH, Tick, height_of, label_width, line_at, spanning
from harness.publish.scores import VERDICT
from harness.record import Record, Run


@dataclass(frozen=True)
class Sized:
    """MAP@R of a first repetition's folds: on validation, on test classes as many as those, on all test classes.

    images: of the test galleries cut to the validation's number of classes, on average.
    """

    title: str
    validation: float
    matched: float
    whole: float
    classes: int
    images: float


def sized(board: Board, record: Record) -> Sized | None:
    """None where the record keeps no scores at the validation's size, or nothing was validated."""
    arrays = board.arrays[record.method]
    scores = arrays.get("matched_scores")
    runs = _first_repetition(record.runs)
    if scores is None or not scores.size or not runs or any(VERDICT not in run.validation for run in runs):
        return None
    column = [str(name) for name in arrays["metric_names"]].index(VERDICT)
    return Sized(
        title=record.method_title,
        validation=float(np.mean([run.validation[VERDICT] for run in runs])),
        matched=float(scores[..., column].mean(dtype=np.float64)),
        whole=float(np.mean([run.metrics[VERDICT] for run in runs])),
        classes=record.development.classes // int(record.settings["folds"]),
        images=float(scores[..., -1].mean(dtype=np.float64)),
    )


def _first_repetition(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.fold is not None and run.seed == runs[0].seed]


@dataclass(frozen=True)
class Row:
    """Positions of an entry's marks on one line; `gap` is what the gallery's size leaves, in points."""

    y: float
    label: str
    validation: float
    matched: float
    whole: float
    gap: str


@dataclass(frozen=True)
class Sizes:
    """The figure; labels end and the plot begins at `left`.

    classes: of a validation fold and of the cut test galleries; whole: all test classes."""

    height: float
    left: float
    ticks: tuple[Tick, ...]
    rows: tuple[Row, ...]
    classes: int
    images: int
    whole: int
    whole_images: int
    description: str


def sizes(board: Board) -> Sizes | None:
    """One line an entry that has been validated; None where there is none."""
    told = [found for record in board.records if (found := sized(board, record)) is not None]
    if not told:
        return None
    left = label_width([found.title for found in told])
    scale = spanning([v for f in told for v in (f.validation, f.matched, f.whole)], left, WIDTH - 64)
    rows = tuple(
        Row(
            line_at(i), f.title, scale(f.validation), scale(f.matched), scale(f.whole),
            words.gain(f.matched - f.validation),
        )
        for i, f in enumerate(told)
    )  # fmt: skip
    said = "; ".join(
        f"{f.title}: validation {words.percent(f.validation)}, test at its size {words.percent(f.matched)}, "
        f"whole test {words.percent(f.whole)}"
        for f in told
    )
    return Sizes(
        height=height_of(len(rows)),
        left=left,
        ticks=scale.ticks(),
        rows=rows,
        classes=told[0].classes,
        images=round(told[0].images),
        whole=board.first.test.classes,
        whole_images=board.first.test.images,
        description=said,
    )
