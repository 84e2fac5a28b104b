"""A cell: one piece of work, to be done or done. Two kinds: a training, and a measurement of trainings.

A cell's key is the sha256 of everything that can change its numbers and of nothing else, so a finished cell is never
run again, by anyone, on any executor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy.typing as npt

import harness

#: How a cell ended. `failed` and `nan` are the method's doing and count against its budget; `lost` is the machine's.
STATUSES = ("ok", "nan", "failed", "lost")


@dataclass(frozen=True)
class Training:
    """Train one embedder and keep the epoch that validates best.

    protocol, dataset, method: names, for people and for seeds.
    protocol_digest, split, content, weights, source: what those names stood for (split: who is in which role; content:
        the images' bytes; weights: sha256, "" from scratch).
    recall_at: the K whose Recall@K is measured.
    values: the hyperparameters, `lr` and `own_lr` among them where they are searched.
    fold: 0 .. folds - 1.
    seed: 0 in the search, -1, -2, ... where finalists are trained again, 1 .. repetitions afterwards.
    threads: of the arithmetic on a CPU; digits depend on it.
    """

    protocol: str
    protocol_digest: str
    dataset: str
    split: str
    content: str
    recall_at: tuple[int, ...]
    weights: str
    method: str
    source: str
    values: Mapping[str, Any]
    fold: int
    seed: int
    threads: int = 1

    @cached_property
    def key(self) -> str:
        return key_of("training", asdict(self))


@dataclass(frozen=True)
class Measurement:
    """Score the best epoch of one training, or the joined embedding of a seed's folds, on the test classes."""

    trainings: tuple[str, ...]
    role: str = "test"

    @cached_property
    def key(self) -> str:
        return key_of("measurement", {"trainings": list(self.trainings), "role": self.role})


def key_of(kind: str, facts: Mapping[str, Any]) -> str:
    """sha256 of a cell's facts in canonical JSON (sorted keys, shortest floats that read back the same)."""
    text = json.dumps(
        {"kind": kind, "numerics": harness.NUMERICS, **facts},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves behind.

    curve: (epoch, validation score) at each validation, epoch 0 before the first step; fractions.
    losses: (epoch, mean loss over the epoch's steps).
    best_epoch, score: the epoch that validated best and its score.
    validation: every metric at the best epoch, as fractions.
    steps: optimiser steps that were made.
    ended: `patience` or `cap`.
    seconds: by part (`training`, `evaluation`, `total`), wall time.
    error: one line, when the status is not `ok`; `traceback` the rest.
    """

    status: str
    curve: tuple[tuple[int, float], ...] = ()
    losses: tuple[tuple[int, float], ...] = ()
    best_epoch: int = 0
    score: float = 0.0
    validation: Mapping[str, float] = field(default_factory=dict)
    steps: int = 0
    ended: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str = ""
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class MeasurementResult:
    """What a measurement leaves behind.

    metrics: dataset scores, the mean over queries, as fractions; metric names as in `harness.metrics`.
    queries, excluded: how many queries were scored, and how many had no relevant image and were left out.
    seconds: by part (`embedding`, `scoring`, `total`), wall time.
    arrays: per metric the (Q,) outcomes of the scored queries, and `query`, their positions; `half_scores` (metrics,
        sets), Recall@K on half-sets of the classes; `embeddings` (N, D) float32 as the network gives them, for a
        separate gallery also `gallery_embeddings`.
    error: one line, when the status is not `ok`.
    """

    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    queries: int = 0
    excluded: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    error: str = ""


Cell = Training | Measurement
CellResult = TrainingResult | MeasurementResult

__all__ = ["STATUSES", "Cell", "CellResult", "Measurement", "MeasurementResult", "Training", "TrainingResult"]
