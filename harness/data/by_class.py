"""Copies of a benchmark that keep one folder a class, as they are handed on without the official lists.

The Deep_Metric repository hands on CUB and Cars so (`train/CLASS/`, `test/CLASS/`), others put the classes side by
side, or keep the official split by image, which plays no part here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.folder import is_image
from harness.data.layout import Listed

PARTS = ("train", "test")

#: How deep the folders of the classes may lie, and how many folders beside each other may still hold them.
DEPTH, WIDTH = 3, 20


@dataclass(frozen=True)
class ByClass:
    """A copy: its folder, its classes in their order, and its images."""

    folder: Path
    classes: list[str]
    images: list[Listed[Path]]


def find_by_class(root: Path | None, names: Sequence[str], classes: int) -> ByClass | None:
    """The copy with exactly so many classes in ROOT/<name>, or in ROOT if that is its name; None where there is none.

    Where `train` and `test` share no class, the classes of `train` come first; else, and within each, they are ordered
    by their number if all begin with one, by their name if not. The halves are then the official ones, but the order
    within a half need not be.
    """
    if root is None:
        return None
    places = [root] if root.name in names else []
    for place in (*places, *(root / name for name in names)):
        for folder in _down(place, DEPTH):
            if (copy := _copy(folder, classes)) is not None:
                return copy
    return None


def _down(folder: Path, depth: int) -> Iterator[Path]:
    """A folder and those in it, the nearest first."""
    level = [folder] if folder.is_dir() else []
    for _ in range(depth + 1):
        yield from level
        inner = [_folders(place) for place in level]
        level = [place for places in inner if len(places) <= WIDTH for place in places]


def _copy(folder: Path, classes: int) -> ByClass | None:
    parts = [folder / part for part in PARTS]
    if not all(part.is_dir() for part in parts):
        parts = [folder]
    names = [_ordered([place.name for place in _folders(part)]) for part in parts]
    apart = sum(map(len, names)) == len({name for part in names for name in part})
    together = [name for part in names for name in part]
    order = together if apart else _ordered(list(dict.fromkeys(together)))
    if len(order) != classes:
        return None
    # In parts that share classes, two images of a class may have one name.
    images = [
        Listed(name, f"{name}/{file.name}" if apart else f"{part.name}/{name}/{file.name}", file)
        for part, members in zip(parts, names, strict=True)
        for name in members
        for file in sorted((part / name).iterdir())
        if is_image(file)
    ]
    return ByClass(folder, order, images)


def _ordered(names: list[str]) -> list[str]:
    digits = {name: name[: len(name) - len(name.lstrip("0123456789"))] for name in names}
    if all(digits.values()):
        return sorted(names, key=lambda name: (int(digits[name]), name))
    return sorted(names)


def _folders(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if place.is_dir() and place.name[0] != ".")
