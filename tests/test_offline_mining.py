"""HTL and Smart Mining: worked-out values, the tree, the controller, and the batches that they lay out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from harness import Task, load_method
from methods._linkage import merge_heights
from methods._pairs import pair_masks
from methods.htl import class_distances, hinges, threshold_of
from methods.smart_mining import global_loss
from tests.method_batches import fix6, random_batch
from tests.method_training import untrained_and_trained


def built(name: str, task: Task, **values: float) -> Any:
    build = load_method(name).build
    assert build is not None
    return build(task, **values)


def unit_batch(seed: int, **sizes: int) -> tuple[Tensor, Tensor]:
    x, labels = random_batch(seed, **sizes)
    return torch.nn.functional.normalize(x), labels


# -- HTL ----------------------------------------------------------------------------------------------------
def test_htl_worked_out() -> None:
    x, labels = fix6()
    objective = built("htl", Task(2, 2)).double()
    objective.refresh(x, labels)
    assert objective.spread.tolist() == pytest.approx([0.5163601124, 1.0893163975], abs=1e-9)
    assert objective.distance[0, 1].item() == pytest.approx(1.3414907357, abs=1e-9)
    assert objective.level_distance[0, 1].item() == pytest.approx(1.4023060822, abs=1e-9)
    assert objective(x, labels).item() == pytest.approx(0.3224951122, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_htl_equals_the_loop_over_triplets(seed: int) -> None:
    x, labels = unit_batch(seed, per_class=3, images=15)
    objective = built("htl", Task(5, 16)).double()
    objective.refresh(x + 0.3 * torch.randn(15, 16, dtype=x.dtype), labels)
    total, count = 0.0, 0
    for a in range(15):
        for p in range(15):
            for k in range(15):
                if a == p or labels[a] != labels[p] or labels[a] == labels[k]:
                    continue
                margin = 0.1 + objective.level_distance[labels[a], labels[k]] - objective.spread[labels[a]]
                d_p, d_k = (x[a] - x[p]).square().sum(), (x[a] - x[k]).square().sum()
                total, count = total + float((d_p - d_k + margin).clamp_min(0)), count + 1
    assert objective(x, labels).item() == pytest.approx(total / (2 * count), rel=1e-9)


def test_class_distances_equal_the_loop() -> None:
    x, labels = unit_batch(3, per_class=4, images=20)
    between, within = class_distances(x, labels, 6)  # one class more than there are
    d = torch.cdist(x, x).square()
    for p in range(5):
        mine = labels == p
        assert within[p].item() == pytest.approx(d[mine][:, mine].sum().item() / 12)
        for q in range(5):
            expected = 0.0 if p == q else d[mine][:, labels == q].mean().item()
            assert between[p, q].item() == pytest.approx(expected, abs=1e-9)
    assert within[5] == 0 and between.isfinite().all()


@pytest.mark.parametrize("classes", [1, 2, 3, 12, 40])
def test_the_tree_is_that_of_scipy(classes: int) -> None:
    points = torch.randn(classes, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(classes))
    d = torch.cdist(points, points)
    heights = merge_heights(d)
    if classes > 1:
        expected = squareform(cophenet(linkage(squareform(d.numpy(), checks=False), "average")))
        np.testing.assert_allclose(heights.numpy(), expected, rtol=1e-9)
    assert (heights.diagonal() == 0).all()


def test_the_tree_ends_where_all_distances_are_equal() -> None:
    heights = merge_heights(torch.ones(9, 9).fill_diagonal_(0))
    assert torch.equal(heights, torch.ones(9, 9).fill_diagonal_(0))


def test_thresholds_are_the_first_above_the_height() -> None:
    heights = torch.tensor([[0.5, 1.0], [2.5, 4.0]])
    base = torch.tensor(1.0)
    assert threshold_of(heights, base, 3).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_margins_are_no_less_than_those_of_the_leaves() -> None:
    x, labels = unit_batch(4, per_class=4, images=40)
    objective = built("htl", Task(10, 16)).double()
    objective.refresh(x, labels)
    base = objective.spread.mean()
    assert (objective.level_distance >= base - 1e-12).all()


def test_hinges_have_right_gradients() -> None:
    d, labels = torch.rand(6, 6, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 2])
    positive, negative = pair_masks(labels)
    assert torch.autograd.gradcheck(lambda e: hinges(e, positive, e - 0.1, negative), d.requires_grad_())


def test_htl_batches_hold_groups_of_near_classes() -> None:
    labels = torch.arange(120) % 20
    centres = torch.stack([torch.cos(torch.arange(20) / 10), torch.sin(torch.arange(20) / 10)], dim=1)
    objective = built("htl", Task(20, 2, batch_size=24), group=3, images=4)
    objective.refresh(centres[labels], labels)
    batches = objective.batches(labels, torch.Generator().manual_seed(0))
    for _ in range(20):
        drawn = labels[next(batches)].reshape(-1, 4)
        assert (drawn == drawn[:, :1]).all(), "four images of a class follow each other"
        classes = drawn[:, 0].tolist()
        assert len(set(classes)) == len(classes) == 6
        # The first group was chosen freely: an anchor and the two nearest on the circle.
        assert all(abs(c - classes[0]) <= 2 for c in classes[1:3])


def test_htl_batches_of_few_classes_have_each_once() -> None:
    labels = torch.tensor([0, 0, 1, 2, 2, 2])
    objective = built("htl", Task(3, 2, batch_size=32))
    drawn = labels[next(objective.batches(labels, torch.Generator().manual_seed(0)))]
    assert drawn.sort().values.tolist() == [0, 0, 1, 1, 2, 2]


# -- Smart Mining -------------------------------------------------------------------------------------------
def test_global_loss_worked_out() -> None:
    assert global_loss(*fix6(), 0.8, 0.4).item() == pytest.approx(0.3121917768, abs=1e-9)


def test_global_loss_has_right_gradients() -> None:
    x, labels = random_batch(0, images=6, per_class=2, dimensions=3)
    unit = torch.nn.functional.normalize
    assert torch.autograd.gradcheck(lambda y: global_loss(unit(y), labels, 0.8, 0.4), x.requires_grad_())


def mining(images: int = 60, classes: int = 6, **values: float) -> tuple[Any, Tensor, Tensor]:
    x, labels = unit_batch(5, per_class=images // classes, images=images)
    objective = built("smart_mining", Task(classes, 16, images=images, batch_size=30), **values).double()
    objective.refresh(x, labels)
    return objective, x, labels


def test_smart_mining_equals_the_loop_over_its_triplets() -> None:
    objective, x, labels = mining()
    index = next(objective.batches(labels, torch.Generator().manual_seed(0)))
    a, p, k = x[index].reshape(3, 10, 16)
    hinges = ((a - p).square().sum(1) - (a - k).square().sum(1) + 0.2).clamp_min(0)
    expected = hinges.mean() + global_loss(x[index], labels[index], 0.8, 0.4)
    torch.testing.assert_close(objective(x[index], labels[index]), expected)


def test_mined_negatives_are_within_reach_and_positives_in_the_far_half() -> None:
    objective, x, labels = mining()
    objective.reach.fill_(3)
    d = torch.cdist(x, x)
    batches = objective.batches(labels, torch.Generator().manual_seed(0))
    ranks = set()
    for _ in range(12):
        for a, p, k in next(batches).reshape(3, 10).T.tolist():
            assert a != p and labels[a] == labels[p] and labels[a] != labels[k]
            closer = (d[a] < d[a, k]) & (labels != labels[a])
            ranks.add(int(closer.sum()))
            farther = (d[a] > d[a, p]) & (labels == labels[a])
            assert farther.sum() < 5  # nine others in the class: the farther half is five
    assert ranks == {0, 1, 2}


def test_a_pass_has_every_anchor_once_and_no_lonely_one() -> None:
    objective, _, labels = mining()
    labels = labels.clone()
    labels[7] = 6
    batches = objective.batches(labels, torch.Generator().manual_seed(0))
    objective.bank_labels = labels
    anchors = torch.cat([next(batches)[:10] for _ in range(5)])
    assert len(set(anchors.tolist())) == 50 and 7 not in anchors


def test_batches_need_something_to_compare() -> None:
    objective, _, _ = mining()
    with pytest.raises(ValueError, match="two classes"):
        next(objective.batches(torch.zeros(60, dtype=torch.int64), torch.Generator()))


@pytest.mark.parametrize(("active", "expected"), [(10, 18.0), (50, 20.0), (90, 22.0)])
def test_the_controller_moves_the_reach(active: int, expected: float) -> None:
    objective, x, labels = mining()
    objective.reach.fill_(20.0)
    objective.seen.fill_(100)
    objective.active.fill_(active)
    objective.refresh(x, labels)
    assert objective.reach.item() == pytest.approx(expected)
    assert objective.seen == objective.active == 0


def test_the_reach_keeps_its_bounds() -> None:
    objective, x, labels = mining()
    for start, active, expected in ((1.05, 0, 1.0), (195.0, 100, 200.0)):
        objective.reach.fill_(start)
        objective.seen.fill_(100)
        objective.active.fill_(active)
        objective.refresh(x, labels)
        assert objective.reach.item() == expected


def test_smart_mining_is_named_as_ours_and_kept_out_of_ranks() -> None:
    method = load_method("smart_mining")
    assert "our variant" in method.title and "our variant" in method.caveat and not method.ranked


@pytest.mark.parametrize("name", ["htl", "smart_mining"])
def test_it_learns_characters(name: str, tmp_path: Path) -> None:
    untrained, trained = untrained_and_trained(name, tmp_path)
    assert trained > untrained + 0.05
