"""Records made by hand for tests of what is drawn from records: plausible, small, and the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.campaign.properties import matched_scores, property_arrays
from harness.campaign.shown import page_arrays, pictures_of
from harness.engine.bench import Role, TestRoles
from harness.record import (
    PaperReference,
    Record,
    Run,
    SearchHistory,
    Side,
    Trial,
    write_record,
)
from harness.seeding import seed_of

CLASSES = 24
QUERIES = 15
FOLDS = 4
METRICS = (
    "map_at_r", "precision_at_1", "r_precision",
    *(f"recall_at_{k}" for k in (1, 2, 4, 8, 16, 32)),
)  # fmt: skip
#: How each metric lies above MAP@R, as the power to which (1 - MAP@R) is raised.
POWER = dict(zip(METRICS, (1.0, 3.0, 1.2, 3.0, 4.0, 5.5, 7.5, 9.0, 12.0), strict=True))

SPACE = {
    "alpha": {"kind": "FloatDistribution", "low": 0.5, "high": 50.0, "log": True, "step": None},
    "margin": {"kind": "FloatDistribution", "low": 0.0, "high": 1.0, "log": False, "step": None},
}


def made(
    method: str,
    level: float,
    *,
    repetitions: int = 5,
    searches: int = 1,
    published: int = 3,
    joined: bool = True,
    **changes: Any,
) -> tuple[Record, dict[str, npt.NDArray[Any]]]:
    """A complete record of a method with MAP@R near `level`, and its arrays. changes: the record's fields."""
    rng = np.random.default_rng(seed_of("made", method))
    hardness = np.random.default_rng(0).normal(0, 0.08, CLASSES)
    runs, sums = _runs(rng, level, hardness, repetitions, searches, joined)
    told, told_sums = _runs(rng, level - 0.02, hardness, published, 0, joined)
    fields: dict[str, Any] = {
        "method": method, "dataset": "glyphs", "protocol": "quick", "status": "complete",
        "method_title": method.upper(), "method_kind": "pair", "method_source": "ab" * 32,
        "paper": PaperReference(authors="A. Author", title=f"On {method}", venue="CVPR", year=2019, link=""),
        "dataset_name": "glyphs", "dataset_title": "Glyphs", "split": "5f" * 32,
        "partial": False, "shareable": True,
        "recall_at": [1, 2, 4, 8], "development": Side(classes=24, images=360),
        "test": Side(classes=CLASSES, images=CLASSES * QUERIES),
        "test_classes": [f"character {i:02d}" for i in range(CLASSES)],
        "protocol_title": "quick: demonstration, barely tuned", "protocol_digest": "d1" * 32,
        "settings": {"embedding_size": 64, "folds": FOLDS, "searches": searches, "repetitions": repetitions,
                     "trials": 6, "selection": "map_at_r", "published_repetitions": published,
                     "optimizer": "adamw", "lr": 1e-3, "weight_decay": 1e-4, "own_lr": None, "own_weight_decay": 0.0,
                     "batch_size": 32},
        "backbone": "convnet", "backbone_note": "from scratch", "space": SPACE,
        "published": {"alpha": 2.0, "margin": 0.5},
        "searches": [_search(rng, level) for _ in range(searches)], "runs": runs, "published_runs": told,
        "environment": {"commit": "0123abc", "clean": True, "torch": "2.14.1", "device": "cpu", "threads": 1},
        "seconds": {"training": 321.5, "evaluation": 20.25, "total": 341.75},
        "command": f"python run_benchmark.py --methods {method} --dataset glyphs",
    }  # fmt: skip
    arrays = {
        "metric_names": np.array(METRICS),
        "class_counts": np.full(CLASSES, QUERIES, dtype=np.int64),
        "class_sums": sums,
        "published_class_sums": told_sums,
    }
    return Record.model_validate({**fields, **changes}), arrays


def floor(level: float = 0.11, **changes: Any) -> tuple[Record, dict[str, npt.NDArray[Any]]]:
    """A record of the untrained network: no search, nothing trained."""
    record, arrays = made("untrained", level, published=0, method_kind="floor", space={}, **changes)
    still: dict[str, Any] = {"ended": "", "curve": [], "best_epoch": None, "steps": None}
    runs = [run.model_copy(update=still) for run in record.runs]
    bare = {"runs": runs, "searches": [], "published": {}, "published_runs": []}
    return record.model_copy(update=bare), arrays


def write_made(results: Path) -> None:
    """Three methods and the floor on one board, with all that pages show."""
    for record, arrays in (made("ms", 0.42), made("xbm", 0.421), made("nca", 0.30), floor()):
        write_record(results, record, {**arrays, **shown_by(record)})


def shown_by(record: Record, *, pictures: bool = True) -> dict[str, npt.NDArray[Any]]:
    """What a record keeps for its page, of embeddings that separate classes somewhat; pictures are plain squares."""
    rng = np.random.default_rng(seed_of("shown", record.method))
    labels = np.repeat(np.arange(CLASSES), QUERIES)
    embeddings = (rng.normal(size=(CLASSES, 8))[labels] + rng.normal(size=(len(labels), 8))).astype(
        np.float32
    )
    roles = TestRoles(Role(Path("none"), labels, tuple(record.test_classes)), None, (1, 2))
    measured = {"embeddings": embeddings, "query": np.arange(len(labels))}
    page = page_arrays(measured, roles, record.split)
    matched = matched_scores(measured, labels, None, 6, METRICS, (1, 2, 4, 8, 16, 32))
    page |= property_arrays(embeddings, labels, page["map_index"]) | {"matched_scores": matched[None]}
    if not pictures:
        return page
    return page | pictures_of({"test": lambda i: np.full((32, 32, 3), i % 256, np.uint8)}, record.split, page)


def _search(rng: np.random.Generator, level: float) -> SearchHistory:
    trials = []
    for number in range(6):
        scores = np.clip(level + 0.05 + rng.normal(0, 0.02, FOLDS), 0, 1).round(6).tolist()
        values = {
            "alpha": round(float(rng.uniform(1, 40)), 4),
            "margin": round(float(rng.uniform(0.1, 0.9)), 4),
        }
        if number == 0:
            values = {"alpha": 2.0, "margin": 0.5}
        trials.append(
            Trial(
                values=values, status="ok", scores=scores, score=float(np.mean(scores)), seconds=4.0 + number
            )
        )
    best = max(range(len(trials)), key=lambda i: trials[i].score or 0.0)
    return SearchHistory(trials=trials, chosen=best)


def _runs(
    rng: np.random.Generator,
    level: float,
    hardness: npt.NDArray[Any],
    repetitions: int,
    searches: int,
    joined: bool,
) -> tuple[list[Run], npt.NDArray[np.float32]]:
    """Runs in the order of their seeds, each seed's folds and then its joined one; and their class sums."""
    runs: list[Run] = []
    sums: list[npt.NDArray[Any]] = []
    for seed in range(1, repetitions + 1):
        for fold in [*range(FOLDS), *([None] if joined else [])]:
            lift = 0.05 if fold is None else rng.normal(0, 0.006)
            share = np.clip(level + lift + hardness + rng.normal(0, 0.03, CLASSES), 0.01, 0.99)
            found = np.stack([QUERIES * (1 - (1 - share) ** POWER[name]) for name in METRICS]).astype(
                np.float32
            )
            search = (seed - 1) % searches if searches else None
            runs.append(_run(search, seed, fold, found))
            sums.append(found)
    return runs, np.stack(sums) if sums else np.zeros((0, len(METRICS), CLASSES), np.float32)


def _run(search: int | None, seed: int, fold: int | None, found: npt.NDArray[np.float32]) -> Run:
    means = found.sum(1, dtype=np.float64) / (CLASSES * QUERIES)
    metrics: Mapping[str, float] = dict(zip(METRICS, means.tolist(), strict=True))
    if fold is None:
        return Run(
            search=search, seed=seed, fold=None, metrics=dict(metrics), queries=CLASSES * QUERIES, excluded=0
        )
    best = metrics["map_at_r"]
    curve = [(0, best / 2), (1, best * 0.9), (2, best), (3, best * 0.98)]
    return Run(
        search=search, seed=seed, fold=fold, metrics=dict(metrics), queries=CLASSES * QUERIES, excluded=0,
        validation={"map_at_r": best}, best_epoch=2, steps=150, ended="patience", curve=curve, seconds=3.25,
    )  # fmt: skip
