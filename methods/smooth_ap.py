"""Smooth-AP: average precision of each anchor's ranking, with a steep sigmoid for each comparison.

    AP_i = (1/|P_i|) Σ_{p in P_i} (1 + Σ_{q in P_i, q≠p} G(s_iq - s_ip)) / (1 + Σ_{z≠p} G(s_iz - s_ip))
    G(x) = 1 / (1 + e^{-x/τ}),   L = mean over anchors with positives of 1 - AP_i

Departures: the authors' code counts the anchor among its own positives and in the ranking; here an anchor stands
outside of its ranking unless `include_anchor` is set. Classes need not be of one size or in order.

Brown, Xie, Kalogeiton, Zisserman: Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval.
ECCV 2020. https://arxiv.org/abs/2007.12163 (eq. 7)
"""

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import cosine, full_precision, masked_mean, mean_where, pair_masks, unit
from methods._ranks import ahead, gather_positives, most_positives


class SmoothAP(nn.Module):
    """(embeddings (B, D), labels (B,)) -> ().

    width: the most positives that an anchor has in a batch, itself among them where it is included; None: any.
    """

    def __init__(self, tau: float, include_anchor: bool, width: int | None) -> None:
        super().__init__()
        self.tau, self.include_anchor, self.width = tau, include_anchor, width

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        x = unit(embeddings)
        s = cosine(x, x)
        positive, negative = pair_masks(labels)
        if self.include_anchor:
            positive = positive | torch.eye(len(s), dtype=torch.bool, device=s.device)
        positives = gather_positives(s, positive, self.width or len(s))
        before = ahead(s, positives, self.tau)
        among_positives = 1 + (before * positive[:, None, :]).sum(2)
        among_all = among_positives + (before * negative[:, None, :]).sum(2)
        average_precision = masked_mean(among_positives / among_all, positives.filled)
        return mean_where(1 - average_precision, positive.any(1))


def build(task: Task, *, tau: float = 0.01, include_anchor: bool = False) -> nn.Module:
    """tau: τ, temperature of the comparisons. include_anchor: whether an anchor is its own first positive."""
    width = most_positives(task.images_per_class)
    return SmoothAP(tau, include_anchor, width and width + include_anchor)


METHOD = Method(
    title="Smooth-AP",
    paper=Paper(
        authors="Brown, Xie, Kalogeiton, Zisserman",
        title="Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval",
        venue="ECCV",
        year=2020,
        link="https://arxiv.org/abs/2007.12163",
        batch=112,
    ),
    build=build,
    kind="list",
    space={"tau": FloatDistribution(0.005, 0.1, log=True)},
    published={"tau": 0.01},
    cost="B x (K - 1) x B comparisons",
)
