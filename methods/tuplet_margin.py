"""Tuplet margin: each positive pair against all negatives of its anchor, with slack in the positive's angle.

    L = mean over ordered positive pairs (i, j) of log(1 + Σ_{k in N_i} e^{s (s_ik - cos(θ_ij - β))})
        + w ( mean [(1 - ε) μ⁺ - s_ij]+² over positives + mean [s_ik - (1 + ε) μ⁻]+² over negatives )

with cosines s_ij = cos θ_ij and μ⁺, μ⁻ their means over the batch's positive and negative pairs; the second line is the
intra-pair variance.

Departures: cosines count as at most 1 - 1e-7 in θ, whose slope is infinite at 1. `scale` is s, `margin` is β.

Yu, Tao: Deep Metric Learning with Tuplet Margin Loss.
ICCV 2019. https://openaccess.thecvf.com/content_ICCV_2019/papers/Yu_Deep_Metric_Learning_With_Tuplet_Margin_Loss_ICCV_2019_paper.pdf
"""

import math
from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, masked_logsumexp, mean_where, softplus

#: How near to ±1 a cosine may come where its sine is taken.
COSINE_LIMIT = 1 - 1e-7


def tuplet_margin(
    s: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    scale: float,
    margin: float,
    variance: float,
    epsilon: float,
) -> Tensor:
    """s (B, R) cosine, positive and negative (B, R) bool -> ()."""
    c = s.clamp(-COSINE_LIMIT, COSINE_LIMIT)
    slack = math.radians(margin)
    # cos(θ - β) = cos θ cos β + sin θ sin β
    eased = c * math.cos(slack) + (1 - c.square()).sqrt() * math.sin(slack)
    against_all = softplus(masked_logsumexp(scale * s, negative)[:, None] - scale * eased)
    loose = ((1 - epsilon) * mean_where(s, positive) - s).relu().square()
    near = (s - (1 + epsilon) * mean_where(s, negative)).relu().square()
    return mean_where(against_all, positive) + variance * (
        mean_where(loose, positive) + mean_where(near, negative)
    )


def build(
    task: Task, *, scale: float = 64.0, margin: float = 5.73, variance: float = 0.5, epsilon: float = 0.01
) -> nn.Module:
    """scale: s. margin: β, in degrees. variance: w, weight of the intra-pair variance. epsilon: its slack ε."""
    return PairLoss(partial(tuplet_margin, scale=scale, margin=margin, variance=variance, epsilon=epsilon))


METHOD = Method(
    title="Tuplet margin",
    paper=Paper(
        authors="Yu, Tao",
        title="Deep Metric Learning with Tuplet Margin Loss",
        venue="ICCV",
        year=2019,
        link="https://openaccess.thecvf.com/content_ICCV_2019/papers/Yu_Deep_Metric_Learning_With_Tuplet_Margin_Loss_ICCV_2019_paper.pdf",
    ),
    build=build,
    kind="list",
    space={"scale": FloatDistribution(8, 128, log=True), "margin": FloatDistribution(0, 20)},
    published={"scale": 64.0, "margin": 5.73},
)
