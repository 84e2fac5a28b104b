"""Contrastive loss on distances: positives closer than one margin, negatives farther than another.

With Euclidean distances d_ij of unit vectors, over all pairs of the batch:
    L = mean of the non-zero [d_ij - m_pos]+ over positives
      + mean of the non-zero [m_neg - d_ik]+ over negatives

Departures: the paper squares both terms and averages over all pairs; this is the plain hinge that the Reality
Check compares, each mean over the terms that are not zero. At distance 0 the gradient is 0.

Hadsell, Chopra, LeCun: Dimensionality Reduction by Learning an Invariant Mapping.
CVPR 2006. https://doi.org/10.1109/CVPR.2006.100
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, euclidean, nonzero_mean


def contrastive(
    d: Tensor, positive: Tensor, negative: Tensor, *, pos_margin: float, neg_margin: float
) -> Tensor:
    """d (B, R) distances, positive and negative (B, R) bool -> ()."""
    return nonzero_mean(d - pos_margin, positive) + nonzero_mean(neg_margin - d, negative)


def build(task: Task, *, pos_margin: float = 0.0, neg_margin: float = 1.0) -> nn.Module:
    return PairLoss(partial(contrastive, pos_margin=pos_margin, neg_margin=neg_margin), euclidean)


METHOD = Method(
    title="Contrastive",
    paper=Paper(
        authors="Hadsell, Chopra, LeCun",
        title="Dimensionality Reduction by Learning an Invariant Mapping",
        venue="CVPR",
        year=2006,
        link="https://doi.org/10.1109/CVPR.2006.100",
    ),
    build=build,
    kind="pair",
    space={"pos_margin": FloatDistribution(0, 0.8), "neg_margin": FloatDistribution(0.2, 1.4)},
    published={"pos_margin": 0.0, "neg_margin": 1.0},
)
