"""Outcomes: one entry's metric, by repetition and by test class, as intervals and comparisons need it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.errors import RequestError

if TYPE_CHECKING:
    from harness.record import Record, Run

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """One entry's per-query outcomes of one metric, summed over the queries of each test class.

    name: the entry, for messages.
    sums: (S, C) sums of the outcomes by repetition and class, the folds of a repetition averaged; outcomes
        are fractions, so a class with n queries has sums in [0, n].
    counts: (C,) queries by class.
    searches: (S,) the independent search each repetition came from; all equal where there was one.
    seeds: (S,) the repetition's seed; repetitions of two entries with one seed shared what seeds decide.
    fixed: True where nothing is drawn (an untrained backbone), so that a single repetition has no spread;
        else a single repetition's spread is unknown. Several repetitions speak for themselves.
    """

    name: str
    sums: Floats
    counts: npt.NDArray[Any]
    searches: npt.NDArray[Any]
    seeds: npt.NDArray[Any]
    fixed: bool = False

    def __post_init__(self) -> None:
        repetitions, classes = self.sums.shape
        shapes = (self.counts.shape, self.searches.shape, self.seeds.shape)
        if shapes != ((classes,), (repetitions,), (repetitions,)):
            raise RequestError(
                f"{self.name}: sums {self.sums.shape} with counts, searches and seeds {shapes}; "
                "expected (repetitions, classes) with (classes,), (repetitions,) and (repetitions,)"
            )
        if not repetitions or not self.counts.sum() > 0:
            raise RequestError(
                f"{self.name}: no repetition or no query to make statistics of; run the entry again"
            )

    @property
    def means(self) -> Floats:
        """(S,) the metric of each repetition: the plain mean over queries."""
        return np.asarray(self.sums.sum(axis=1) / self.counts.sum())


def outcomes_of(
    record: Record, arrays: Mapping[str, npt.NDArray[Any]], metric: str, *, joined: bool = False
) -> Outcomes:
    """An entry's tuned repetitions on the test classes, from its record and the arrays beside it.

    metric: a name in `arrays["metric_names"]`.
    joined: of the joined embedding of a repetition's folds, instead of the mean over folds.
    A repetition that lacks a fold is left out, so no mean mixes different folds.
    Raises RequestError where the record has no such metric or no whole repetition.
    """
    names = [str(name) for name in arrays["metric_names"]]
    if metric not in names:
        raise RequestError(f"{record.method}: its record has no {metric!r}; it has {', '.join(names)}")
    of_metric = np.asarray(arrays["class_sums"], dtype=np.float64)[:, names.index(metric)]
    rows = whole_repetitions(record.runs, joined=joined)
    if not rows:
        raise RequestError(f"{record.method}: its record has no finished run; run the entry again")
    return Outcomes(
        name=record.method,
        sums=np.stack([of_metric[of_one].mean(axis=0) for of_one in rows.values()]),
        counts=np.asarray(arrays["class_counts"]),
        searches=np.array([search for search, _ in rows]),
        seeds=np.array([seed for _, seed in rows]),
        # Steps are recorded wherever something was trained.
        fixed=not record.space and all(run.steps is None for run in record.runs if run.fold is not None),
    )


def whole_repetitions(runs: Sequence[Run], *, joined: bool = False) -> dict[tuple[int, int], list[int]]:
    """The rows of each repetition's folds (or of its joined run) by (search, seed), in that order; those that lack a
    fold are left out."""
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, run in enumerate(runs):
        if (run.fold is None) == joined:
            rows[run.search or 0, run.seed].append(row)
    folds = max((len(of_one) for of_one in rows.values()), default=0)
    return {key: rows[key] for key in sorted(rows) if len(rows[key]) == folds}


def same_queries(entries: Sequence[Outcomes]) -> None:
    """Raises RequestError where entries that are to be compared were not measured on the same queries."""
    for outcomes in entries[1:]:
        if not np.array_equal(outcomes.counts, entries[0].counts):
            raise RequestError(
                f"{outcomes.name} and {entries[0].name} were not measured on the same queries; "
                "a table holds entries of one split, so run one of them again"
            )
