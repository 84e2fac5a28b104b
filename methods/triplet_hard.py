"""Triplet loss with the hardest positive and the hardest negative of each anchor ("batch hard").

With Euclidean distances d of unit vectors, over anchors a that have positives and negatives:
    L = mean of the non-zero [max_p d_ap - min_n d_an + m]+

Departures: the mean is over active anchors, as in pytorch-metric-learning; the paper averages over all, which
fades as training goes on (its "batch hard" on unnormalised vectors; ours are of unit length, as evaluation is).

Hermans, Beyer, Leibe: In Defense of the Triplet Loss for Person Re-Identification.
arXiv 2017. https://arxiv.org/abs/1703.07737
"""

from functools import partial

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, euclidean, nonzero_mean, row_max, row_min


def batch_hard(d: Tensor, positive: Tensor, negative: Tensor, *, margin: float) -> Tensor:
    """d (B, R) distances, positive and negative (B, R) bool -> ()."""
    whole = (positive.any(-1) & negative.any(-1))[:, None]
    far = torch.where(whole, row_max(d, positive), 0.0)
    near = torch.where(whole, row_min(d, negative), 0.0)
    return nonzero_mean(far - near + margin, whole)


def build(task: Task, *, margin: float = 0.2) -> nn.Module:
    return PairLoss(partial(batch_hard, margin=margin), euclidean)


METHOD = Method(
    title="Triplet (batch hard)",
    paper=Paper(
        authors="Hermans, Beyer, Leibe",
        title="In Defense of the Triplet Loss for Person Re-Identification",
        venue="arXiv",
        year=2017,
        link="https://arxiv.org/abs/1703.07737",
    ),
    build=build,
    kind="triplet",
    space={"margin": FloatDistribution(0.01, 1, log=True)},
    published={"margin": 0.2},
)
