"""Selectively contrastive triplet: where the hardest negative is too hard, only push it away.

With an anchor's most similar positive s_p and most similar negative s_n:
    hard where s_n > s_p or s_n > 0.8:  l_i = λ s_n,   else  l_i = log(1 + e^{(s_n - s_p)/T})
    L = Σ l_i / (easy anchors + hard anchors)

Departures: none. An anchor without a positive or without a negative counts as neither. `weight` is λ, `limit` the 0.8.

Xuan, Stylianou, Liu, Pless: Hard Negative Examples are Hard, but Useful.
ECCV 2020. https://arxiv.org/abs/2007.12749
"""

from functools import partial

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, mean_where, row_max, softplus


def selectively_contrastive(
    s: Tensor, positive: Tensor, negative: Tensor, *, weight: float, temperature: float, limit: float
) -> Tensor:
    """s (B, R) cosine, positive and negative (B, R) bool -> ()."""
    both = positive.any(1, keepdim=True) & negative.any(1, keepdim=True)
    s_p = row_max(s, positive).where(both, 0.0)
    s_n = row_max(s, negative).where(both, 0.0)
    hard = (s_n > s_p) | (s_n > limit)
    return mean_where(torch.where(hard, weight * s_n, softplus((s_n - s_p) / temperature)), both)


def build(task: Task, *, weight: float = 1.0, temperature: float = 0.1, limit: float = 0.8) -> nn.Module:
    """weight: λ, of hard anchors. temperature: T. limit: a negative more similar than this is hard in any case."""
    return PairLoss(partial(selectively_contrastive, weight=weight, temperature=temperature, limit=limit))


METHOD = Method(
    title="SCT",
    paper=Paper(
        authors="Xuan, Stylianou, Liu, Pless",
        title="Hard Negative Examples are Hard, but Useful",
        venue="ECCV",
        year=2020,
        link="https://arxiv.org/abs/2007.12749",
        batch=128,
    ),
    build=build,
    kind="triplet",
    space={
        "weight": FloatDistribution(0.1, 10, log=True),
        "temperature": FloatDistribution(0.02, 1, log=True),
    },
    published={"weight": 1.0, "temperature": 0.1},
)
