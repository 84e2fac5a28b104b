"""Records to boards: one for all entries made under equal conditions, with the verdicts of its comparison."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.audit import Audit, audit_place, read_audit
from harness.errors import RequestError
from harness.publish.scores import TUNED, VERDICT, Arrays, outcomes, rows_of
from harness.record import Record, read_records
from harness.record_arrays import checked_arrays
from harness.statistics import Comparison, Outcomes, compare
from harness.submission import Submission, read_submissions
from harness.thumbnails import Pixels, read_thumbnails


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
    def complete(self) -> tuple[Record, ...]:
        """The entries with scores, the best first."""
        return tuple(record for record in self.records if record.status == "complete")

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

    def compared_outcomes(self) -> dict[str, Outcomes]:
        """What the verdicts were made of, by method, the best first."""
        told = {
            record.method: outcomes(record, self.arrays[record.method], TUNED, VERDICT)
            for record in self.records
            if record.method in self.compared
        }
        return {method: found for method, found in told.items() if found is not None}

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
        groups[_conditions(record)].append((record, checked_arrays(path, record)))
        folders[_conditions(record)] = path.parent
    submitted = read_submissions(results)
    places = [key[:2] for key in groups]
    boards = []
    for key, entries in groups.items():
        protocol, dataset, digest, split, backbone = key
        slug = f"{protocol}/{dataset}"
        # The same names with another digest, split or backbone are another board, and its folder says so.
        if places.count(key[:2]) > 1:
            slug += f"-{digest[:6]}-{split[:6]}-{re.sub('[^A-Za-z0-9_.-]+', '-', backbone)}"
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
    found = {}
    for record in records:
        path = audit_place(results, record.protocol, record.dataset, record.method)
        if path.is_file() and (audit := read_audit(path)).key == record.key:
            found[record.method] = audit
    return found


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
    rows = [row for record, arrays in entries for row in rows_of(record, arrays)]
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
