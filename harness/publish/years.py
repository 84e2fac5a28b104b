"""Scores over the year in which a method was published: what the field's progress looks like under one protocol.

The figure of Musgrave et al., "A Metric Learning Reality Check" (ECCV 2020), with our measured points, and the papers'
own numbers beside them where those were made on the same, whole data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.publish import words
from harness.publish.curves import COLOURS, HEIGHT, LEFT, apart
from harness.publish.rows import Board
from harness.publish.scales import BOTTOM, TOP, WIDTH, Scale, Tick, label_width, short, spanning
from harness.publish.scores import TUNED
from harness.statistics import average_ranks

#: More points than this are not labelled; the text alternative names them all.
LABELLED = 14
#: Fewer methods than this make no trend.
TREND = 5
METRIC = "precision_at_1"


@dataclass(frozen=True)
class Dot:
    """A measured method; `ends` of its interval over seeds and classes, or None."""

    x: float
    y: float
    ends: tuple[float, float] | None
    label: str
    label_y: float
    colour: int
    words: str


@dataclass(frozen=True)
class Years:
    """dots: measured. papers: positions of numbers that papers report."""

    height: float
    right: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    dots: tuple[Dot, ...]
    papers: tuple[tuple[float, float], ...]
    trend: str
    description: str


def years(board: Board, reported: pd.DataFrame) -> Years | None:
    """Recall@1 of one model by year, floors left out; None for fewer than two methods.

    reported: numbers of the papers; those on this board's dataset are drawn where the board's data are whole.
    """
    name = f"separated_{METRIC}"
    frame = board.frame[(board.frame["variant"] == TUNED) & (board.frame["kind"] != "floor")]
    frame = frame[frame[name].notna()] if name in frame else frame.iloc[:0]
    if len(frame) < 2:
        return None
    papers = _papers(board, reported)
    labelled = len(frame) <= LABELLED
    right = WIDTH - (label_width([str(t) for t in frame["title"]]) if labelled else 14)
    all_years = [int(year) for year in [*frame["year"], *papers["year"]]]
    x = Scale(min(all_years) - 0.5, max(all_years) + 0.5, LEFT, right)
    ends = frame[[f"{name}_low", f"{name}_high"]].to_numpy().ravel()
    y = spanning(
        [*frame[name], *(float(v) for v in ends if not words.missing(v)), *papers["value"]],
        HEIGHT - BOTTOM,
        TOP,
    )
    placed = apart([y(float(value)) for value in frame[name]])
    dots = tuple(_dot(row, i, placed[i], x, y, labelled) for i, (_, row) in enumerate(frame.iterrows()))
    return Years(
        height=HEIGHT,
        right=right,
        x_ticks=x.counts(),
        y_ticks=y.ticks(),
        dots=dots,
        papers=tuple(
            (x(int(year)), y(float(v))) for year, v in zip(papers["year"], papers["value"], strict=True)
        ),
        trend=_trend(frame["year"].tolist(), frame[name].tolist()),
        description="; ".join(dot.words for dot in dots),
    )


def _papers(board: Board, reported: pd.DataFrame) -> pd.DataFrame:
    """Recall@1 that papers print for this dataset; none for a partial copy, which poses another question."""
    here = (reported["dataset"] == board.first.dataset_name) & reported["year"].notna()
    first = (reported["metric"] == "recall") & (reported["k"] == 1)
    return reported[here & first] if not board.first.partial else reported.iloc[:0]


def _dot(row: pd.Series[Any], number: int, label_y: float, x: Scale, y: Scale, labelled: bool) -> Dot:
    value, title = float(row[f"separated_{METRIC}"]), str(row["title"])
    low, high = (words.number(row.get(f"separated_{METRIC}_{end}")) for end in ("low", "high"))
    return Dot(
        x=x(int(row["year"])),
        y=y(value),
        ends=None if low is None or high is None else (y(low), y(high)),
        label=short(title) if labelled else "",
        label_y=label_y,
        colour=number % COLOURS,
        words=f"{title} ({row['year']}): {words.percent(value)} {words.bracket(low, high)}",
    )


def _trend(all_years: Sequence[int], scores: Sequence[float]) -> str:
    """Spearman's rank correlation of year and score, in words."""
    if len(scores) < TREND or len(set(all_years)) < 2:
        return f"Too few methods ({len(scores)}) to speak of a trend."
    found = np.corrcoef(average_ranks(all_years), average_ranks(scores))[0, 1]
    return f"Rank correlation of year and score over {len(scores)} methods: {found:.2f}."
