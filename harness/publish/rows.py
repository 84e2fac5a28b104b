"""Records to rows: one board for all entries made under equal conditions.

A row is a tuned entry, or its repetitions at the published values. All scores are fractions in [0, 1], all
times seconds; what cannot be said (of an incomplete entry, of a single repetition) is missing, never guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.audit import Audit, audit_place, read_audit
from harness.errors import RequestError
from harness.publish.flags import flags
from harness.record import Record, Run, read_arrays, read_records
from harness.statistics import (
    Comparison,
    Interval,
    Outcomes,
    compare,
    measured_widening,
    outcomes_of,
    seed_interval,
    two_way_interval,
)
from harness.submission import Submission, read_submissions
from harness.thumbnails import Pixels, read_thumbnails

Arrays = Mapping[str, npt.NDArray[Any]]

#: The metrics of the Reality Check, in its order; the last one carries the verdicts.
STUDY = ("precision_at_1", "r_precision", "map_at_r")
VERDICT = "map_at_r"
#: One model at a time (mean over the folds' models), and the folds' embeddings joined into one.
VIEWS = ("separated", "joined")
TUNED, PUBLISHED = "tuned", "published"


@dataclass(frozen=True)
class Board:
    """Entries that may be compared: one protocol digest, one split, one backbone.

    slug: the board's folder under `results/site`.
    records: in the order of the frame's tuned rows.
    frame: one row an entry and variant (`tuned`, `published`), indexed by (method, variant).
    comparison: verdicts over the methods in `compared`, or None where fewer than two can be compared.
    arrays: what lies beside each record, by method.
    thumbnails: the images that the entries show, where they may be shown (`harness.thumbnails`).
    submissions: embeddings of the same test images that were made elsewhere.
    audits: sealed test curves of entries that were audited, by method.
    """

    slug: str
    records: tuple[Record, ...]
    frame: pd.DataFrame
    compared: tuple[str, ...]
    comparison: Comparison | None
    arrays: Mapping[str, Arrays]
    thumbnails: Mapping[str, Pixels]
    submissions: tuple[Submission, ...] = ()
    audits: Mapping[str, Audit] = field(default_factory=dict)

    @property
    def first(self) -> Record:
        """A record to read what all entries share."""
        return self.records[0]

    @property
    def folds(self) -> int:
        return int(self.first.settings["folds"])

    @property
    def dimension(self) -> int:
        """Length of one model's embedding."""
        return int(self.first.settings["embedding_size"])

    @property
    def dataset_title(self) -> str:
        """The dataset's title, which says it where the copy is partial."""
        title = self.first.dataset_title
        return f"{title} (partial)" if self.first.partial and "partial" not in title else title

    @property
    def title(self) -> str:
        return f"{self.dataset_title} under {self.first.protocol_title}"

    @property
    def recall(self) -> tuple[str, ...]:
        """The Recall@K metrics that the field reports on this dataset."""
        return tuple(f"recall_at_{k}" for k in self.first.recall_at)

    def row(self, method: str, variant: str) -> pd.Series[Any]:
        """One row of the frame."""
        return self._rows[method, variant]

    @cached_property
    def _rows(self) -> dict[tuple[str, str], pd.Series[Any]]:
        return {(str(row["method"]), str(row["variant"])): row for _, row in self.frame.iterrows()}

    def most(self, column: str) -> int:
        """The largest value of a count over the tuned rows."""
        return int(self.frame.loc[self.frame["variant"] == TUNED, column].max())


def read_boards(results: Path) -> list[Board]:
    """Every board that the records under `results` make: whole data first, then by dataset and protocol."""
    groups: dict[tuple[str, ...], list[tuple[Record, Arrays]]] = defaultdict(list)
    folders: dict[tuple[str, ...], Path] = {}
    for path, record in read_records(results):
        groups[_conditions(record)].append((record, read_arrays(path)))
        folders[_conditions(record)] = path.parent
    submitted = read_submissions(results)
    places = [key[:2] for key in groups]
    boards = []
    for key, entries in groups.items():
        protocol, dataset, digest, split, backbone = key
        slug = f"{protocol}/{dataset}"
        # The same names with another digest, split or backbone are another board, and its folder says so.
        if places.count(key[:2]) > 1:
            slug += f"-{digest[:6]}-{split[:6]}-{backbone}"
        board = make_board(slug, entries, read_thumbnails(folders[key]))
        boards.append(
            replace(
                board,
                submissions=tuple(one for one in submitted if one.split == split),
                audits=_audits(results, board.records),
            )
        )
    return sorted(boards, key=lambda board: (board.first.partial, board.first.dataset, board.slug))


def _audits(results: Path, records: Sequence[Record]) -> dict[str, Audit]:
    """Audits of just these records: one with another key was made with another entry."""
    places = {r.method: audit_place(results, r.protocol, r.dataset, r.method) for r in records}
    found = {method: read_audit(path) for method, path in places.items() if path.is_file()}
    return {r.method: found[r.method] for r in records if r.method in found and found[r.method].key == r.key}


def _conditions(record: Record) -> tuple[str, str, str, str, str]:
    """What must be equal between two entries of one board."""
    return record.protocol, record.dataset, record.protocol_digest, record.split, record.backbone


def make_board(
    slug: str, entries: Sequence[tuple[Record, Arrays]], thumbnails: Mapping[str, Pixels] | None = None
) -> Board:
    """The board of entries made under equal conditions. Raises RequestError where they were not."""
    conditions = {_conditions(record)[2:] for record, _ in entries}
    if len(conditions) != 1:
        raise RequestError(
            f"{slug}: {len(conditions)} combinations of protocol digest, split and backbone; a table takes one"
        )
    compared, comparison = _compare(entries)
    rows = [row for record, arrays in entries for row in _rows(record, arrays)]
    frame = pd.DataFrame(rows).set_index(["method", "variant"], drop=False)
    frame = _in_order(_with_verdicts(frame, compared, comparison))
    by_name = {record.method: record for record, _ in entries}
    tuned = frame.loc[frame["variant"] == TUNED, "method"]
    return Board(
        slug=slug,
        records=tuple(by_name[name] for name in tuned),
        frame=frame,
        compared=compared,
        comparison=comparison,
        arrays={record.method: arrays for record, arrays in entries},
        thumbnails=thumbnails or {},
    )


# -- one row -----------------------------------------------------------------------------------------


def _rows(record: Record, arrays: Arrays) -> Iterator[dict[str, Any]]:
    """An entry's rows; what is incomplete or failed has one, without a score."""
    facts = {
        "method": record.method, "title": record.method_title, "year": record.paper.year,
        "kind": record.method_kind, "ranked": record.ranked, "caveat": record.caveat,
        "status": record.status, "why": record.why,
    }  # fmt: skip
    counts = {"variant": TUNED, "repetitions": _count(record.runs), "searches": len(record.searches)}
    tuned = facts | counts | {"flags": "; ".join(flags(record))} | _times(record)
    if record.status != "complete":
        yield tuned
        return
    yield tuned | _scores(record, arrays, TUNED)
    if record.published_runs:
        counts = {"variant": PUBLISHED, "repetitions": _count(record.published_runs), "searches": 0}
        yield facts | counts | {"flags": ""} | _scores(record, arrays, PUBLISHED)


def _count(runs: Sequence[Run]) -> int:
    return len({(run.search, run.seed) for run in runs})


def _times(record: Record) -> dict[str, float]:
    return {f"seconds_{part}": value for part, value in sorted(record.seconds.items())}


def _scores(record: Record, arrays: Arrays, variant: str) -> dict[str, float]:
    """Means and intervals of every metric in both views, under flat names (`separated_map_at_r_low`)."""
    runs = record.runs if variant == TUNED else record.published_runs
    found: dict[str, float] = {}
    for view in VIEWS:
        for metric in sorted({name for run in runs for name in run.metrics}):
            if values := values_of(runs, metric, view):
                interval = seed_interval(values)
                found[f"{view}_{metric}"] = interval.mean
                found |= _ends(f"{view}_{metric}_seed", interval)
    for metric in (*STUDY, *(f"recall_at_{k}" for k in record.recall_at)):
        if (told := outcomes(record, arrays, variant, metric)) is not None:
            found |= _both(record, arrays, variant, metric, told)
    return found


def _both(record: Record, arrays: Arrays, variant: str, metric: str, told: Outcomes) -> dict[str, float]:
    """The interval over repetitions and classes; where half-sets were scored, widened by what they measured."""
    factor = measured_widening(*_side(record, arrays, variant), metric, told)
    name = f"separated_{metric}"
    interval = two_way_interval(told, widening=factor or 1.0)
    # A score is never below 0 or above 1, whatever Student's t allows.
    found = {f"{name}_low": max(interval.low, 0.0), f"{name}_high": min(interval.high, 1.0)}
    return found if factor is None else {**found, f"{name}_widening": factor}


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}


def values_of(runs: Sequence[Run], metric: str, view: str) -> list[float]:
    """One value a repetition: the mean over its folds first, or the score of its joined embedding."""
    groups: dict[tuple[int | None, int], list[float]] = defaultdict(list)
    for run in runs:
        if (run.fold is None) == (view == "joined"):
            groups[run.search, run.seed].append(run.metrics[metric])
    return [float(np.mean(group)) for group in groups.values()]


def outcomes(record: Record, arrays: Arrays, variant: str, metric: str) -> Outcomes | None:
    """What the class bootstrap needs of one metric, or None where the record keeps no class sums of it."""
    record, arrays = _side(record, arrays, variant)
    if metric not in [str(name) for name in arrays.get("metric_names", ())] or not record.runs:
        return None
    if len(arrays["class_sums"]) != len(record.runs):
        raise RequestError(
            f"{record.method} on {record.dataset}: {len(arrays['class_sums'])} rows of {variant} class sums "
            f"for {len(record.runs)} runs; run the entry again"
        )
    return outcomes_of(record, arrays, metric)


def _side(record: Record, arrays: Arrays, variant: str) -> tuple[Record, Arrays]:
    """The record and its arrays as they are, or with the runs at the published values in their place."""
    if variant == TUNED:
        return record, arrays
    by_run = ("class_sums", "half_scores")
    shared = {name: array for name, array in arrays.items() if name not in by_run}
    own = {name: arrays[f"published_{name}"] for name in by_run if f"published_{name}" in arrays}
    return record.model_copy(update={"runs": record.published_runs}), {
        "class_sums": np.empty(0),
        **shared,
        **own,
    }


# -- verdicts ----------------------------------------------------------------------------------------


def _compare(entries: Sequence[tuple[Record, Arrays]]) -> tuple[tuple[str, ...], Comparison | None]:
    """Verdicts on separated MAP@R between the entries that are complete and may be ranked."""
    told = [
        found
        for record, arrays in entries
        if record.status == "complete" and record.ranked
        if (found := outcomes(record, arrays, TUNED, VERDICT)) is not None
    ]
    names = tuple(one.name for one in told)
    return (names, compare(told)) if len(told) > 1 else (names, None)


def _with_verdicts(
    frame: pd.DataFrame, compared: Sequence[str], comparison: Comparison | None
) -> pd.DataFrame:
    """The frame with rank interval, letters and whether an entry is not separable from the best."""
    frame = frame.copy()
    frame["rank_low"] = pd.array([pd.NA] * len(frame), dtype="Int64")
    frame["rank_high"] = pd.array([pd.NA] * len(frame), dtype="Int64")
    frame["letters"] = ""
    frame["best"] = False
    if comparison is None:
        return frame
    for i, method in enumerate(compared):
        row = (method, TUNED)
        frame.loc[row, "rank_low"] = int(comparison.rank_low[i])
        frame.loc[row, "rank_high"] = int(comparison.rank_high[i])
        frame.loc[row, "letters"] = str(comparison.letters[i])
        frame.loc[row, "best"] = bool(comparison.best[i])
    return frame


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Best separated MAP@R first, each published row under its tuned one, entries without a score last."""
    name = f"separated_{VERDICT}"
    if name not in frame:
        frame[name] = np.nan
    tuned = frame[frame["variant"] == TUNED].set_index("method")[name]
    level = frame["method"].map(tuned).fillna(-1.0)
    keys = zip(-level, frame["method"], frame["variant"] != TUNED, range(len(frame)), strict=True)
    return frame.iloc[[key[-1] for key in sorted(keys)]]
