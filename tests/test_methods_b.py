"""HDC and clustering: worked-out values, the pairs and medoids that they choose, and a small training."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import HDCMiner
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from methods._groups import group_sizes
from methods._medoids import Points, greedy, swapped, worst_medoids
from methods.clustering import FADE, oracle
from methods.hdc import Cascade, HardAware
from tests.method_batches import fix6, random_batch
from tests.method_oracles import built
from tests.method_training import untrained_and_trained


# -- HDC ----------------------------------------------------------------------------------------------------
def hdc(*shares: float, columns: int = 2, cascade: bool = True) -> HardAware:
    return HardAware([columns] * len(shares), shares, margin=1.0, phi=10.0, cascade=cascade)


@pytest.mark.parametrize(("share", "expected"), [(1, 3.3571176196), (0.5, 4.6791638095), (0.2, 5.2780922354)])
def test_worked_out_values_of_one_head(share: float, expected: float) -> None:
    assert hdc(share)(*fix6()).item() == pytest.approx(expected, abs=1e-9)


def test_worked_out_values_of_the_cascade_and_of_heads_that_choose_alone() -> None:
    x, labels = fix6()
    heads = torch.cat([x, x, x], dim=1)
    expected = 3.3571176196 + 4.6791638095 + 5.2866515608
    assert hdc(1, 0.5, 0.5)(heads, labels).item() == pytest.approx(expected, abs=1e-9)
    expected = 3.3571176196 + 4.6791638095 + 5.2780922354
    assert hdc(1, 0.5, 0.2, cascade=False)(heads, labels).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_nested_and_those_of_another_library(seed: int) -> None:
    x, labels = random_batch(seed, dimensions=48)
    # Shares of 36 positive and 240 negative pairs that leave nothing to round.
    shares, theirs, kept = (1, 0.5, 0.5), None, []
    heads = hdc(*shares, columns=16).heads(x, labels)
    parts = torch.split(x, 16, dim=1)
    for part, share, (_, positive, negative) in zip(parts, shares, heads, strict=True):
        miner = HDCMiner(filter_percentage=share, distance=LpDistance())
        if theirs is not None:
            miner.set_idx_externally(theirs, labels)
        theirs = miner(part, labels)
        # The other library lists each pair in both orders.
        a1, p, a2, n = theirs
        for mask, first, second in ((positive, a1, p), (negative, a2, n)):
            expected = torch.zeros_like(mask)
            expected[first, second] = True
            assert torch.equal(mask | mask.T, expected)
        kept.append(positive | negative)
    for before, after in itertools.pairwise(kept):
        assert (before | ~after).all() and after.sum() < before.sum()


def test_a_share_is_rounded_up_but_not_for_rounding() -> None:
    x, labels = random_batch(
        0, per_class=3, images=15, dimensions=4
    )  # 15 positive pairs: 0.2 * 15 > 3 in floats
    ((_, positive, negative),) = hdc(0.2, columns=4).heads(x, labels)
    assert (int(positive.sum()), int(negative.sum())) == (3, 18)
    ((_, positive, _),) = hdc(0.21, columns=4).heads(x, labels)
    assert int(positive.sum()) == 4


def test_gradient_of_hdc() -> None:
    x, labels = random_batch(1, per_class=2, images=8, dimensions=6)
    assert torch.autograd.gradcheck(lambda e: built("hdc", dimensions=6)(e, labels), x.requires_grad_())


@pytest.mark.parametrize(
    ("stages", "taps"), [((4, 5, 6, 7), [1, 2, 3]), ((4, 5), [0, 0, 1]), ((4,), [0, 0, 0])]
)
def test_the_heads_tap_the_last_stages(stages: tuple[int, ...], taps: list[int]) -> None:
    head = Cascade(stages, 16)
    assert head.taps == taps
    x = head([torch.randn(3, size) for size in stages])
    assert x.shape == (3, 16)
    for part in torch.split(x, group_sizes(16, (1, 1, 1)), dim=1):
        torch.testing.assert_close(part.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("dimensions", [3, 16, 64, 128, 512])
@pytest.mark.parametrize("proportions", [(1, 1, 1), (96, 160, 256)])
def test_groups_share_all_dimensions(dimensions: int, proportions: tuple[int, ...]) -> None:
    sizes = group_sizes(dimensions, proportions)
    assert sum(sizes) == dimensions and min(sizes) >= 1
    exact = [dimensions * p / sum(proportions) for p in proportions]
    assert all(abs(size - share) < 1 for size, share in zip(sizes, exact, strict=True))


# -- clustering ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("gamma", "power", "expected"), [(1, 1, 1.2627630330), (10, 1, 9.2097624860), (1, 2, 1.4527128851)]
)
def test_worked_out_values_of_clustering(gamma: float, power: int, expected: float) -> None:
    objective = built("clustering", gamma=gamma, decay=1.0, power=power)
    assert objective(*fix6()).item() == pytest.approx(expected, abs=1e-9)


def distances(x: Tensor) -> Tensor:
    x = torch.nn.functional.normalize(x)
    return torch.cdist(x, x).fill_diagonal_(0)


def score(d: Tensor, labels: Tensor, medoids: tuple[int, ...], gamma: float) -> float:
    """F(S) + γ Δ(S), from the definition, with scikit-learn's NMI."""
    nearest, own = d[:, list(medoids)].min(1)
    for slot, medoid in enumerate(medoids):
        own[medoid] = slot
    nmi = normalized_mutual_info_score(labels.numpy(), own.numpy(), average_method="geometric")
    return float(-nearest.sum()) + gamma * (1 - float(nmi))


def small_batch(seed: int) -> tuple[Tensor, Tensor]:
    return random_batch(seed, per_class=3, images=8, dimensions=4)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_found_is_a_set_that_scores_no_more_than_the_best(seed: int, gamma: float) -> None:
    x, labels = small_batch(seed)
    d, classes = distances(x), len(torch.unique(labels))
    medoids, disagreement = worst_medoids(d, labels, gamma)
    found = score(d, labels, tuple(medoids.tolist()), gamma)
    every = [score(d, labels, s, gamma) for s in itertools.combinations(range(len(d)), classes)]
    # Seldom the best, never a poor one; and the loss is of the very set that was found.
    assert np.median(every) < found <= max(every) + 1e-9
    loss = built("clustering", gamma=gamma, decay=1.0)(x, labels).item()
    assert loss == pytest.approx(max(0.0, found - oracle(d, labels).item()), abs=1e-9)
    assert gamma * float(disagreement) - float(d[:, medoids].min(1).values.sum()) == pytest.approx(found)


@pytest.mark.parametrize("seed", range(4))
def test_each_step_is_the_best_there_is(seed: int) -> None:
    """Greedy adds the best medoid; a swap never lowers the score of a medoid among its own points."""
    x, labels = small_batch(seed)
    d = distances(x)
    points = Points(d, labels, 2.0)
    chosen = tuple(greedy(points).tolist())
    for size in range(1, len(chosen) + 1):
        before, added = chosen[: size - 1], chosen[size - 1]
        scores = {j: score(d, labels, (*before, j), 2.0) for j in range(len(d)) if j not in before}
        assert scores[added] == pytest.approx(max(scores.values()), abs=1e-9)
    after = swapped(points, torch.tensor(chosen))
    assert len(set(after.tolist())) == len(chosen)


def test_the_oracle_is_the_labels_own_clustering() -> None:
    x, labels = random_batch(5, per_class=4)
    d = distances(x)
    blocks = [d[labels == c][:, labels == c] for c in torch.unique(labels)]
    assert oracle(d, labels).item() == pytest.approx(-sum(block.sum(0).min().item() for block in blocks))


@pytest.mark.parametrize(
    "assignments", [[0, 0, 0, 0, 0, 0], [0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1], [2, 2, 1, 0, 0, 0]]
)
def test_nmi_is_scikit_learns(assignments: list[int]) -> None:
    x, labels = fix6()
    found = Points(distances(x), labels, 1.0).nmi(torch.tensor([assignments]), 3)
    expected = normalized_mutual_info_score(labels.numpy(), assignments, average_method="geometric")
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_points_on_one_spot_each_belong_to_their_own_medoid() -> None:
    x, labels = torch.ones(4, 2, dtype=torch.float64), torch.tensor([0, 0, 1, 1])
    medoids, _ = worst_medoids(distances(x), labels, 1.0)
    assert len(set(medoids.tolist())) == 2
    assert built("clustering")(x, labels).isfinite()


def test_gamma_fades_with_the_steps() -> None:
    objective: Any = built("clustering", gamma=10.0, decay=0.5)
    first = objective(*fix6()).item()
    assert first == pytest.approx(9.2097624860, abs=1e-9)
    objective.step.fill_(FADE)
    assert objective(*fix6()).item() == pytest.approx(
        built("clustering", gamma=5.0)(*fix6()).item(), abs=1e-9
    )
    assert objective.step == FADE + 1


def test_gradient_of_clustering() -> None:
    x, labels = random_batch(2, per_class=2, images=6, dimensions=3)
    assert torch.autograd.gradcheck(lambda e: built("clustering")(e, labels), x.requires_grad_())


# -- a small training ---------------------------------------------------------------------------------------
def test_clustering_learns_characters(tmp_path: Path) -> None:
    untrained, trained = untrained_and_trained("clustering", tmp_path)
    assert trained > untrained + 0.05


def test_hdc_learns_characters(tmp_path: Path) -> None:
    """At a larger margin and a gentler rate than usual: its dropout is made for pretrained features."""
    untrained, trained = untrained_and_trained("hdc", tmp_path, lr=1e-3, margin=2.0)
    assert trained > untrained + 0.05
