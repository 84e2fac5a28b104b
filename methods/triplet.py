"""Triplet loss over all triplets of the batch: each positive closer than each negative, by a margin.

With Euclidean distances d of unit vectors, over all (a, p, n):
    L = mean of the non-zero [d_ap - d_an + m]+

Departures: FaceNet takes squared distances and mines; this is the form that the Reality Check compares, on
plain distances and unmined, with pytorch-metric-learning's default margin as the published value. Value and
gradient are those of the full list of triplets, which is never built.

Weinberger, Saul: Distance Metric Learning for Large Margin Nearest Neighbor Classification.
JMLR 2009. https://www.jmlr.org/papers/v10/weinberger09a.html
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, euclidean, squared
from methods._triplets import all_triplets


def build(task: Task, *, margin: float = 0.05, power: int = 1) -> nn.Module:
    """margin: m. power: 1 for distances, 2 for their squares (margins of the two do not compare)."""
    return PairLoss(partial(all_triplets, margin=margin), squared if power == 2 else euclidean)


METHOD = Method(
    title="Triplet (all)",
    paper=Paper(
        authors="Weinberger, Saul",
        title="Distance Metric Learning for Large Margin Nearest Neighbor Classification",
        venue="JMLR",
        year=2009,
        link="https://www.jmlr.org/papers/v10/weinberger09a.html",
    ),
    build=build,
    kind="triplet",
    space={"margin": FloatDistribution(0.01, 1, log=True)},
    published={"margin": 0.05},
)
