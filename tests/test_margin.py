"""Margin loss: the loop over the negatives it drew, and the odds of its draws."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.margin import draw_negatives
from tests.method_oracles import BATCHES, DIMENSIONS, assert_equal, built


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("batch", BATCHES)
def test_margin_equals_the_loop_over_its_draws(batch: str, per_class: bool) -> None:
    objective = built("margin", margin=0.2, beta=1.1, nu=0.1, per_class=per_class)
    beta = next(objective.parameters())
    with torch.no_grad():
        beta.add_(0.05 * torch.arange(len(beta)))

    def loop(x: Tensor, labels: Tensor) -> Tensor:
        torch.manual_seed(4)
        x = F.normalize(x, dim=1)
        different = labels[:, None] != labels
        drawn = draw_negatives(torch.cdist(x, x), different, DIMENSIONS, len(x))
        sums, active, pulls = 0.0 * x.sum(), 0, 0.0 * beta.sum()
        for i, j in torch.cartesian_prod(torch.arange(len(x)), torch.arange(len(x))).tolist():
            if i == j or labels[i] != labels[j] or not different[i].any():
                continue
            b = beta[labels[i] if per_class else 0]
            for term in ((x[i] - x[j]).norm() - b + 0.2, b - (x[i] - x[drawn[i, j]]).norm() + 0.2):
                sums, active = sums + term.clamp_min(0), active + int(term > 0)
            pulls = pulls + b
        return (sums + 0.1 * pulls) / max(1, active)

    def ours(x: Tensor, labels: Tensor) -> Tensor:
        torch.manual_seed(4)
        return objective(x, labels)

    assert_equal(ours, loop, *BATCHES[batch])


def test_negatives_are_drawn_by_inverse_density() -> None:
    d = torch.tensor([[0.0, 0.9, 0.95, 0.3, 1.0, 1.5]])
    negative = torch.tensor([[False, True, True, False, True, True]])
    torch.manual_seed(0)
    drawn = draw_negatives(d, negative, dimensions=16, draws=20_000)
    counts = torch.bincount(drawn[0], minlength=6).double()
    density = [v**14 * (1 - v**2 / 4) ** 6.5 for v in (0.9, 0.95, 1.0)]
    weights = torch.tensor([1 / q for q in density]).double()
    expected = 20_000 * weights / weights.sum()
    assert counts[[0, 3, 5]].sum() == 0
    assert ((counts[[1, 2, 4]] - expected) ** 2 / expected).sum() < 13.8  # chi square, 2 degrees, p = 0.001


def test_where_no_negative_is_near_all_are_drawn_alike() -> None:
    d = torch.tensor([[0.0, 1.5, 1.6, 1.9]])
    torch.manual_seed(0)
    drawn = draw_negatives(d, torch.tensor([[False, True, True, True]]), dimensions=16, draws=3000)
    assert torch.bincount(drawn[0], minlength=4)[1:].min() > 900
