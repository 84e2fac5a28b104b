"""Circle loss: each similarity is weighted by how far it still is from its optimum, then one softplus an anchor.

    α_p = [1 + m − s_p]_+,  α_n = [s_n + m]_+  (constants),  Δ_p = 1 − m,  Δ_n = m
    ℓ_i = log[ 1 + Σ_{k∈N_i} e^{γ α_n (s_ik − Δ_n)} Σ_{j∈P_i} e^{−γ α_p (s_ij − Δ_p)} ],  L = mean of the ℓ_i above 0

Departures: anchors that lack positives or negatives count as 0; anchors at 0 are left out of the mean.

Yifan Sun, Changmao Cheng, Yuhan Zhang, Chi Zhang, Liang Zheng, Zhongdao Wang and Yichen Wei, "Circle Loss: A Unified
Perspective of Pair Similarity Optimization", CVPR 2020, https://arxiv.org/abs/2002.10857 (eqs. 4-8).
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, masked_logsumexp, nonzero_mean, softplus


def circle(s: Tensor, positive: Tensor, negative: Tensor, *, m: float, gamma: float) -> Tensor:
    """The mean of the anchors' ℓ_i that are above 0, from similarities s (B, R)."""
    still = s.detach()
    pulled = -gamma * (1 + m - still).relu() * (s - (1 - m))
    pushed = gamma * (still + m).relu() * (s - m)
    per_anchor = softplus(masked_logsumexp(pushed, negative) + masked_logsumexp(pulled, positive))
    return nonzero_mean(per_anchor, positive.any(1) & negative.any(1))


def build(task: Task, *, m: float = 0.4, gamma: float = 80.0) -> nn.Module:
    """m: relaxation of the optima 1 and 0. gamma: γ, scale of the weighted similarities."""
    return PairLoss(partial(circle, m=m, gamma=gamma))


METHOD = Method(
    title="Circle",
    paper=Paper(
        authors="Sun, Cheng, Zhang, Zhang, Zheng, Wang, Wei",
        title="Circle Loss: A Unified Perspective of Pair Similarity Optimization",
        venue="CVPR",
        year=2020,
        link="https://arxiv.org/abs/2002.10857",
    ),
    build=build,
    kind="pair",
    space={"m": FloatDistribution(0.05, 0.6), "gamma": FloatDistribution(16.0, 512.0, log=True)},
    published={"m": 0.4, "gamma": 80.0},
)
