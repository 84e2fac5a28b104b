"""Margin loss with distance-weighted sampling: a learnt boundary between positives and drawn negatives.

With Euclidean distances d of unit vectors and a boundary β for each class, for sampled triplets (a, p, n):
    l+ = [d_ap - β_{y_a} + α]+,   l- = [β_{y_a} - d_an + α]+
    L = ( Σ (l+ + l-) + ν Σ β_{y_a} ) / number of terms above 0
Every positive pair (a, p) draws one negative n with probability proportional to 1 / q(d_an), where
    log q(d) = (D - 2) log d + ((D - 3) / 2) log(1 - d^2 / 4)    (density of distances on the sphere)
with d raised to at least 0.5 and no chance from 1.4 on; where nothing has a chance, all negatives have the same.

Departures: none from the authors' released code (β a class, ν = 0), but for the gradient at d = 0, which is 0.

Wu, Manmatha, Smola, Krähenbühl: Sampling Matters in Deep Embedding Learning.
ICCV 2017. https://arxiv.org/abs/1706.07567
"""

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import euclidean, full_precision, pair_masks, row_max, unit

CUTOFF = 0.5  # closer negatives are as likely as those at this distance: their gradient is noise
FAR = 1.4  # negatives from here on are never drawn: they give no loss


def log_weights(d: Tensor, dimensions: int) -> Tensor:
    """log 1 / q(d) for distances d of unit vectors in `dimensions` dimensions; any shape, not finite at d = 2."""
    d = d.clamp_min(CUTOFF)
    return -((dimensions - 2) * d.log() + (dimensions - 3) / 2 * (1 - d.square() / 4).log())


@torch.no_grad()
def draw_negatives(d: Tensor, negative: Tensor, dimensions: int, draws: int) -> Tensor:
    """Columns (B, draws) of negatives, drawn for each row of d (B, R) by inverse density.

    negative: (B, R) bool. A row without negatives draws anything; the caller masks it.
    """
    log = log_weights(d, dimensions)
    possible = negative & (d < FAR)
    weights = torch.where(possible, (log - row_max(log, possible)).exp(), 0.0)
    weights = torch.where(possible.any(-1, keepdim=True), weights, negative.to(d.dtype))
    weights = torch.where(negative.any(-1, keepdim=True), weights, 1.0)
    return torch.multinomial(weights, draws, replacement=True)


class MarginLoss(nn.Module):
    """beta: (C,) or (1,), the boundaries, learnt."""

    def __init__(
        self, classes: int, dimensions: int, margin: float, beta: float, nu: float, per_class: bool
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.margin = margin
        self.nu = nu
        self.per_class = per_class
        self.beta = nn.Parameter(torch.full((classes if per_class else 1,), float(beta)))

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        positive, negative = pair_masks(labels)
        counted = positive & negative.any(-1, keepdim=True)
        x = unit(embeddings)
        d = euclidean(x, x)
        # One draw for every column keeps shapes static; only those of positive pairs are used.
        d_negative = d.gather(-1, draw_negatives(d, negative, self.dimensions, len(labels)))
        beta = (self.beta[labels] if self.per_class else self.beta.expand(len(labels)))[:, None]
        pull = torch.where(counted, d - beta + self.margin, 0.0).clamp_min(0)
        push = torch.where(counted, beta - d_negative + self.margin, 0.0).clamp_min(0)
        active = (pull > 0).sum() + (push > 0).sum()
        regulariser = self.nu * torch.where(counted, beta, 0.0).sum()
        return (pull.sum() + push.sum() + regulariser) / active.clamp_min(1)


def build(
    task: Task, *, margin: float = 0.2, beta: float = 1.2, nu: float = 0.0, per_class: bool = True
) -> nn.Module:
    """margin: α. beta: β at the start. nu: ν, weight of the pull on β. per_class: one β a class, or one for all."""
    return MarginLoss(task.classes, task.embedding_size, margin, beta, nu, per_class)


METHOD = Method(
    title="Margin (distance-weighted)",
    paper=Paper(
        authors="Wu, Manmatha, Smola, Krähenbühl",
        title="Sampling Matters in Deep Embedding Learning",
        venue="ICCV",
        year=2017,
        link="https://arxiv.org/abs/1706.07567",
        batch=70,
    ),
    build=build,
    kind="triplet",
    space={"margin": FloatDistribution(0.02, 0.5, log=True), "beta": FloatDistribution(0.5, 1.4)},
    published={"margin": 0.2, "beta": 1.2},
    # Roth et al. (ICML 2020) train β at 50 times the network's rate; the authors, with SGD beside Adam, at 1000.
    own=OwnParameters(lr=FloatDistribution(1, 1000, log=True), published_lr=50.0, weight_decay=0.0),
)
