"""Contrastive loss on similarities, as in the Deep_Metric code and inside the authors' XBM.

With cosine similarities s_ij, over the batch:
    l_i = Σ_{j in P_i} (1 - s_ij) + Σ_{k in N_i, s_ik > m} s_ik,   L = (1/B) Σ_i l_i

A negative adds s, not s - m: the value jumps by m at the threshold, the gradient is that of a hinge.
Departures: an image's pair with itself is left out by its index, not by s < 1, which rounding can pass.

Hadsell, Chopra, LeCun: Dimensionality Reduction by Learning an Invariant Mapping.
CVPR 2006. https://doi.org/10.1109/CVPR.2006.100 (in the form of https://github.com/bnu-wangxun/Deep_Metric)
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss


def contrastive_on_similarities(s: Tensor, positive: Tensor, negative: Tensor, *, margin: float) -> Tensor:
    """s (B, R) cosine, positive and negative (B, R) bool -> ()."""
    # Σ_p (1 - s_ip) + Σ_n s_in, in one pass over the pairs, which are many where there is a memory.
    signs = (negative & (s > margin)).to(s.dtype) - positive.to(s.dtype)
    return (positive.sum() + (signs * s).sum()) / len(s)


def build(task: Task, *, margin: float = 0.5) -> nn.Module:
    return PairLoss(partial(contrastive_on_similarities, margin=margin))


METHOD = Method(
    title="Contrastive (similarities)",
    paper=Paper(
        authors="Hadsell, Chopra, LeCun",
        title="Dimensionality Reduction by Learning an Invariant Mapping",
        venue="CVPR",
        year=2006,
        link="https://doi.org/10.1109/CVPR.2006.100",
    ),
    build=build,
    kind="pair",
    space={"margin": FloatDistribution(0, 1)},
    published={"margin": 0.5},
)
