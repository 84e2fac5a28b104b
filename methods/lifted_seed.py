"""Lifted structure as the Deep_Metric code has it: soft minimum of positives against soft maximum of negatives.

For an anchor i, with cosine similarities s_ij:
    l_i = (2/β) log Σ_{j in P_i} e^{-β s_ij} + (2/α) log Σ_{k in N_i} e^{α s_ik},   L = (1/B) Σ_i l_i

An empty sum contributes 0. The value may be negative. With mining (off by default) the sums run over the pairs
that MS mining keeps at ε = 0.1, and an anchor that keeps no positive or no negative contributes 0.

Departures: from the paper all of it (no hinge, no square, no margin, per anchor instead of per pair, cosine
similarities); that is the code's "Lifted Structure*". From the code none.

Oh Song, Xiang, Jegelka, Savarese: Deep Metric Learning via Lifted Structured Feature Embedding.
CVPR 2016. https://arxiv.org/abs/1511.06452 (in the form of https://github.com/bnu-wangxun/Deep_Metric)
"""

from functools import partial

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._mining import relative_pairs
from methods._pairs import PairLoss, masked_logsumexp

EPSILON = 0.1  # of the mined form, fixed in the Deep_Metric code


def lifted_anchors(
    s: Tensor, positive: Tensor, negative: Tensor, *, alpha: float, beta: float, mining: bool
) -> Tensor:
    """s (B, R) cosine, positive and negative (B, R) bool -> ()."""
    if mining:
        positive, negative = relative_pairs(s, positive, negative, EPSILON)
        both = (positive.any(-1) & negative.any(-1))[:, None]
        positive, negative = positive & both, negative & both
    pull = torch.where(positive.any(-1), masked_logsumexp(-beta * s, positive), 0.0)
    push = torch.where(negative.any(-1), masked_logsumexp(alpha * s, negative), 0.0)
    return (2 / beta * pull + 2 / alpha * push).mean()


def build(task: Task, *, alpha: float = 40.0, beta: float = 2.0, mining: bool = False) -> nn.Module:
    """alpha, beta: slopes on negatives and on positives."""
    return PairLoss(partial(lifted_anchors, alpha=alpha, beta=beta, mining=mining))


METHOD = Method(
    title="Lifted structure (Deep_Metric)",
    paper=Paper(
        authors="Oh Song, Xiang, Jegelka, Savarese",
        title="Deep Metric Learning via Lifted Structured Feature Embedding",
        venue="CVPR",
        year=2016,
        link="https://arxiv.org/abs/1511.06452",
    ),
    build=build,
    kind="pair",
    space={
        "alpha": FloatDistribution(10, 80, log=True),
        "beta": FloatDistribution(0.5, 10, log=True),
    },
    published={"alpha": 40.0, "beta": 2.0},
)
