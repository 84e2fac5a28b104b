"""Recall@k surrogate: how many of an anchor's positives stand among its first k, with sigmoids for both steps.

    rank_i(p) = 1 + Σ_{z≠p} σ((s_iz - s_ip) / τ2)
    R_i^k = min( Σ_{p in P_i} σ((k - rank_i(p)) / τ1), k ) / min(k, |P_i|)
    L = 1 - mean over anchors with positives and over k of R_i^k

Departures: the authors' code counts the anchor in its own ranking (ranks from 2); here it stands outside unless
`include_anchor` is set. Their batches of thousands (a forward pass without gradient, then one with) and their mixing of
similarities (SiMix) are not part of this loss: under a protocol's batch it is a smaller method than the paper's.

Patel, Tolias, Matas: Recall@k Surrogate Loss with Large Batches and Similarity Mixup.
CVPR 2022. https://arxiv.org/abs/2108.11179 (eqs. 6-8)
"""

from collections.abc import Sequence

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import cosine, full_precision, mean_where, pair_masks, unit
from methods._ranks import ahead, gather_positives, most_positives


class RecallAtK(nn.Module):
    """(embeddings (B, D), labels (B,)) -> ().

    ks: the k's. width: the most positives that an anchor has in a batch; None: any.
    """

    ks: Tensor

    def __init__(
        self, ks: Sequence[int], tau1: float, tau2: float, include_anchor: bool, width: int | None
    ) -> None:
        super().__init__()
        self.register_buffer("ks", torch.tensor(ks, dtype=torch.float32), persistent=False)
        self.tau1, self.tau2, self.include_anchor, self.width = tau1, tau2, include_anchor, width

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        x = unit(embeddings)
        s = cosine(x, x)
        positive, negative = pair_masks(labels)
        ranked = torch.ones_like(positive) if self.include_anchor else positive | negative
        positives = gather_positives(s, positive, self.width or len(s))
        rank = 1 + (ahead(s, positives, self.tau2) * ranked[:, None, :]).sum(2)
        k = self.ks.to(s.dtype)
        within = ((k - rank[:, :, None]) / self.tau1).sigmoid() * positives.filled[:, :, None]
        possible = torch.minimum(k, positives.filled.sum(1, keepdim=True).clamp_min(1).to(s.dtype))
        recall = torch.minimum(within.sum(1), k) / possible  # (B, number of k's)
        return mean_where(1 - recall.mean(1), positive.any(1))


def build(
    task: Task,
    *,
    tau1: float = 1.0,
    tau2: float = 0.01,
    ks: Sequence[int] = (1, 2, 4, 8, 16),
    include_anchor: bool = False,
) -> nn.Module:
    """tau1, tau2: τ1, τ2, temperatures of the cut at k and of the comparisons. ks: the k's that are averaged.
    include_anchor: whether an anchor stands in its own ranking."""
    return RecallAtK(ks, tau1, tau2, include_anchor, most_positives(task.images_per_class))


METHOD = Method(
    title="Recall@k surrogate",
    paper=Paper(
        authors="Patel, Tolias, Matas",
        title="Recall@k Surrogate Loss with Large Batches and Similarity Mixup",
        venue="CVPR",
        year=2022,
        link="https://arxiv.org/abs/2108.11179",
        batch=400,
    ),
    build=build,
    kind="list",
    space={"tau1": FloatDistribution(0.1, 5, log=True), "tau2": FloatDistribution(0.005, 0.1, log=True)},
    published={"tau1": 1.0, "tau2": 0.01},
    cost="B x (K - 1) x B comparisons",
    caveat="without the paper's batches of thousands and its similarity mixup",
)
