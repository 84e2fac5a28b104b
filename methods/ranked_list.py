"""Ranked list loss: positives inside a ball of radius α - m, negatives outside of one of radius α.

With distances d of unit vectors, over the positives with d > α - m and the negatives with d < α of an anchor:
    w_j = e^{T_p (d_ij - (α - m))},   w_k = e^{T_n (α - d_ik)}
    l_i = (1 - κ) Σ_j w_j (d_ij - (α - m)) / Σ_j w_j + κ Σ_k w_k (α - d_ik) / Σ_k w_k,   L = (1/B) Σ_i l_i

Departures: only the last layer's features (the paper's best rows join three layers, RLL-(L,M,H)).

Wang, Hua, Kodirov, Hu, Garnier, Robertson: Ranked List Loss for Deep Metric Learning.
CVPR 2019. https://arxiv.org/abs/1903.03238
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, euclidean, masked_sum


def ranked_list(
    d: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    alpha: float,
    m: float,
    t_n: float,
    t_p: float,
    kappa: float,
) -> Tensor:
    """d (B, R) distances, positive and negative (B, R) bool -> ()."""
    far = _weighted_mean(d - (alpha - m), positive, t_p)
    near = _weighted_mean(alpha - d, negative, t_n)
    return ((1 - kappa) * far + kappa * near).mean()


def _weighted_mean(excess: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Mean of each row's positive excesses under weights e^{T excess}: (B,); 0 for a row without any."""
    violates = mask & (excess > 0)
    weights = (temperature * excess.where(violates, 0.0)).exp()
    total = masked_sum(weights, violates)
    return masked_sum(weights * excess, violates) / total.where(total > 0, 1.0)


def build(
    task: Task, *, alpha: float = 1.2, m: float = 0.4, t_n: float = 10.0, t_p: float = 0.0, kappa: float = 0.5
) -> nn.Module:
    """alpha: α, distance beyond which negatives rest. m: margin between the two balls. t_n, t_p: temperatures of the
    weights. kappa: κ, share of the negatives."""
    return PairLoss(partial(ranked_list, alpha=alpha, m=m, t_n=t_n, t_p=t_p, kappa=kappa), euclidean)


METHOD = Method(
    title="Ranked list",
    paper=Paper(
        authors="Wang, Hua, Kodirov, Hu, Garnier, Robertson",
        title="Ranked List Loss for Deep Metric Learning",
        venue="CVPR",
        year=2019,
        link="https://arxiv.org/abs/1903.03238",
    ),
    build=build,
    kind="list",
    space={
        "alpha": FloatDistribution(0.8, 1.5),
        "m": FloatDistribution(0.1, 0.8),
        "t_n": FloatDistribution(0.5, 20, log=True),
    },
    published={"alpha": 1.2, "m": 0.4, "t_n": 10.0},
)
