"""What `bier` and `a_bier` share: learners in a row, each of which sees the pairs as the ones before left them.

M = 3 linear learners share the D dimensions in the proportions 96 : 160 : 256 of the papers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from methods._groups import group_sizes
from methods._pairs import cosine, pair_masks, softplus, unit

PROPORTIONS = (96, 160, 256)
ROW_WEIGHT = (
    5e-5 * 100
)  # λ_div λ_w of the released code: how hard rows of the learners are held at unit length
ACCUMULATED = 0.5  # A before the first learner, in the released code


class LearnersHead(nn.Module):
    """Linear learners on the last stage's features h.

    The first D columns are the learners' unit vectors x^k times their share of D, as the papers compare them; their
    cosine ranks as the papers' dot product, since every embedding then has the same length. In training D more columns
    follow: W_k h without bias, of which only the learners' matrices get a gradient.
    """

    def __init__(self, feature_sizes: Sequence[int], embedding_size: int) -> None:
        super().__init__()
        sizes = group_sizes(embedding_size, PROPORTIONS)
        self.shares = [size / embedding_size for size in sizes]
        self.learners = nn.ModuleList(nn.Linear(feature_sizes[-1], size) for size in sizes)

    @property
    def weights(self) -> list[Tensor]:
        """The learners' matrices W_k, (size, F)."""
        return [learner.get_parameter("weight") for learner in self.learners]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Stage features, each (B, F_s) -> (B, D), in training (B, 2 D)."""
        h = features[-1]
        columns = [
            share * unit(learner(h)) for share, learner in zip(self.shares, self.learners, strict=True)
        ]
        if self.training:
            columns += [h.detach() @ weight.T for weight in self.weights]
        return torch.cat(columns, dim=-1)

    def penalty(self) -> Tensor:
        """Σ_k mean over features of (‖the feature's weights in W_k‖² - 1)², weighed: ()."""
        return ROW_WEIGHT * torch.stack([unit_rows(weight) for weight in self.weights]).sum()


def activation_loss(parts: Sequence[Tensor]) -> Tensor:
    """Σ_{k<l} mean over images, i and j of (v_ki v_lj)² for outputs v_k (B, size) of the learners: ()."""
    energy = [v.square().mean(-1) for v in parts]
    pairs = [(energy[k] * energy[m]).mean() for m in range(len(parts)) for k in range(m)]
    return torch.stack(pairs).sum()


def unit_rows(weight: Tensor) -> Tensor:
    """mean over inputs of (sum over outputs of W² - 1)² for the weight (outputs, inputs) of a layer: ()."""
    return (weight.square().sum(0) - 1).square().mean()


def boosted_losses(
    parts: Sequence[Tensor], labels: Tensor, *, nu: float, cost: float, alpha: float, beta: float
) -> tuple[list[Tensor], list[Tensor]]:
    """The loss () of each learner, and the weights (B, B) with which it saw the pairs, without gradient.

    parts: for each learner its unit vectors (B, size). With cosines s^k, m = 1 for pairs of one class, -C for others:
        act^k = α (s^k - β) m,   L_k = (1/M) Σ_ij w^k_ij W_ij log(1 + e^{-act^k_ij}),
        w^1 = 1,   A += ν act^k,   w^{k+1} = σ(-A) (twice that for negative pairs),
    W: 1 over their number for positive pairs, likewise for negative ones. As in the released code the number of
    positive pairs counts an image with itself, though such pairs have no weight.
    """
    positive, negative = pair_masks(labels)
    kind = parts[0].dtype
    even = positive.to(kind) / (positive.sum() + len(labels)) + negative.to(kind) / negative.sum().clamp_min(
        1
    )
    sign = torch.where(negative, -cost, 1.0).to(kind)
    weight, accumulated = torch.ones_like(even), torch.full_like(even, ACCUMULATED)
    losses, weights = [], []
    for x in parts:
        act = alpha * (cosine(x, x) - beta) * sign
        losses.append((weight * even * softplus(-act)).sum() / len(parts))
        weights.append(weight)
        accumulated = accumulated + nu * act.detach()
        weight = torch.sigmoid(-accumulated) * torch.where(negative, 2.0, 1.0)
    return losses, weights
