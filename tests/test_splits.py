"""Folds: the Reality Check's table, and the laws that hold for any number of classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RequestError
from harness.seeding import seed_of
from harness.splits import GROUPS, class_groups, class_order, fold_classes, fold_images, group_names


def spans(*pairs: tuple[int, int]) -> list[int]:
    return [c for first, last in pairs for c in range(first, last + 1)]


# protocol of the Reality Check: classes of training (wrapping) and of validation, by number of development classes.
PUBLISHED = {
    100: [
        (spans((0, 74)), spans((75, 99))),
        (spans((25, 99)), spans((0, 24))),
        (spans((50, 99), (0, 24)), spans((25, 49))),
        (spans((75, 99), (0, 49)), spans((50, 74))),
    ],
    98: [
        (spans((0, 73)), spans((74, 97))),
        (spans((24, 97)), spans((0, 23))),
        (spans((49, 97), (0, 24)), spans((25, 48))),
        (spans((73, 97), (0, 48)), spans((49, 72))),
    ],
    11317: [
        (spans((0, 8487)), spans((8488, 11316))),
        (spans((2829, 11316)), spans((0, 2828))),
        (spans((5658, 11316), (0, 2828)), spans((2829, 5657))),
        (spans((8487, 11316), (0, 5657)), spans((5658, 8486))),
    ],
}


@pytest.mark.parametrize("classes", PUBLISHED)
def test_folds_are_the_published_ones(classes: int) -> None:
    for fold, expected in enumerate(PUBLISHED[classes]):
        assert fold_classes(np.arange(classes), fold, 4) == expected


@given(st.integers(8, 400), st.integers(2, 6), st.randoms())
def test_folds_share_no_class(classes: int, folds: int, chance: object) -> None:
    order = np.random.default_rng(classes).permutation(classes)
    if classes // folds < 1:
        return
    cut = [fold_classes(order, fold, folds) for fold in range(folds)]
    for train, validation in cut:
        assert sorted(train + validation) == list(range(classes))
        assert len(validation) == classes // folds
    seen = [c for _, validation in cut for c in validation]
    assert len(seen) == len(set(seen))


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(RequestError, match="3 development classes cannot be cut into 4 folds"):
        fold_classes(np.arange(3), 0, 4)


def test_hashed_order_knows_names_and_not_places() -> None:
    names = [f"class {i}" for i in range(50)]
    order = class_order(names, "hashed")
    turned = class_order(names[::-1], "hashed")
    assert [names[c] for c in order] == [names[::-1][c] for c in turned]
    assert list(order) != list(range(50))


def test_shuffled_order_changes_with_the_seed_alone() -> None:
    names = [str(i) for i in range(30)]
    first, again = class_order(names, "shuffled", "cub", 1), class_order(names, "shuffled", "cub", 1)
    other = class_order(names, "shuffled", "cub", 2)
    assert list(first) == list(again) != list(other)
    with pytest.raises(RequestError, match="fold rule"):
        class_order(names, "sorted")


def test_labels_of_a_fold_are_ranks_of_its_classes() -> None:
    labels = np.array([4, 0, 2, 4, 1, 2])
    index, renumbered = fold_images(labels, [4, 2])
    assert index.tolist() == [0, 2, 3, 5]
    assert renumbered.tolist() == [1, 0, 1, 0]


def test_seeds_come_from_names() -> None:
    assert seed_of("a", 1) == seed_of("a", 1) != seed_of("a", 2)
    # Names are kept apart: ("ab", "c") is not ("a", "bc").
    assert seed_of("ab", "c") != seed_of("a", "bc")
    assert 0 <= seed_of("x") < 2**63


def test_few_classes_stand_for_themselves() -> None:
    names = [f"c{i}" for i in range(GROUPS)]
    assert class_groups(names).tolist() == list(range(GROUPS))
    assert group_names(names) == names


def test_many_classes_are_dealt_evenly_by_their_names_alone() -> None:
    names = [f"product {i}" for i in range(11_316)]
    groups = class_groups(names)
    sizes = np.bincount(groups)
    assert len(sizes) == GROUPS and sizes.min() >= 22 and sizes.max() <= 23
    order = np.random.default_rng(0).permutation(len(names))
    assert (class_groups([names[i] for i in order]) == groups[order]).all()
    assert abs(np.corrcoef(groups, np.arange(len(names)))[0, 1]) < 0.05, "neighbours are not kept together"
    assert group_names(names)[0] == f"group 1 ({sizes[0]} classes)"
