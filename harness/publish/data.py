"""A board's data for its entries' pages: what one entry needs to be set against any rival, in one script.

A page opened from a folder may not read a file, but it may load a script; this one holds nothing but an object.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.publish.rows import Board
from harness.publish.scores import TUNED, VERDICT, outcomes
from harness.publish.shown import COLUMNS, Shown
from harness.record import Record
from harness.splits import group_names


def board_script(board: Board, shown: Shown | None, file: str | None) -> str:
    """`window.board = {...}`: classes, images, and by entry its class scores and neighbours.

    file: the sheet of pictures, where there is one. Scores are MAP@R of one model by class in thousandths, the mean
    over repetitions; neighbours are numbers of images (`harness.publish.shown`); `of` is each image's class, by its
    number in `classes`, or by its name where those are groups of classes.
    """
    names, groups = board.first.test_classes, group_names(board.first.test_classes)
    head: dict[str, Any] = {"columns": COLUMNS, "sheet": file, "metric": "MAP@R", "classes": groups}
    if shown is not None:
        head |= {
            "images": len(shown.places),
            "of": [names[i] for i in shown.classes] if names != groups else list(shown.classes),
            "queries": list(shown.queries),
        }
    lines = [f"{json.dumps(key)}: {_packed(value)}" for key, value in head.items()]
    entries = [f"{json.dumps(r.method)}: {_packed(_entry(board, r, shown))}" for r in board.records]
    return "window.board = {\n" + ",\n".join(lines) + ',\n"entries": {\n' + ",\n".join(entries) + "\n}};\n"


def _packed(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _entry(board: Board, record: Record, shown: Shown | None) -> dict[str, Any]:
    found: dict[str, Any] = {"title": record.method_title}
    scores = class_scores(board, record.method)
    if scores is not None:
        found["scores"] = [None if np.isnan(v) else round(1000 * float(v)) for v in scores]
    if shown is not None and record.method in shown.near:
        found["near"] = [list(row) for row in shown.near[record.method]]
    return found


def class_scores(board: Board, method: str) -> npt.NDArray[np.float64] | None:
    """(groups,) MAP@R of one model on the queries of each class (`harness.splits.class_groups`), the mean over
    repetitions; nan for a class without queries, None for an entry without scores."""
    record = next(record for record in board.records if record.method == method)
    told = outcomes(record, board.arrays[method], TUNED, VERDICT) if record.status == "complete" else None
    if told is None:
        return None
    counts = np.where(told.counts > 0, told.counts, np.nan)
    return np.asarray(told.sums.mean(axis=0) / counts)
