"""Angular loss: bounds the angle at the negative of the triangle that it forms with a positive pair.

    L = mean over ordered positive pairs (a, p) of
        log(1 + Σ_{n in N_a} exp( 4 tan²α (x_a + x_p)·x_n - 2 (1 + tan²α) x_a·x_p ))

Departures: none. The sum over negatives is a product of two matrices, since the exponential of a sum is a product, so
no tensor of triplets is built.

Wang, Zhou, Wen, Liu, Lin: Deep Metric Learning with Angular Loss.
ICCV 2017. https://arxiv.org/abs/1708.01682 (eq. 9, over all positive pairs of the batch)
"""

import math

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import cosine, full_precision, mean_where, pair_masks, row_max, softplus, unit


class Angular(nn.Module):
    """(embeddings (B, D), labels (B,)) -> (). alpha: the angle's bound, in degrees."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.tan2 = math.tan(math.radians(alpha)) ** 2

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        x = unit(embeddings)
        s = cosine(x, x)
        positive, negative = pair_masks(labels)
        over_negatives = _log_sum_of_products(4 * self.tan2 * s, negative)
        return mean_where(softplus(over_negatives - 2 * (1 + self.tan2) * s), positive)


def _log_sum_of_products(logits: Tensor, mask: Tensor) -> Tensor:
    """log Σ_k e^{logits_ik + logits_jk} over the k where the masks of rows i and j hold: (B, B).

    Hugely negative, and without gradient, where no such k is.
    """
    top = row_max(logits, mask).detach()
    top = top.where(top.isfinite(), 0.0)
    shares = (logits - top).masked_fill(~mask, -torch.inf).exp()
    sums = shares @ shares.T
    tiny = 1e-30  # below the smallest sum that angles up to 60 degrees can give in float32
    return (sums.clamp_min(tiny).log() + top + top.T).masked_fill(sums < tiny, -1e30)


def build(task: Task, *, alpha: float = 45.0) -> nn.Module:
    """alpha: α, the upper bound on the angle at the negative, in degrees."""
    return Angular(alpha)


METHOD = Method(
    title="Angular",
    paper=Paper(
        authors="Wang, Zhou, Wen, Liu, Lin",
        title="Deep Metric Learning with Angular Loss",
        venue="ICCV",
        year=2017,
        link="https://arxiv.org/abs/1708.01682",
    ),
    build=build,
    kind="triplet",
    space={"alpha": FloatDistribution(30, 60)},
    published={"alpha": 45.0},
)
