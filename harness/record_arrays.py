"""What may lie beside a record: the kind and the shape of every array, checked before anything is drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import RequestError
from harness.record import Record, read_arrays

Arrays = Mapping[str, npt.NDArray[Any]]

#: Kinds of numbers, and text.
WHOLE, REAL, TEXT = "iu", "f", "U"

#: Kind and sides of each array. A side may have any size where the record says nothing of it, but one size everywhere.
FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "metric_names": (TEXT, ("metrics",)),
    "class_counts": (WHOLE, ("groups",)),
    "class_sums": (REAL, ("runs", "metrics", "groups")),
    "published_class_sums": (REAL, ("published runs", "metrics", "groups")),
    "half_scores": (REAL, ("runs", "metrics", "sets")),
    "published_half_scores": (REAL, ("published runs", "metrics", "sets")),
    "matched_scores": (REAL, ("models", "cuts", "metrics and images")),
    "map_index": (WHOLE, ("mapped",)),
    "map_class": (WHOLE, ("mapped",)),
    "map_xy": (REAL, ("mapped", "two")),
    "map_share": (REAL, ("two",)),
    "shown_query": (WHOLE, ("shown",)),
    "shown_query_class": (WHOLE, ("shown",)),
    "shown_query_id": (TEXT, ("shown",)),
    "shown_neighbours": (WHOLE, ("shown", "near")),
    "shown_class": (WHOLE, ("shown", "near")),
    "shown_similarity": (REAL, ("shown", "near")),
    "shown_id": (TEXT, ("shown", "near")),
    "shown_role": (TEXT, ()),
    "geometry": (REAL, ("geometry",)),
    "geometry_names": (TEXT, ("geometry",)),
    "deployment": (REAL, ("forms", "two")),
    "deployment_names": (TEXT, ("forms",)),
    "deployment_images": (WHOLE, ()),
}

#: Arrays that say something only together.
TOGETHER = (
    ("metric_names", "class_counts", "class_sums"),
    ("map_index", "map_class", "map_xy", "map_share"),
    ("shown_query", "shown_query_class", "shown_neighbours", "shown_class", "shown_role"),
    ("geometry", "geometry_names", "deployment", "deployment_names", "deployment_images"),
)
#: Arrays of classes, of what is never negative, and of what must be finite.
CLASSES = ("map_class", "shown_query_class", "shown_class")
POSITIVE = (
    *CLASSES,
    "map_index",
    "shown_query",
    "shown_neighbours",
    "class_counts",
    "class_sums",
    "published_class_sums",
)
FINITE = ("class_sums", "published_class_sums", "map_xy", "map_share")


def checked_arrays(path: Path, record: Record) -> dict[str, npt.NDArray[Any]]:
    """The arrays beside the record at `path`, each of the kind and shape that it should have.

    Raises RequestError naming the file and what is wrong with it.
    """
    arrays = read_arrays(path)
    if fault := _fault(arrays, record):
        raise RequestError(f"{path.with_suffix('.npz')}: {fault}; run the entry again, or remove the record")
    return arrays


def _fault(arrays: Arrays, record: Record) -> str:
    """What does not fit together; "" where all does."""
    for group in TOGETHER:
        lacking = [name for name in group if name not in arrays]
        if 0 < len(lacking) < len(group):
            return f"has no {lacking[0]}"
    return _misshapen(arrays, record) or _out_of_range(arrays, record)


def _misshapen(arrays: Arrays, record: Record) -> str:
    metrics = len(arrays.get("metric_names", ()))
    sizes = {
        "metrics": metrics, "metrics and images": metrics + 1, "two": 2,
        "runs": len(record.runs), "published runs": len(record.published_runs),
    }  # fmt: skip
    for name, array in arrays.items():
        if name not in FORMS:
            return f"holds {name[:40]!r}, which is not known"
        kind, sides = FORMS[name]
        if array.dtype.kind not in kind or array.ndim != len(sides):
            return (
                f"{name} is {array.dtype} of shape {array.shape}, expected another kind or {len(sides)} sides"
            )
        for side, size in zip(sides, array.shape, strict=True):
            if sizes.setdefault(side, size) != size:
                return f"{name} has shape {array.shape}, expected {sizes[side]} {side}"
    return ""


def _out_of_range(arrays: Arrays, record: Record) -> str:
    for name in POSITIVE:
        if name in arrays and (arrays[name] < 0).any():
            return f"{name} holds numbers below 0"
    for name in FINITE:
        if name in arrays and not np.isfinite(arrays[name]).all():
            return f"{name} holds numbers that are not finite"
    for name in CLASSES:
        if name in arrays and (arrays[name] >= len(record.test_classes)).any():
            return f"{name} holds a class that is none of the {len(record.test_classes)} test classes"
    return ""
