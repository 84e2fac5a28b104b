"""The Reality Check's methods, against worked-out values, another library, and plain loops."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners, regularizers
from torch import Tensor, nn

from methods.npair import n_pair
from methods.snr_contrastive import noise_to_signal
from methods.soft_triple import spread
from tests.method_batches import FIX6_PROXY_ANGLES, at_angles, fix6, random_batch
from tests.method_oracles import BATCHES, CLASSES, DIMENSIONS, LargestTensor, assert_equal, built

PROXIES = at_angles(FIX6_PROXY_ANGLES)
CENTRES = at_angles((10, 50, 60, 120)).view(2, 2, 2)  # two a class

GOLDEN = [
    ("ntxent", {"temperature": 0.07}, None, 3.8491448098),
    ("ntxent", {"temperature": 0.5}, None, 1.2971826207),
    ("margin_all", {"margin": 0.2, "beta": 1.2}, None, 0.5200239222),
    ("margin_all", {"margin": 0.2, "beta": 0.6}, None, 0.3902141851),
    ("margin_class", {"margin": 0.2, "beta": 1.2}, None, 0.5200239222),
    ("fastap", {"bins": 10}, None, 0.4227921572),
    ("fastap", {"bins": 20}, None, 0.3743697678),
    ("snr_contrastive", {"pos_margin": 0.0, "neg_margin": 1.0}, None, 24.6484010514),
    ("ms_all_pairs", {"alpha": 2.0, "beta": 50.0, "base": 0.5}, None, 0.8509836312),
    ("ms_miner", {"alpha": 2.0, "beta": 50.0, "base": 0.5, "epsilon": 0.1}, None, 0.8241504927),
    ("ms_miner", {"alpha": 2.0, "beta": 40.0, "base": 0.5, "epsilon": 0.1}, None, 0.8246172008),
    ("proxy_nca_rc", {"scale": 1.0}, PROXIES, 0.4193712000),
    ("proxy_nca_rc", {"scale": 9.0}, PROXIES, 1.8102279270),
    ("norm_softmax", {"temperature": 0.05}, PROXIES, 2.0058389197),
    ("cosface", {"margin": 0.35, "scale": 64.0}, PROXIES, 12.5271002861),
    ("soft_triple", {"tau": 0.0, "centers": 2}, CENTRES, 0.3633949109),
    ("soft_triple", {"tau": 1.0, "centers": 2}, CENTRES, 0.3633949109 + 0.4210131490),
]


@pytest.mark.parametrize(("name", "values", "vectors", "expected"), GOLDEN)
def test_worked_out_values(
    name: str, values: dict[str, float], vectors: Tensor | None, expected: float
) -> None:
    objective = built(name, classes=2, dimensions=2, **values)
    if "beta" in dict(objective.named_parameters()):
        vectors = torch.tensor(values["beta"], dtype=torch.float64)
    if vectors is not None:
        with torch.no_grad():
            next(objective.parameters()).copy_(vectors)
    assert objective(*fix6()).item() == pytest.approx(expected, abs=1e-9)


def test_worked_out_value_of_npair() -> None:
    x, labels = fix6()
    assert n_pair(x, labels, l2=0.0).item() == pytest.approx(0.6226914408, abs=1e-9)


def _of_unit_vectors(loss: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, labels: loss(F.normalize(x, dim=1), labels)


def _mined(x: Tensor, labels: Tensor) -> Tensor:
    pairs = miners.MultiSimilarityMiner(epsilon=0.1)(x, labels)
    loss = losses.MultiSimilarityLoss(alpha=2, beta=40, base=0.5)(x, labels, pairs)
    assert isinstance(loss, Tensor)
    return loss


# Method, its values, and the same loss in pytorch-metric-learning 2.9.
SAME_LOSS: dict[str, tuple[dict[str, float], Callable[[], Callable[[Tensor, Tensor], Tensor]]]] = {
    "ntxent": ({"temperature": 0.1}, lambda: losses.NTXentLoss(temperature=0.1)),
    "margin_all": (
        {"margin": 0.2, "beta": 1.2},
        lambda: losses.MarginLoss(margin=0.2, nu=0, beta=1.2, triplets_per_anchor="all"),
    ),
    "margin_class": (
        {"margin": 0.3, "beta": 1.0},
        lambda: losses.MarginLoss(margin=0.3, nu=0, beta=1.0, num_classes=CLASSES, learn_beta=True),
    ),
    "fastap": ({"bins": 10}, lambda: losses.FastAPLoss(num_bins=10)),
    "snr_contrastive": (
        {"pos_margin": 0.3, "neg_margin": 1.1, "weight": 0.2},
        lambda: _of_unit_vectors(
            losses.ContrastiveLoss(
                pos_margin=0.3,
                neg_margin=1.1,
                distance=distances.SNRDistance(),
                embedding_regularizer=regularizers.ZeroMeanRegularizer(),
                embedding_reg_weight=0.2,
            )
        ),
    ),
    "ms_all_pairs": (
        {"alpha": 2.0, "beta": 50.0, "base": 0.5},
        lambda: losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5),
    ),
    "ms_miner": ({"alpha": 2.0, "beta": 40.0, "base": 0.5, "epsilon": 0.1}, lambda: _mined),
}


# Left out: a zero vector is at D = 2 from all others here and at 1 there; the other library divides by its variance.
DIFFERENT = {("fastap", "a zero vector"), ("snr_contrastive", "a zero vector")}


@pytest.mark.parametrize(
    ("name", "batch"), [(name, b) for name in SAME_LOSS for b in BATCHES if (name, b) not in DIFFERENT]
)
def test_pair_losses_equal_another_librarys(name: str, batch: str) -> None:
    values, theirs = SAME_LOSS[name]
    assert_equal(built(name, **values), theirs(), *BATCHES[batch])


# Method, its values, the loss in pytorch-metric-learning 2.9 and the name of its vectors; columns: one a class.
SAME_PROXY_LOSS: dict[str, tuple[dict[str, float], Callable[[], nn.Module], str, bool]] = {
    "norm_softmax": (
        {"temperature": 0.05},
        lambda: losses.NormalizedSoftmaxLoss(CLASSES, DIMENSIONS, temperature=0.05),
        "W",
        True,
    ),
    "cosface": (
        {"margin": 0.35, "scale": 64.0},
        lambda: losses.CosFaceLoss(CLASSES, DIMENSIONS, margin=0.35, scale=64),
        "W",
        True,
    ),
    "proxy_nca_rc": (
        {"scale": 9.0},
        lambda: losses.ProxyNCALoss(CLASSES, DIMENSIONS, softmax_scale=9),
        "proxies",
        False,
    ),
    "soft_triple": (
        {"la": 20.0, "gamma": 0.1, "margin": 0.01, "tau": 0.0, "centers": 3},
        lambda: losses.SoftTripleLoss(
            CLASSES, DIMENSIONS, centers_per_class=3, la=20, gamma=0.1, margin=0.01
        ),
        "fc",
        True,
    ),
}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", SAME_PROXY_LOSS)
def test_proxy_losses_equal_another_librarys(name: str, batch: str) -> None:
    values, make, vectors, columns = SAME_PROXY_LOSS[name]
    ours, theirs = built(name, **values), make().double()
    own, other = next(ours.parameters()), getattr(theirs, vectors)
    with torch.no_grad():
        other.copy_(own.flatten(0, -2).T if columns else own)
    x, labels = BATCHES[batch]
    assert_equal(ours, theirs, x, labels)
    (slope,) = torch.autograd.grad(ours(x, labels), own)
    (expected,) = torch.autograd.grad(theirs(x, labels), other)
    torch.testing.assert_close(
        slope.flatten(0, -2), expected.T if columns else expected, rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("per_class", [2, 3])
def test_npair_equals_another_librarys_on_the_first_pair_of_each_class(per_class: int) -> None:
    dot = distances.DotProductSimilarity(normalize_embeddings=False)
    theirs = losses.NPairsLoss(distance=dot)
    x, labels = random_batch(5, per_class)
    value, expected = n_pair(x, labels, l2=0.0), theirs(x, labels)
    assert value.item() == pytest.approx(expected.item(), rel=1e-9)


def test_npair_pairs_four_of_a_class_in_two_rounds() -> None:
    x, labels = random_batch(6, per_class=4)
    place = (labels[:, None] == labels).tril(-1).sum(1)
    rounds = [n_pair(x[place // 2 == r], labels[place // 2 == r], l2=0.1) for r in range(2)]
    assert n_pair(x, labels, l2=0.1).item() == pytest.approx(torch.stack(rounds).mean().item(), rel=1e-12)


def test_npair_draws_its_pairs_from_torchs_generator() -> None:
    x, labels = random_batch(6, per_class=4)
    objective = built("npair")
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(objective(x, labels).item())
    assert found[0] == found[1] != found[2]


def test_soft_triple_spread_is_the_mean_over_pairs_of_centres() -> None:
    w = F.normalize(random_batch(1, images=12, dimensions=5)[0].view(3, 4, 5), dim=2)
    total = 0.0
    for c in range(3):
        for k in range(4):
            for j in range(k + 1, 4):
                total += float((2 + 1e-5 - 2 * w[c, k] @ w[c, j]).sqrt())
    assert spread(w).item() == pytest.approx(total / (3 * 4 * 3), rel=1e-9)  # C K (K - 1)


def test_noise_to_signal_is_a_ratio_of_variances() -> None:
    x, _ = random_batch(2, images=6, dimensions=5)
    ratio = noise_to_signal(x, x)
    for i in range(6):
        for j in range(6):
            assert ratio[i, j].item() == pytest.approx(((x[i] - x[j]).var() / x[i].var()).item(), abs=1e-12)


@pytest.mark.parametrize(
    "name", ["ntxent", "margin_all", "fastap", "snr_contrastive", "ms_all_pairs", "ms_miner"]
)
def test_a_memory_that_holds_the_batch_gives_the_batchs_own_loss(name: str) -> None:
    x, labels = random_batch(3)
    objective = built(name)
    others = ~torch.eye(len(labels), dtype=torch.bool)
    found = objective(x, labels, references=x, reference_labels=labels, valid=others)
    torch.testing.assert_close(found, objective(x, labels), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", [*SAME_LOSS, *SAME_PROXY_LOSS])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    x, labels = random_batch(11, per_class=2, images=8, dimensions=4)
    objective = built(name, classes=4, dimensions=4)
    assert torch.autograd.gradcheck(lambda x: objective(x, labels), x.requires_grad_())


def test_gradient_of_npair_agrees_with_finite_differences() -> None:
    x, labels = random_batch(11, per_class=2, images=8, dimensions=4)
    assert torch.autograd.gradcheck(lambda x: n_pair(x, labels, l2=0.1), x.requires_grad_())


@pytest.mark.parametrize("name", ["margin_all", "margin_class"])
def test_no_tensor_of_triplets_is_built(name: str) -> None:
    x, labels = random_batch(1, images=64)
    with LargestTensor() as largest:
        value = built(name, classes=16)(x.requires_grad_(), labels)
        value.backward()
    assert largest.numel <= 64 * 64
