"""What is attached to a study: its record, tables of its runs, trials and test classes, and figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.campaign.tracking.figures import figures_of
from harness.record import Record
from harness.splits import group_names


def attach(folder: Path, record: Record, arrays: Mapping[str, Any]) -> list[str]:
    """Write everything into `folder`; returns the tables' paths within it, which MLflow wants to be told."""
    (folder / "record.json").write_text(record.model_dump_json(by_alias=True, indent=1), encoding="utf-8")
    for name, figure in figures_of(record).items():
        (folder / "figures").mkdir(exist_ok=True)
        figure.savefig(folder / "figures" / f"{name}.png", dpi=110)
    all_rows = {"runs": run_rows(record), "trials": trial_rows(record), "classes": class_rows(record, arrays)}
    tables = {f"tables/{name}.json": rows for name, found in all_rows.items() if (rows := list(found))}
    for path, rows in tables.items():
        (folder / "tables").mkdir(exist_ok=True)
        (folder / path).write_text(table(rows), encoding="utf-8")
    return list(tables)


def run_rows(record: Record) -> Iterable[dict[str, Any]]:
    """A row for each final run: values, seed, fold (empty: the seed's folds joined) and every metric."""
    for values, runs in (("tuned", record.runs), ("published", record.published_runs)):
        for run in runs:
            yield {
                "values": values,
                "search": None if run.search is None else run.search + 1,
                "seed": run.seed,
                "fold": run.fold,
                **run.metrics,
                "best_epoch": run.best_epoch,
                "ended": run.ended,
                "seconds": round(run.seconds, 2),
            }


def trial_rows(record: Record) -> Iterable[dict[str, Any]]:
    """A row for each trial: its values, its score and that of each fold."""
    for number, search in enumerate(record.searches):
        for trial, found in enumerate(search.trials):
            yield {
                "search": number + 1,
                "trial": trial,
                "chosen": trial == search.chosen,
                "status": found.status,
                "score": found.score,
                **{f"fold{fold}": score for fold, score in enumerate(found.scores)},
                **found.values,
                "seconds": round(found.seconds, 2),
            }


def class_rows(record: Record, arrays: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """A row for each test class, or group of them where they are many: how many queries it has, and each metric's mean
    over the separated tuned runs."""
    separated = [number for number, run in enumerate(record.runs) if run.fold is not None]
    if not separated or "class_sums" not in arrays:
        return
    counts, names = np.asarray(arrays["class_counts"]), group_names(record.test_classes)
    means = np.asarray(arrays["class_sums"])[separated].mean(axis=0) / np.maximum(counts, 1)
    for number in np.flatnonzero(counts).tolist():
        scores = zip(arrays["metric_names"], means[:, number], strict=True)
        yield {
            "class": names[number],
            "queries": int(counts[number]),
            **{str(name): round(float(score), 6) for name, score in scores},
        }


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as MLflow stores its tables: pandas' `split` form without an index."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return json.dumps({"columns": names, "data": [[row.get(name) for name in names] for row in rows]})
