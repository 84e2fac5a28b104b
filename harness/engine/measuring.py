"""Measurements on the test classes: one training's best epoch alone, or the folds of a seed joined.

The Reality Check reports both (protocol of Musgrave et al. 2020): "separated", the mean of the folds' scores at D
dimensions, and "concatenated", one score of the folds' embeddings, each of unit length, laid side by side.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from harness.cell import MeasurementResult
from harness.engine.bench import Bench, Role, TestRoles
from harness.engine.embedder import Embedder
from harness.engine.threads import arithmetic_threads
from harness.half_sets import half_set_recall
from harness.metrics import Scores, score, unit
from harness.splits import class_groups

Arrays = Mapping[str, npt.NDArray[Any]]


def measure(embedder: Embedder, bench: Bench, test: TestRoles) -> MeasurementResult:
    """Score an embedder on the test classes and keep its embeddings, float32, as the network gives them."""
    started = time.perf_counter()
    with arithmetic_threads(bench.threads):
        return _measured(*embed_test(embedder, bench, test), test, started)


def measure_joined(parts: Sequence[Arrays], test: TestRoles, threads: int) -> MeasurementResult:
    """Score the joined embedding: each part normalised, concatenated, and normalised again by the metric."""
    started = time.perf_counter()
    with arithmetic_threads(threads):
        queries = _join([part["embeddings"] for part in parts])
        gallery = None if test.gallery is None else _join([part["gallery_embeddings"] for part in parts])
        result = _measured(queries, gallery, test, started)
    # The parts hold the embeddings already; the joined ones would only double the disk.
    return replace(result, arrays={k: v for k, v in result.arrays.items() if not k.endswith("embeddings")})


def embed_test(embedder: Embedder, bench: Bench, test: TestRoles) -> tuple[Tensor, Tensor | None]:
    """Embeddings (N, columns) float32 of the queries, in order, and of the gallery where it is a separate one."""

    def embed(role: Role) -> Tensor:
        return embedder.embed(bench.inputs(role).test_batches(torch.arange(len(role.labels))))

    return embed(test.queries), None if test.gallery is None else embed(test.gallery)


def score_test(queries: Tensor, gallery: Tensor | None, test: TestRoles) -> Scores | None:
    """Scores of the test classes' embeddings; None where one of them is not finite."""
    if not all(bool(torch.isfinite(x).all()) for x in (queries, gallery) if x is not None):
        return None
    gallery_labels = None if test.gallery is None else test.gallery.labels
    return score(queries, test.queries.labels, gallery, gallery_labels, recall_at=test.recall_at)


def _join(parts: Sequence[npt.NDArray[np.float32]]) -> Tensor:
    return torch.cat([normalize(torch.from_numpy(part), dim=1) for part in parts], dim=1)


def _measured(queries: Tensor, gallery: Tensor | None, test: TestRoles, started: float) -> MeasurementResult:
    """The result of a measurement that began at `started` and has just embedded everything."""
    embedded = time.perf_counter()
    scores = score_test(queries, gallery, test)
    if scores is None:
        return MeasurementResult(status="nan", error="an embedding of a test image is not finite")
    arrays: dict[str, npt.NDArray[Any]] = dict(scores.outcomes)
    arrays["query"] = scores.query
    arrays["half_scores"] = _half_scores(queries, gallery, test, sorted(scores.metrics))
    arrays["embeddings"] = queries.cpu().numpy()
    if gallery is not None:
        arrays["gallery_embeddings"] = gallery.cpu().numpy()
    ended = time.perf_counter()
    return MeasurementResult(
        status="ok",
        metrics=scores.metrics,
        queries=scores.queries,
        excluded=scores.excluded,
        seconds={"embedding": embedded - started, "scoring": ended - embedded, "total": ended - started},
        arrays=arrays,
    )


def _half_scores(
    queries: Tensor, gallery: Tensor | None, test: TestRoles, metrics: Sequence[str]
) -> npt.NDArray[np.float32]:
    """(metrics, sets) Recall@K on half-sets of the test classes; NaN for metrics that are not a Recall@K."""
    names = ["precision_at_1", *(f"recall_at_{k}" for k in test.recall_at)]
    recall = half_set_recall(
        unit(queries, "embeddings"),
        test.queries.labels,
        None if gallery is None else unit(gallery, "gallery"),
        None if test.gallery is None else test.gallery.labels,
        groups=class_groups(test.queries.class_names),
        recall_at=(1, *test.recall_at),
    )
    nothing = np.full(recall.shape[1], np.nan, np.float32)
    rows = dict(zip(names, recall, strict=True))
    return np.stack([rows.get(name, nothing) for name in metrics])
