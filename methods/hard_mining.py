"""HardMining of the Deep_Metric code: means over the pairs that overlap with the other kind.

For an anchor i, with cosine similarities s_ij:
    P'_i = {j in P_i: s_ij < max_{N_i} s + m},   N'_i = {k in N_i: s_ik > min_{P_i} s - m}
    l_i = mean_{P'_i} (1 - s_ij) + mean_{N'_i} s_ik,   L = (1/B) Σ_i l_i

An anchor with empty N'_i contributes 0. Departures: the code fixes m at 0.1, whatever it is given; here it is an
argument. The mean over an empty P'_i, which the code makes NaN, is 0.

Xun Wang: Deep_Metric, class HardMiningLoss. Code, 2018. https://github.com/bnu-wangxun/Deep_Metric
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._mining import relative_pairs
from methods._pairs import PairLoss, masked_mean


def hard_mining(s: Tensor, positive: Tensor, negative: Tensor, *, margin: float) -> Tensor:
    """s (B, R) cosine, positive and negative (B, R) bool -> ()."""
    positive, negative = relative_pairs(s, positive, negative, margin)
    loss = masked_mean(1 - s, positive) + masked_mean(s, negative)
    return (negative.any(-1) * loss).mean()


def build(task: Task, *, margin: float = 0.1) -> nn.Module:
    return PairLoss(partial(hard_mining, margin=margin))


METHOD = Method(
    title="Hard mining",
    paper=Paper(
        authors="Xun Wang",
        title="Deep_Metric",
        venue="Code",
        year=2018,
        link="https://github.com/bnu-wangxun/Deep_Metric",
    ),
    build=build,
    kind="pair",
    space={"margin": FloatDistribution(0, 0.5)},
    published={"margin": 0.1},
)
