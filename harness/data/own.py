"""What a folder and a table of anybody's own images share: how their classes are halved, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.data.layout import by_hash, halves
from harness.dataset import Dataset, ImageSet
from harness.errors import RequestError

_SEEDED = re.compile(r"(?P<place>.*)#seed=(?P<seed>.*)", re.DOTALL)


def place_and_seed(place: Path) -> tuple[Path, int | None]:
    """`PATH#seed=3` as PATH and 3; a path without a seed as itself and None."""
    match = _SEEDED.fullmatch(str(place))
    if match is None:
        return place, None
    if not match["seed"].isascii() or not match["seed"].isdigit():
        raise RequestError(f"{place}: expected a whole number after #seed=")
    return Path(match["place"]), int(match["seed"])


def two_halves(class_names: Iterable[str], seed: int | None) -> tuple[list[str], list[str]]:
    """Development and test classes: sorted by name and halved; with a seed, shuffled by it instead of sorted."""
    return halves(sorted(class_names) if seed is None else by_hash(class_names, f"{seed}\t"))


def alone(sizes: Iterable[int]) -> str:
    """How many classes hold one image, for a title; "" where none does."""
    number = sum(size == 1 for size in sizes)
    return f", {number:,} of one image" if number else ""


def named(kind: str, name: str, dataset: Dataset, place: str) -> Dataset:
    """The dataset as records call it: `folder-birds-1a2b3c`, safe as a file's name; others' birds have other digits.

    Raises RequestError where a half has nothing to learn from or to find, since all its classes hold one image.
    """
    for role, queries, gallery in (
        ("development", dataset.development, dataset.development),
        ("test", dataset.test, dataset.gallery or dataset.test),
    ):
        if not _has_pair(queries, gallery):
            raise RequestError(
                f"{place}: none of its {len(queries.class_names):,} {role} classes has two images, so none can be "
                "found by another. Single images only stand in the way of others; add images, or split the classes "
                "in another way (#seed=1 behind the path, or a table with a column split)"
            )
    safe = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower())
    return replace(dataset, name=f"{kind}-{safe}-{dataset.split[:6]}")


def _has_pair(queries: ImageSet, gallery: ImageSet) -> bool:
    asked = np.bincount(queries.labels, minlength=len(queries.class_names))
    there = np.bincount(gallery.labels, minlength=len(queries.class_names))
    return bool(((asked > 0) & (there > (1 if gallery is queries else 0))).any())
