"""How classes are divided: class-disjoint folds of the development classes, random halves of the test classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.errors import RequestError
from harness.seeding import seed_of

#: A record keeps outcomes by class for so many classes, by group of classes beyond: it stays below a megabyte.
GROUPS = 500


def class_order(class_names: Sequence[str], rule: str, *names: object) -> npt.NDArray[np.int64]:
    """Positions of the classes in the order in which folds are cut.

    rule: `contiguous` keeps the order given; `hashed` sorts by the sha256 of the class name, so that neighbours (an
        alphabet, a bird family) do not end up in one fold; `shuffled` draws an order from `names` (dataset, seed).
    """
    n = len(class_names)
    if rule == "contiguous":
        return np.arange(n)
    if rule == "hashed":
        return np.array(sorted(range(n), key=lambda c: hashlib.sha256(class_names[c].encode()).digest()))
    if rule == "shuffled":
        return np.random.default_rng(seed_of("class order", *names)).permutation(n)
    raise RequestError(f"fold rule {rule!r}: expected contiguous, hashed or shuffled")


def class_groups(class_names: Sequence[str], most: int = GROUPS) -> npt.NDArray[np.int64]:
    """(classes,) what each class is resampled with: itself, or one of `most` groups where there are more classes.

    Groups are dealt by the sha256 of the names, so they are alike in all but chance, and a bootstrap over them has the
    expected variance of one over classes; its standard error is itself off by 1 in sqrt(2 * most), 3 % for 500.
    """
    n = len(class_names)
    if n <= most:
        return np.arange(n)
    groups = np.empty(n, np.int64)
    groups[class_order(class_names, "hashed")] = np.arange(n) * most // n
    return groups


def group_names(class_names: Sequence[str]) -> list[str]:
    """What `class_groups` are called on a page: the classes' own names where each stands for itself."""
    if len(class_names) <= GROUPS:
        return list(class_names)
    sizes = np.bincount(class_groups(class_names))
    return [f"group {number + 1} ({size} classes)" for number, size in enumerate(sizes)]


def fold_classes(order: npt.NDArray[np.int64], fold: int, folds: int) -> tuple[list[int], list[int]]:
    """Training and validation classes of one fold: the rule of the Reality Check (Musgrave et al. 2020, its code).

    Of N classes in order, fold p starts at s = int(p / folds * N): the first N - V classes from s on, wrapping around,
    are for training and the V = N // folds that follow are for validation. Validation classes of the folds are
    disjoint; where folds does not divide N, the classes left over are never validated on.
    """
    n = len(order)
    if n < folds or n // folds < 1 or n - n // folds < 2:
        raise RequestError(
            f"{n} development classes cannot be cut into {folds} folds; use a dataset with more classes or fewer folds"
        )
    validation = n // folds
    start = int(fold / folds * n)
    turned = np.roll(order, -start).tolist()
    return turned[: n - validation], turned[n - validation :]


def fold_images(
    labels: npt.NDArray[np.int64], classes: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of the images of `classes`, and their labels renumbered 0 .. len(classes) - 1 by rank of the class."""
    chosen = np.sort(np.asarray(classes))
    index = np.flatnonzero(np.isin(labels, chosen))
    return index, np.searchsorted(chosen, labels[index])


def half_sets(classes: int, sets: int = 100, seed: int = 0) -> npt.NDArray[np.bool_]:
    """(sets, classes) random halves of the test classes (classes // 2 of them), the same for every entry.

    They come in complementary pairs where `classes` is even, so that every class is in equally many.
    """
    rng = np.random.default_rng(seed)
    members = np.zeros((sets, classes), dtype=bool)
    for row in range(0, sets, 2):
        shuffled = rng.permutation(classes)
        members[row, shuffled[: classes // 2]] = True
        if row + 1 < sets:
            members[row + 1, shuffled[classes - classes // 2 :]] = True
    return members
