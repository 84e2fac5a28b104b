"""Pair, triplet and proxy losses against another library and against the loops that the formulas say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners
from torch import Tensor

from tests.method_batches import random_batch
from tests.method_oracles import BATCHES, CLASSES, DIMENSIONS, LargestTensor, Loss, assert_equal, built

LARGE = {f"large, seed {seed}": random_batch(seed, images=60) for seed in range(2)}


# -- the same loss in pytorch-metric-learning 2.9 -----------------------------------------------------------
def mined(loss: Callable[..., Tensor], miner: Callable[..., object]) -> Loss:
    return lambda x, labels: loss(x, labels, miner(x, labels))


def raw_distance() -> distances.LpDistance:
    return distances.LpDistance(normalize_embeddings=False)


SAME_LOSS: dict[str, tuple[str, dict[str, float], Callable[[], Loss]]] = {
    "contrastive": (
        "contrastive",
        {"pos_margin": 0.3, "neg_margin": 1.1},
        lambda: losses.ContrastiveLoss(pos_margin=0.3, neg_margin=1.1),
    ),
    "triplet": ("triplet", {"margin": 0.1}, lambda: losses.TripletMarginLoss(margin=0.1)),
    "triplet, negative margin": (
        "triplet",
        {"margin": -0.1},
        lambda: losses.TripletMarginLoss(margin=-0.1),
    ),
    "triplet, squared": (
        "triplet",
        {"margin": 0.2, "power": 2},
        lambda: losses.TripletMarginLoss(margin=0.2, distance=distances.LpDistance(power=2)),
    ),
    "triplet_hard": (
        "triplet_hard",
        {"margin": 0.2},
        lambda: mined(losses.TripletMarginLoss(margin=0.2), miners.BatchHardMiner()),
    ),
    "nca": ("nca", {"alpha": 3.0}, lambda: losses.NCALoss(softmax_scale=3.0)),
    "ms": (
        "ms",
        {"alpha": 2.0, "beta": 40.0, "base": 0.4},
        lambda: mined(
            losses.MultiSimilarityLoss(alpha=2, beta=40, base=0.4), miners.MultiSimilarityMiner(epsilon=0.1)
        ),
    ),
    "lifted": (
        "lifted",
        {"margin": 1.0},
        lambda: losses.LiftedStructureLoss(neg_margin=1, pos_margin=0, distance=raw_distance()),
    ),
}

DIFFERENT = {
    # The other library's NCA is NaN where no image has a positive.
    ("nca", "all classes distinct"),
    ("nca", "two of two classes"),
    # A zero vector is at D = 2 - 2s = 2 from every other here, and at 1 there.
    ("nca", "a zero vector"),
    ("triplet, squared", "a zero vector"),
    # Of several hardest negatives one gets the gradient there; here they share it.
    ("triplet_hard", "a zero vector"),
    ("triplet_hard", "duplicates in a class"),
}


@pytest.mark.parametrize(
    ("case", "batch"), [(c, b) for c in SAME_LOSS for b in (*BATCHES, *LARGE) if (c, b) not in DIFFERENT]
)
def test_equals_another_librarys(case: str, batch: str) -> None:
    name, values, theirs = SAME_LOSS[case]
    assert_equal(built(name, **values), theirs(), *{**BATCHES, **LARGE}[batch])


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("margin", [28.6, 80.0])
def test_arcface_equals_another_librarys(batch: str, margin: float) -> None:
    ours = built("arcface", margin=margin, scale=16.0)
    theirs = losses.ArcFaceLoss(CLASSES, DIMENSIONS, margin=margin, scale=16).double()
    weights = next(ours.parameters())
    with torch.no_grad():
        theirs.W.copy_(weights.T)
    assert_equal(ours, theirs, *BATCHES[batch])
    x, labels = BATCHES[batch]
    (slope,) = torch.autograd.grad(ours(x, labels), weights)
    (expected,) = torch.autograd.grad(theirs(x, labels), theirs.W)
    torch.testing.assert_close(slope, expected.T, rtol=1e-7, atol=1e-9)


# -- the loops that the formulas say ------------------------------------------------------------------------
def rows(x: Tensor, labels: Tensor) -> list[tuple[list[Tensor], list[Tensor]]]:
    """For each anchor the cosines to its positives and to its negatives."""
    s = F.normalize(x, dim=1) @ F.normalize(x, dim=1).T
    found = []
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        found.append(
            (
                [s[i, j] for j in others if labels[j] == labels[i]],
                [s[i, k] for k in others if labels[k] != labels[i]],
            )
        )
    return found


def total(terms: list[Tensor], x: Tensor) -> Tensor:
    """Their sum; 0, on the graph, for none."""
    return torch.stack([*terms, 0.0 * x.sum()]).sum()


def mean(terms: list[Tensor], x: Tensor) -> Tensor:
    return total(terms, x) / max(1, len(terms))


def kept(positives: list[Tensor], negatives: list[Tensor], by: float) -> tuple[list[Tensor], list[Tensor]]:
    """Pairs that overlap with the other kind by less than `by`."""
    if not positives or not negatives:
        return [], []
    low, high = min(positives), max(negatives)
    return [s for s in positives if s - by < high], [s for s in negatives if s + by > low]


def contrastive_seed_loop(x: Tensor, labels: Tensor) -> Tensor:
    terms = [1 - s for p, _ in rows(x, labels) for s in p]
    terms += [s for _, n in rows(x, labels) for s in n if s > 0.3]
    return total(terms, x) / len(x)


def hard_mining_loop(x: Tensor, labels: Tensor) -> Tensor:
    terms = []
    for positives, negatives in rows(x, labels):
        p, n = kept(positives, negatives, 0.2)
        if n:
            terms += [mean([1 - s for s in p], x), mean(n, x)]
    return total(terms, x) / len(x)


def binomial_loop(x: Tensor, labels: Tensor) -> Tensor:
    terms = []
    for p, n in rows(x, labels):
        terms.append(mean([torch.log1p((-2 * (s - 0.4)).exp()) for s in p], x))
        terms.append(mean([torch.log1p((30 * (s - 0.4)).exp()) for s in n], x))
    return total(terms, x) / len(x)


def mined_binomial_loop(x: Tensor, labels: Tensor) -> Tensor:
    terms = []
    for p, n in (kept(*row, 0.1) for row in rows(x, labels)):
        if p and n:
            terms.append(2 / 3 * mean([torch.log1p((-3 * (s - 0.4)).exp()) for s in p], x))
            terms.append(2 / 30 * mean([torch.log1p((30 * (s - 0.4)).exp()) for s in n], x))
    return total(terms, x) / len(x)


def lifted_seed_loop(x: Tensor, labels: Tensor) -> Tensor:
    terms = []
    for p, n in rows(x, labels):
        if p:
            terms.append(2 / 3 * torch.stack([(-3 * s).exp() for s in p]).sum().log())
        if n:
            terms.append(2 / 30 * torch.stack([(30 * s).exp() for s in n]).sum().log())
    return total(terms, x) / len(x)


def mined_lifted_seed_loop(x: Tensor, labels: Tensor) -> Tensor:
    terms = []
    for p, n in (kept(*row, 0.1) for row in rows(x, labels)):
        if p and n:
            terms.append(2 / 3 * torch.stack([(-3 * s).exp() for s in p]).sum().log())
            terms.append(2 / 30 * torch.stack([(30 * s).exp() for s in n]).sum().log())
    return total(terms, x) / len(x)


def nca_knn_loop(x: Tensor, labels: Tensor) -> Tensor:
    terms = []
    for p, n in rows(x, labels):
        if not p:
            continue
        near = sorted([(s, True) for s in p] + [(s, False) for s in n], key=lambda pair: -pair[0].item())[:5]
        if not any(positive for _, positive in near):
            near.append((max(p), True))
        chosen = torch.stack([(10 * s).exp() for s, positive in near if positive]).sum()
        terms.append(-(chosen / torch.stack([(10 * s).exp() for s, _ in near]).sum()).log())
    return total(terms, x) / len(x)


def semihard_loop(x: Tensor, labels: Tensor) -> Tensor:
    terms = []
    for p, n in rows(x, labels):
        for s in p if n else []:
            d, others = 2 - 2 * s, [2 - 2 * k for k in n]
            farther = [k for k in others if k > d]
            terms.append((d - (min(farther) if farther else max(others)) + 0.2).clamp_min(0))
    return mean(terms, x)


LOOPS: dict[str, tuple[str, dict[str, float], Loss]] = {
    "contrastive_seed": ("contrastive_seed", {"margin": 0.3}, contrastive_seed_loop),
    "hard_mining": ("hard_mining", {"margin": 0.2}, hard_mining_loop),
    "binomial": ("binomial", {"alpha": 30.0, "margin": 0.4}, binomial_loop),
    "binomial, mined": (
        "binomial",
        {"alpha": 30.0, "beta": 3.0, "margin": 0.4, "mining": True},
        mined_binomial_loop,
    ),
    "lifted_seed": ("lifted_seed", {"alpha": 30.0, "beta": 3.0}, lifted_seed_loop),
    "lifted_seed, mined": (
        "lifted_seed",
        {"alpha": 30.0, "beta": 3.0, "mining": True},
        mined_lifted_seed_loop,
    ),
    "nca_knn": ("nca_knn", {"alpha": 10.0, "neighbours": 5}, nca_knn_loop),
    "triplet_semihard": ("triplet_semihard", {"margin": 0.2}, semihard_loop),
}


# Ties: which of several equal neighbours is the nearest is anybody's choice.
TIED = {
    ("nca_knn", "a zero vector"),
    ("nca_knn", "duplicates across classes"),
    ("triplet_semihard", "a zero vector"),
}


@pytest.mark.parametrize(("case", "batch"), [(c, b) for c in LOOPS for b in BATCHES if (c, b) not in TIED])
def test_equals_the_loop(case: str, batch: str) -> None:
    name, values, loop = LOOPS[case]
    assert_equal(built(name, **values), loop, *BATCHES[batch])


@pytest.mark.parametrize("batch", BATCHES)
def test_proxy_nca_equals_the_loop(batch: str) -> None:
    objective = built("proxy_nca", scale=5.0)
    proxies = F.normalize(next(objective.parameters()).detach(), dim=1)

    def loop(x: Tensor, labels: Tensor) -> Tensor:
        terms = []
        for f, y in zip(F.normalize(x, dim=1), labels, strict=True):
            d = [2 - 2 * (f @ p) for p in proxies]
            terms.append(
                5 * d[y] + torch.stack([(-5 * d[c]).exp() for c in range(CLASSES) if c != y]).sum().log()
            )
        return torch.stack(terms).mean()

    assert_equal(objective, loop, *BATCHES[batch])


# -- what all of them share ---------------------------------------------------------------------------------
PAIR_LOSSES = [
    "contrastive", "contrastive_seed", "triplet", "triplet_semihard", "triplet_hard", "nca", "nca_knn", "ms",
    "binomial", "lifted_seed", "hard_mining",
]  # fmt: skip


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_a_memory_that_holds_the_batch_gives_the_batchs_own_loss(name: str) -> None:
    x, labels = random_batch(3)
    objective = built(name)
    others = ~torch.eye(len(labels), dtype=torch.bool)
    found = objective(x, labels, references=x, reference_labels=labels, valid=others)
    torch.testing.assert_close(found, objective(x, labels), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_pairs_with_empty_slots_do_not_count(name: str) -> None:
    x, labels = random_batch(3)
    memory, memory_labels = random_batch(4)
    full = torch.ones(24, 24, dtype=torch.bool)
    padded = (
        torch.cat([memory, torch.zeros(8, DIMENSIONS)]),
        torch.cat([memory_labels, torch.zeros(8).long()]),
    )
    found = built(name)(x, labels, *padded, F.pad(full, (0, 8)))
    expected = built(name)(x, labels, memory, memory_labels, full)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [*PAIR_LOSSES, "lifted", "proxy_nca", "arcface"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    x, labels = random_batch(11, per_class=2, images=8, dimensions=4)
    objective = built(name, classes=4, dimensions=4)
    assert torch.autograd.gradcheck(lambda x: objective(x, labels), x.requires_grad_())


def test_no_tensor_of_triplets_is_built() -> None:
    x, labels = random_batch(1, images=64)
    with LargestTensor() as largest:
        built("triplet")(x.requires_grad_(), labels).backward()
    assert largest.numel <= 64 * 64
