"""Binomial deviance: a soft hinge on each similarity, positives and negatives averaged apart.

For an anchor i, with cosine similarities s_ij:
    l_i = mean_{j in P_i} log(1 + e^{-β (s_ij - m)}) + mean_{k in N_i} log(1 + e^{α (s_ik - m)})
    L = (1/B) Σ_i l_i

With mining (off by default), over the pairs that MS mining keeps at ε = 0.1, each mean is multiplied by 2 over
its slope, and an anchor that keeps no positive or no negative contributes 0.

Departures: the form of the Deep_Metric code, where the paper weighs negatives by a cost C inside the exponent
(here their slope α = 40; 25 x 2 = 50 in later work).

Yi, Lei, Li: Deep Metric Learning for Practical Person Re-Identification.
ICPR 2014. https://arxiv.org/abs/1407.4979
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._mining import relative_pairs
from methods._pairs import PairLoss, masked_mean, softplus

EPSILON = 0.1  # of the mined form, fixed in the Deep_Metric code


def binomial(
    s: Tensor, positive: Tensor, negative: Tensor, *, alpha: float, beta: float, margin: float
) -> Tensor:
    """s (B, R) cosine, positive and negative (B, R) bool -> ()."""
    pull = masked_mean(softplus(-beta * (s - margin)), positive)
    push = masked_mean(softplus(alpha * (s - margin)), negative)
    return (pull + push).mean()


def mined_binomial(
    s: Tensor, positive: Tensor, negative: Tensor, *, alpha: float, beta: float, margin: float
) -> Tensor:
    """s (B, R) cosine, positive and negative (B, R) bool -> ()."""
    positive, negative = relative_pairs(s, positive, negative, EPSILON)
    both = positive.any(-1) & negative.any(-1)
    pull = 2 / beta * masked_mean(softplus(-beta * (s - margin)), positive)
    push = 2 / alpha * masked_mean(softplus(alpha * (s - margin)), negative)
    return (both * (pull + push)).mean()


def build(
    task: Task, *, alpha: float = 40.0, beta: float = 2.0, margin: float = 0.5, mining: bool = False
) -> nn.Module:
    """alpha, beta: slopes on negatives and on positives. margin: m."""
    formula = mined_binomial if mining else binomial
    return PairLoss(partial(formula, alpha=alpha, beta=beta, margin=margin))


METHOD = Method(
    title="Binomial deviance",
    paper=Paper(
        authors="Yi, Lei, Li",
        title="Deep Metric Learning for Practical Person Re-Identification",
        venue="ICPR",
        year=2014,
        link="https://arxiv.org/abs/1407.4979",
    ),
    build=build,
    kind="pair",
    space={
        "alpha": FloatDistribution(5, 100, log=True),
        "beta": FloatDistribution(0.5, 10, log=True),
        "margin": FloatDistribution(0, 1),
    },
    published={"alpha": 40.0, "beta": 2.0, "margin": 0.5},
)
