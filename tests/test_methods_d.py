"""The methods since the Reality Check, against worked-out values, another library, and plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import losses
from torch import Tensor, nn

from methods.hyp import ball_distances, into_ball, views_loss
from tests.method_batches import FIX6_PROXY_ANGLES, at_angles, fix6, random_batch
from tests.method_oracles import BATCHES, CLASSES, DIMENSIONS, LargestTensor, assert_equal, built

PROXIES = at_angles(FIX6_PROXY_ANGLES)

GOLDEN = [
    ("supcon", {"temperature": 0.1}, 3.5638738225),
    ("histogram", {"bins": 100}, 10 / 27),
    ("angular", {"alpha": 40.0}, 2.6528446101),
    ("angular", {"alpha": 45.0}, 4.0138218838),
    ("circle", {"m": 0.4, "gamma": 80.0}, 65.9699881744),
    ("proxy_nca_pp", {"temperature": 1.0}, 0.4193712000),
    ("proxy_nca_pp", {"temperature": 1 / 9}, 1.8102279270),
    ("proxy_anchor", {"alpha": 32.0, "delta": 0.1}, 28.5199001783),
    ("smooth_ap", {"tau": 0.01}, 0.3486614840),
    ("smooth_ap", {"tau": 0.01, "include_anchor": True}, 0.1796656173),
    ("recall_at_k", {"ks": (1, 2, 4)}, 0.4827632340),
    ("recall_at_k", {"ks": (1, 2, 4), "include_anchor": True}, 0.6682507548),
    ("tuplet_margin", {"margin": 5.73, "scale": 64.0, "variance": 0.0}, 12.8109359561),
    ("ranked_list", {"t_n": 1.0}, 0.4184102405),
    ("epshn", {"temperature": 0.1}, 0.2004988190),
    ("sct", {"weight": 1.0, "temperature": 0.1}, 0.5683400291),
]


@pytest.mark.parametrize("images_per_class", [None, 3])
@pytest.mark.parametrize(("name", "values", "expected"), GOLDEN)
def test_worked_out_values(
    name: str, values: dict[str, float], expected: float, images_per_class: int | None
) -> None:
    objective = built(name, classes=2, dimensions=2, images_per_class=images_per_class, **values)
    with torch.no_grad():
        for vectors in objective.parameters():
            vectors.copy_(PROXIES)
    assert objective(*fix6()).item() == pytest.approx(expected, abs=1e-9)


def _of_unit_vectors(loss: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, labels: loss(F.normalize(x, dim=1), labels)


def _with_variance(x: Tensor, labels: Tensor) -> Tensor:
    pairs = losses.IntraPairVarianceLoss(pos_eps=0.01, neg_eps=0.01)(x, labels)
    tuplets = losses.TupletMarginLoss(margin=5.73, scale=64)(x, labels)
    assert isinstance(pairs, Tensor)
    assert isinstance(tuplets, Tensor)
    return tuplets + 0.5 * pairs


# Method, its values, the same loss in pytorch-metric-learning 2.9, and the batches that are left out and why.
ONE_CLASS = {"one class only", "two of one class"}
DUPLICATES = {"duplicates in a class", "duplicates across classes"}
SameLoss = tuple[dict[str, float], Callable[[], Callable[[Tensor, Tensor], Tensor]], set[str]]
SAME_LOSS: dict[str, SameLoss] = {
    # It gives 0 where the batch has no negatives; the paper's denominator still has the other positives.
    "supcon": ({"temperature": 0.1}, lambda: losses.SupConLoss(temperature=0.1), ONE_CLASS),
    # It fails at s = 1. A zero vector's similarities, 0, lie on a node, where the slope jumps.
    "histogram": ({"bins": 100}, lambda: losses.HistogramLoss(n_bins=100), {*DUPLICATES, "a zero vector"}),
    # It does not normalise negatives, and normalising a zero vector twice multiplies its slope.
    "angular": ({"alpha": 45.0}, lambda: _of_unit_vectors(losses.AngularLoss(alpha=45)), {"a zero vector"}),
    "circle": ({"m": 0.4, "gamma": 80.0}, lambda: losses.CircleLoss(m=0.4, gamma=80), set()),
    # Its slope at s = 1 is not finite.
    "tuplet_margin": ({"margin": 5.73, "scale": 64.0}, lambda: _with_variance, DUPLICATES),
}


@pytest.mark.parametrize(
    ("name", "batch"),
    [(n, b) for n, (_, _, left_out) in SAME_LOSS.items() for b in BATCHES if b not in left_out],
)
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")  # the other library's histogram
def test_pair_losses_equal_another_librarys(name: str, batch: str) -> None:
    values, theirs, _ = SAME_LOSS[name]
    # The other library's histogram finds its bins in float32.
    tolerance = 1e-5 if name == "histogram" else 1e-7
    assert_equal(built(name, **values), theirs(), *BATCHES[batch], tolerance)


SAME_PROXY_LOSS: dict[str, tuple[dict[str, float], Callable[[], nn.Module]]] = {
    "proxy_anchor": (
        {"alpha": 32.0, "delta": 0.1},
        lambda: losses.ProxyAnchorLoss(CLASSES, DIMENSIONS, margin=0.1, alpha=32),
    ),
    "proxy_nca_pp": (
        {"temperature": 1 / 9},
        lambda: losses.ProxyNCALoss(CLASSES, DIMENSIONS, softmax_scale=9),
    ),
}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", SAME_PROXY_LOSS)
def test_proxy_losses_equal_another_librarys(name: str, batch: str) -> None:
    values, make = SAME_PROXY_LOSS[name]
    ours, theirs = built(name, **values), make().double()
    own, other = ours.proxies, theirs.proxies
    with torch.no_grad():
        other.copy_(own)
    x, labels = BATCHES[batch]
    assert_equal(ours, theirs, x, labels)
    (slope,) = torch.autograd.grad(ours(x, labels), own)
    (expected,) = torch.autograd.grad(theirs(x, labels), other)
    torch.testing.assert_close(slope, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("include_anchor", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_smooth_ap_is_its_double_loop(batch: str, include_anchor: bool) -> None:
    def loop(x: Tensor, labels: Tensor) -> Tensor:
        x = F.normalize(x, dim=1)
        s, n, values = x @ x.T, len(x), [x.sum() * 0]
        for i in range(n):
            ranked = [z for z in range(n) if include_anchor or z != i]
            positives = [z for z in ranked if labels[z] == labels[i]]
            if not positives:
                continue
            precisions = []
            for p in positives:
                ahead = {z: torch.sigmoid((s[i, z] - s[i, p]) / 0.05) for z in ranked if z != p}
                above = sum((g for z, g in ahead.items() if z in positives), s.new_tensor(1.0))
                precisions.append(above / sum(ahead.values(), s.new_tensor(1.0)))
            values.append(1 - sum(precisions) / len(precisions))
        return torch.stack(values).sum() / max(len(values) - 1, 1)

    assert_equal(built("smooth_ap", tau=0.05, include_anchor=include_anchor), loop, *_few(batch))


@pytest.mark.parametrize("include_anchor", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_recall_at_k_is_its_double_loop(batch: str, include_anchor: bool) -> None:
    def loop(x: Tensor, labels: Tensor) -> Tensor:
        x = F.normalize(x, dim=1)
        s, n, values = x @ x.T, len(x), []
        for i in range(n):
            ranked = [z for z in range(n) if include_anchor or z != i]
            positives = [z for z in range(n) if z != i and labels[z] == labels[i]]
            if not positives:
                continue
            ranks = []
            for p in positives:
                ahead = [torch.sigmoid((s[i, z] - s[i, p]) / 0.05) for z in ranked if z != p]
                ranks.append(sum(ahead, 1 + 0 * s[i, p]))
            for k in (1, 3):
                found = torch.stack([torch.sigmoid((k - rank) / 0.7) for rank in ranks]).sum()
                values.append(1 - found.clamp_max(k) / min(k, len(positives)))
        return torch.stack(values).mean() if values else x.sum() * 0

    ours = built("recall_at_k", tau1=0.7, tau2=0.05, ks=(1, 3), include_anchor=include_anchor)
    assert_equal(ours, loop, *_few(batch))


def _few(batch: str) -> tuple[Tensor, Tensor]:
    """The first eight images of a batch: loops are slow."""
    x, labels = BATCHES[batch]
    return x[:8], labels[:8]


@pytest.mark.parametrize("name", ["smooth_ap", "recall_at_k"])
def test_knowing_the_images_per_class_changes_nothing(name: str) -> None:
    x, labels = random_batch(4, per_class=4)
    known, unknown = built(name, images_per_class=4), built(name)
    torch.testing.assert_close(known(x, labels), unknown(x, labels), rtol=1e-12, atol=0)


@pytest.mark.parametrize("batch", [batch for batch in BATCHES if batch != "a zero vector"])
def test_histogram_is_its_loop(batch: str) -> None:
    def loop(x: Tensor, labels: Tensor) -> Tensor:
        x = F.normalize(x, dim=1)
        shares = {True: x.new_zeros(11), False: x.new_zeros(11)}  # R = 10, Δ = 0.2
        counts = {True: 0, False: 0}
        for i in range(len(x)):
            for j in range(i):
                same = bool(labels[i] == labels[j])
                counts[same] += 1
                nodes = -1 + 0.2 * torch.arange(11, dtype=x.dtype)
                shares[same] = shares[same] + (1 - (x[i] @ x[j] - nodes).abs() / 0.2).clamp_min(0)
        positives, negatives = (shares[same] / max(counts[same], 1) for same in (True, False))
        return sum((negatives[r] * positives[: r + 1].sum() for r in range(11)), x.sum() * 0)

    assert_equal(built("histogram", bins=10), loop, *BATCHES[batch])


@pytest.mark.parametrize("batch", BATCHES)
def test_epshn_is_its_loop(batch: str) -> None:
    def loop(x: Tensor, labels: Tensor) -> Tensor:
        x = F.normalize(x, dim=1)
        s, values = x @ x.T, []
        for i in range(len(x)):
            of_class = (labels == labels[i]) & (torch.arange(len(x)) != i)
            if not of_class.any():
                continue
            positive = s[i][of_class].max()
            behind = s[i][(labels != labels[i]) & (s[i] <= positive)]
            if len(behind):
                values.append(torch.log1p(((behind.max() - positive) / 0.1).exp()))
        return torch.stack(values).mean() if values else x.sum() * 0

    assert_equal(built("epshn"), loop, *BATCHES[batch])


@pytest.mark.parametrize("batch", BATCHES)
def test_sct_is_its_loop(batch: str) -> None:
    def loop(x: Tensor, labels: Tensor) -> Tensor:
        x = F.normalize(x, dim=1)
        s, values = x @ x.T, []
        for i in range(len(x)):
            of_class = (labels == labels[i]) & (torch.arange(len(x)) != i)
            if of_class.any() and (labels != labels[i]).any():
                positive, negative = s[i][of_class].max(), s[i][labels != labels[i]].max()
                easy = torch.log1p(((negative - positive) / 0.1).exp())
                values.append(0.5 * negative if negative > positive or negative > 0.8 else easy)
        return torch.stack(values).mean() if values else x.sum() * 0

    assert_equal(built("sct", weight=0.5), loop, *BATCHES[batch])


@pytest.mark.parametrize("batch", BATCHES)
def test_ranked_list_is_its_loop(batch: str) -> None:
    def loop(x: Tensor, labels: Tensor) -> Tensor:
        x = F.normalize(x, dim=1)
        d, total = torch.cdist(x, x), x.sum() * 0
        for i in range(len(x)):
            other = torch.arange(len(x)) != i
            far = d[i][(labels == labels[i]) & other & (d[i] > 0.8)] - 0.8
            near = 1.2 - d[i][(labels != labels[i]) & (d[i] < 1.2)]
            for excess, temperature, share in ((far, 0.5, 0.6), (near, 10.0, 0.4)):
                if len(excess):
                    weights = (temperature * excess).exp()
                    total = total + share * (weights * excess).sum() / weights.sum()
        return total / len(x)

    assert_equal(built("ranked_list", t_p=0.5, kappa=0.4), loop, *BATCHES[batch])


def test_ball_distances_are_those_of_moebius_addition() -> None:
    c = 0.3
    x = into_ball(random_batch(1, images=6, dimensions=4)[0], c, r=2.0)
    for a in x:
        for b in x:
            inner, aa, bb = -a @ b, a @ a, b @ b
            moved = ((1 + 2 * c * inner + c * bb) * -a + (1 - c * aa) * b) / (
                1 + 2 * c * inner + c**2 * aa * bb
            )
            expected = 2 / math.sqrt(c) * torch.atanh(math.sqrt(c) * moved.norm())
            assert ball_distances(a[None], b[None], c).item() == pytest.approx(expected.item(), abs=5e-6)


def test_a_point_of_the_ball_lies_twice_its_vectors_length_from_the_centre() -> None:
    u = 0.1 * random_batch(1, images=6, dimensions=4)[0]
    origin = torch.zeros(1, 4, dtype=torch.float64)
    found = ball_distances(into_ball(u, 0.1, r=2.3), origin, 0.1)[:, 0]
    torch.testing.assert_close(found, 2 * u.norm(dim=1), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("per_class", [2, 3, 4])
def test_views_loss_is_a_sum_of_cross_entropies(per_class: int) -> None:
    x, labels = random_batch(8, per_class=per_class, images=12)
    logits = x @ x.T
    views = [[int((labels == c).nonzero()[g]) for c in labels.unique()] for g in range(per_class)]
    expected = 0.0
    for g in views:
        for h in views:
            if g is not h:
                inside = logits[g][:, g] + torch.diag(torch.full((len(g),), -math.inf, dtype=torch.float64))
                both = torch.cat([logits[g][:, h], inside], dim=1)
                expected += F.cross_entropy(both, torch.arange(len(g))).item()
    assert views_loss(logits, labels, len(labels)).item() == pytest.approx(expected, rel=1e-9)
    assert views_loss(logits, labels, per_class - 1).item() == pytest.approx(expected, rel=1e-9)


WITH_MEMORY = ["supcon", "circle", "histogram", "epshn", "sct", "tuplet_margin", "ranked_list"]


@pytest.mark.parametrize("name", WITH_MEMORY)
def test_a_memory_that_holds_the_batch_gives_the_batchs_own_loss(name: str) -> None:
    x, labels = random_batch(3)
    objective = built(name)
    others = ~torch.eye(len(labels), dtype=torch.bool)
    found = objective(x, labels, references=x, reference_labels=labels, valid=others)
    torch.testing.assert_close(found, objective(x, labels), rtol=1e-12, atol=0)


# Not circle, whose weights are constants to the gradient.
SMOOTH = [
    *(name for name in WITH_MEMORY if name != "circle"),
    *("angular", "smooth_ap", "recall_at_k", "proxy_anchor", "proxy_nca_pp"),
]


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    x, labels = random_batch(11, per_class=2, images=8, dimensions=4)
    values = {"ks": (2, 3)} if name == "recall_at_k" else {}
    objective = built(name, classes=4, dimensions=4, **values)
    assert torch.autograd.gradcheck(lambda x: objective(x, labels), x.requires_grad_())


def test_gradient_of_hyp_agrees_with_finite_differences() -> None:
    x, labels = random_batch(11, per_class=2, images=8, dimensions=4)

    def loss(x: Tensor) -> Tensor:
        points = into_ball(x, 0.1, 2.3)
        return views_loss(-ball_distances(points, points, 0.1) / 0.2, labels, 8)

    assert torch.autograd.gradcheck(loss, x.requires_grad_())


@pytest.mark.parametrize(
    ("name", "most"), [("angular", 64 * 64), ("smooth_ap", 3 * 64 * 64), ("hyp", 3 * 64 * 64)]
)
def test_no_tensor_of_triplets_is_built(name: str, most: int) -> None:
    x, labels = random_batch(1, images=64)
    with LargestTensor() as largest:
        value = built(name, images_per_class=4)(x.requires_grad_(), labels)
        value.backward()
    assert largest.numel <= most
