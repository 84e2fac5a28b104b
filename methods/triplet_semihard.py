"""Triplet loss with FaceNet's semi-hard negatives: for each positive, the nearest negative that is farther.

With squared distances D of unit vectors, over all ordered positive pairs (a, p):
    n = the nearest negative with D_an > D_ap; where there is none, the farthest negative
    L = mean of [D_ap - D_an + m]+, zeros included

Departures: FaceNet draws one of the semi-hard negatives; the nearest one, and the farthest where there is none,
is the rule of TensorFlow's widely used version. Positive pairs in a batch without negatives do not count.

Schroff, Kalenichenko, Philbin: FaceNet: A Unified Embedding for Face Recognition and Clustering.
CVPR 2015. https://arxiv.org/abs/1503.03832
"""

from functools import partial

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, mean_where, row_max, squared
from methods._triplets import nearest_above


def semihard(d2: Tensor, positive: Tensor, negative: Tensor, *, margin: float) -> Tensor:
    """d2 (B, R) squared distances, positive and negative (B, R) bool -> ()."""
    nearest, exists = nearest_above(d2, negative, d2)
    hardest = torch.where(exists, nearest, row_max(d2, negative))
    counted = positive & negative.any(-1, keepdim=True)
    # inf stands where a row has no negative; it must not meet the gradient of the hinge.
    hinge = (d2 - torch.where(counted, hardest, 0.0) + margin).clamp_min(0)
    return mean_where(hinge, counted)


def build(task: Task, *, margin: float = 0.2) -> nn.Module:
    return PairLoss(partial(semihard, margin=margin), squared)


METHOD = Method(
    title="Triplet (semi-hard)",
    paper=Paper(
        authors="Schroff, Kalenichenko, Philbin",
        title="FaceNet: A Unified Embedding for Face Recognition and Clustering",
        venue="CVPR",
        year=2015,
        link="https://arxiv.org/abs/1503.03832",
    ),
    build=build,
    kind="triplet",
    space={"margin": FloatDistribution(0.01, 1, log=True)},
    published={"margin": 0.2},
)
