"""Lifted structured embedding: each positive pair against the soft maximum of both ends' negatives.

With Euclidean distances d of embeddings as they are (not of unit length), over the positive pairs P:
    J_ij = log( Σ_{k in N_i} e^{m - d_ik} + Σ_{l in N_j} e^{m - d_jl} ) + d_ij
    L = (1 / 2|P|) Σ_{(i,j) in P} [J_ij]+^2

Departures: none. A pair in a batch without negatives does not count. A memory cannot help: both ends of a pair
need their negatives, and a stored embedding has none.

Oh Song, Xiang, Jegelka, Savarese: Deep Metric Learning via Lifted Structured Feature Embedding.
CVPR 2016. https://arxiv.org/abs/1511.06452
"""

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import euclidean, full_precision, masked_logsumexp, mean_where, pair_masks


class LiftedStructure(nn.Module):
    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        positive, negative = pair_masks(labels)
        d = euclidean(embeddings, embeddings)
        crowd = masked_logsumexp(self.margin - d, negative)
        counted = positive & negative.any(-1, keepdim=True)
        # Both orders of a pair give the same J, so the mean over ordered pairs is the mean over pairs.
        j = torch.where(counted, torch.logaddexp(crowd[:, None], crowd[None, :]) + d, 0.0)
        return mean_where(j.clamp_min(0).square(), counted) / 2


def build(task: Task, *, margin: float = 1.0) -> nn.Module:
    return LiftedStructure(margin)


METHOD = Method(
    title="Lifted structure",
    paper=Paper(
        authors="Oh Song, Xiang, Jegelka, Savarese",
        title="Deep Metric Learning via Lifted Structured Feature Embedding",
        venue="CVPR",
        year=2016,
        link="https://arxiv.org/abs/1511.06452",
        batch=128,
    ),
    build=build,
    kind="pair",
    space={"margin": FloatDistribution(0.1, 2)},
    published={"margin": 1.0},
)
