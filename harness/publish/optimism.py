"""The optimism audit: what a method would have claimed with the test classes as a guide.

From sealed test curves (`harness.audit`), which no choice of this program has seen: the epoch that scores best on the
test classes instead of the one that validation chose, and of those the best seed alone; and the best seed's joined
embedding, as papers that report an ensemble would.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from harness.audit import Audit
from harness.publish import words
from harness.publish.rows import Board
from harness.publish.scales import WIDTH, Tick, height_of, label_width, line_at, spanning
from harness.publish.scores import VERDICT, values_of
from harness.record import Record


@dataclass(frozen=True)
class Claim:
    """MAP@R of one entry, fractions: what was measured honestly, and what could have been claimed.

    honest: mean over repetitions at the epochs that validation chose. best_epoch: the same at each training's best
    epoch on the test classes. best_seed: of that, the best repetition. joined: the best repetition's joined embedding.
    """

    title: str
    honest: float
    best_epoch: float
    best_seed: float
    joined: float | None


def claim(record: Record, audit: Audit) -> Claim | None:
    """None where the audit has no curve."""
    if not audit.curves:
        return None
    chosen: dict[int, list[float]] = defaultdict(list)
    best: dict[int, list[float]] = defaultdict(list)
    for training in audit.curves:
        scores = {epoch: metrics[VERDICT] for epoch, metrics in training.curve}
        chosen[training.seed].append(scores[training.chosen_epoch])
        best[training.seed].append(max(scores.values()))
    seeds = [float(np.mean(folds)) for folds in best.values()]
    joined = values_of(record.runs, VERDICT, "joined")
    return Claim(
        title=record.method_title,
        honest=float(np.mean([np.mean(folds) for folds in chosen.values()])),
        best_epoch=float(np.mean(seeds)),
        best_seed=max(seeds),
        joined=max(joined) if joined else None,
    )


def claims(board: Board) -> list[Claim]:
    """Those of every audited entry, the best entry first."""
    found = [claim(r, board.audits[r.method]) for r in board.complete if r.method in board.audits]
    return [one for one in found if one is not None]


@dataclass(frozen=True)
class Row:
    """Positions of a claim's marks on one line; `gap` is what epoch and seed add, in points."""

    y: float
    label: str
    honest: float
    best_epoch: float
    best_seed: float
    joined: float | None
    gap: str


@dataclass(frozen=True)
class Optimism:
    """The figure; labels end and the plot begins at `left`."""

    height: float
    left: float
    ticks: tuple[Tick, ...]
    rows: tuple[Row, ...]
    description: str


def optimism(board: Board) -> Optimism | None:
    """One line an audited entry; None where none is."""
    told = claims(board)
    if not told:
        return None
    left = label_width([found.title for found in told])
    values = [v for f in told for v in (f.honest, f.best_epoch, f.best_seed, f.joined) if v is not None]
    scale = spanning(values, left, WIDTH - 64)
    rows = tuple(
        Row(
            y=line_at(i),
            label=found.title,
            honest=scale(found.honest),
            best_epoch=scale(found.best_epoch),
            best_seed=scale(found.best_seed),
            joined=None if found.joined is None else scale(found.joined),
            gap=words.gain(found.best_seed - found.honest),
        )
        for i, found in enumerate(told)
    )
    said = "; ".join(
        f"{f.title}: honest {words.percent(f.honest)}, best epoch on test {words.percent(f.best_epoch)}, "
        f"its best seed {words.percent(f.best_seed)}, joined {words.percent(f.joined)}"
        for f in told
    )
    return Optimism(height_of(len(rows)), left, scale.ticks(), rows, said)
