"""What the loaders share: where a dataset may lie, how classes are halved, how a list becomes a set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from harness.dataset import ImageSet, Pictures
from harness.errors import MissingError, RequestError

Place = TypeVar("Place")
"""Where one image lies: a path, a member of an archive, a row of an array."""


@dataclass(frozen=True)
class Listed(Generic[Place]):
    """One image as a dataset's lists name it."""

    label: str
    image_id: str
    place: Place


def image_set(
    class_names: Sequence[str],
    images: Iterable[Listed[Place]],
    pictures: Callable[[tuple[Place, ...]], Pictures],
) -> ImageSet:
    """The images of `class_names`, in the order listed. `pictures` makes their source from their places."""
    number = {name: i for i, name in enumerate(class_names)}
    chosen = [image for image in images if image.label in number]
    return ImageSet(
        pictures=pictures(tuple(image.place for image in chosen)),
        labels=np.array([number[image.label] for image in chosen], dtype=np.int64),
        class_names=tuple(class_names),
        image_ids=tuple(image.image_id for image in chosen),
    )


def by_hash(class_names: Iterable[str]) -> list[str]:
    """The classes by the sha256 of their names, so that neighbours (a script, an alphabet) are spread."""
    return sorted(class_names, key=lambda name: hashlib.sha256(name.encode()).digest())


def halves(class_names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first half of the classes, rounded down, and the rest."""
    half = len(class_names) // 2
    return list(class_names[:half]), list(class_names[half:])


def find(
    root: Path | None, dataset: str, folders: Sequence[str], marks: Sequence[str], title: str, how: str
) -> Path:
    """The folder that holds a dataset: ROOT, ROOT/<dataset>, ROOT/<official folder> or the latter in the former.

    marks: files or folders of which one must be there. how: where the dataset is to be had, on what terms.
    Raises MissingError when none of the folders is the dataset's, RequestError when two are.
    """
    if root is None:
        raise MissingError(f"{title}: no folder of data is named; use --data DIR or DML_DATA. {how}")
    places = [root, root / dataset, *(base / f for base in (root, root / dataset) for f in folders)]
    hits = {place.resolve(): place for place in places if any((place / mark).exists() for mark in marks)}
    if len(hits) > 1:
        raise RequestError(
            f"{title} is there twice: {' and '.join(map(str, hits.values()))}; name one of them with --data"
        )
    if not hits:
        looked = ", ".join(str(place) for place in dict.fromkeys(places))
        raise MissingError(
            f"{title} is not here: no {' or '.join(marks)} in {looked}. {how} "
            "Then name the folder with --data DIR or DML_DATA"
        )
    return next(iter(hits.values()))


def present(images: Sequence[Listed[Path]]) -> list[Listed[Path]]:
    """Those of the listed images whose files are there."""
    # Each folder is read once, which is faster than asking for every file.
    names = {folder: _names(folder) for folder in {image.place.parent for image in images}}
    return [image for image in images if image.place.name in names[image.place.parent]]


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except FileNotFoundError:
        return frozenset()


def whole_or_partial(
    images: Sequence[Listed[Path]], partial: bool, title: str, root: Path
) -> tuple[list[Listed[Path]], bool]:
    """The images that are there, and whether some are absent, which is refused unless `partial`."""
    here = present(images)
    if absent := len(images) - len(here):
        if not here:
            raise MissingError(
                f"{title}: the lists in {root} are here, but none of their {len(images):,} images"
            )
        if not partial:
            there = {image.image_id for image in here}
            first = next(image.place for image in images if image.image_id not in there)
            raise MissingError(
                f"{title}: {absent:,} of {len(images):,} listed images are absent, the first is {first}. "
                f"Complete the copy in {root}, or accept it as it is with --partial"
            )
    return here, bool(absent)


def demand(title: str, what: str, expected: int, found: int) -> None:
    """Refuses a whole copy whose count is not the published one."""
    if expected != found:
        raise RequestError(
            f"{title}: {found:,} {what}, published are {expected:,}; the lists were changed or cut"
        )


def counted(images: ImageSet) -> Mapping[str, int]:
    """Images of each class, in the order of the classes."""
    counts = np.bincount(images.labels, minlength=len(images.class_names))
    return dict(zip(images.class_names, counts.tolist(), strict=True))
