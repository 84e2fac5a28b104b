"""Clustering: the labels must cluster a batch better than the most tempting wrong medoids do, by a structured margin.

With distances d_ij of unit vectors and a set S of medoids, as many as the batch has classes, where every point
belongs to the nearest:
    F(S) = -Σ_i min_{j in S} d_ij,   Δ(S) = 1 - NMI(belonging, labels),   F~ = Σ_classes max_j -Σ_{i in class} d_ij
    L = [ max_S { F(S) + γ Δ(S) } - F~ ]+

The maximum is sought greedily and then by five rounds of single swaps, as in the released code. What is found is a
constant: gradients flow through the distances to the medoids alone. γ fades: γ_t = γ decay^{t / 500} at step t.

Departures: batches are the protocol's; the paper takes about 120 images of 30 to 90 classes. Plain distances and NMI
over the geometric mean, as in TensorFlow's version; another one takes squares (`power=2`). The loss is a sum over the
batch, as published. Each step of the search depends on the one before it, and their number on the labels, so that
torch.compile cannot take this loss whole; distances are copied to the CPU instead.

Oh Song, Jegelka, Rathod, Murphy: Deep Metric Learning via Facility Location.
CVPR 2017. https://arxiv.org/abs/1612.01213
"""

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._medoids import worst_medoids
from methods._pairs import euclidean, full_precision, row_min, squared, unit

#: Steps in which γ fades once by `decay`.
FADE = 500


class Clustering(nn.Module):
    """gamma: γ at the start. decay: what is left of it after FADE steps. power: 1 for distances, 2 for squares."""

    step: Tensor

    def __init__(self, gamma: float, decay: float, power: int) -> None:
        super().__init__()
        self.gamma, self.decay, self.power = gamma, decay, power
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        x = unit(embeddings)
        itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
        d = (squared if self.power == 2 else euclidean)(x, x).clamp_min(0).masked_fill(itself, 0.0)
        gamma = self.gamma * self.decay ** (int(self.step) / FADE)
        medoids, disagreement = worst_medoids(d.detach().cpu(), labels.cpu(), gamma)
        tempting: Tensor = gamma * disagreement.to(d) - d[:, medoids.to(d.device)].min(1).values.sum()
        self.step += 1
        return (tempting - oracle(d, labels)).clamp_min(0)


def oracle(d: Tensor, labels: Tensor) -> Tensor:
    """F~ (): minus the distances to each class's best medoid, for d (B, B) and labels (B,)."""
    same = labels[:, None] == labels
    costs = torch.where(same, d, 0.0).sum(0).expand_as(d)  # of a point as its class's medoid
    # Every point says its class's least cost; each class is to count once.
    return -(row_min(costs, same)[:, 0] / same.sum(1)).sum()


def build(task: Task, *, gamma: float = 10.0, decay: float = 0.94, power: int = 1) -> nn.Module:
    """gamma: γ, weight of the disagreement with the labels. decay: its factor every 500 steps. power: 1 for distances,
    2 for their squares."""
    return Clustering(gamma, decay, power)


METHOD = Method(
    title="Clustering (facility location)",
    paper=Paper(
        authors="Oh Song, Jegelka, Rathod, Murphy",
        title="Deep Metric Learning via Facility Location",
        venue="CVPR",
        year=2017,
        link="https://arxiv.org/abs/1612.01213",
        batch=120,
    ),
    build=build,
    kind="list",
    space={"gamma": FloatDistribution(1, 1e3, log=True), "decay": FloatDistribution(0.7, 1)},
    published={"gamma": 10.0, "decay": 0.94},
    cost="a search for medoids on the CPU in every step",
)
