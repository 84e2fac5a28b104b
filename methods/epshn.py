"""Easy positive, semi-hard negative: each anchor keeps its most similar positive and the hardest negative behind it.

    p = argmax_{j in P_i} s_ij,   n = argmax_{k in N_i, s_ik ≤ s_ip} s_ik
    L = mean over anchors that have both of log(1 + e^{(s_in - s_ip)/T})

Departures: the authors' code also skips anchors whose two similarities are not above 0; none is skipped here for that.

Xuan, Stylianou, Pless: Improved Embeddings with Easy Positive Triplet Mining.
WACV 2020. https://arxiv.org/abs/1904.04370
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, mean_where, row_max, softplus


def easy_positive(s: Tensor, positive: Tensor, negative: Tensor, *, temperature: float) -> Tensor:
    """s (B, R) cosine, positive and negative (B, R) bool -> ()."""
    easiest = row_max(s, positive)
    behind = negative & (s <= easiest)
    both = positive.any(1, keepdim=True) & behind.any(1, keepdim=True)
    gap = (row_max(s, behind) - easiest).where(both, 0.0)
    return mean_where(softplus(gap / temperature), both)


def build(task: Task, *, temperature: float = 0.1) -> nn.Module:
    """temperature: T, which divides the difference of the two cosines; positive."""
    return PairLoss(partial(easy_positive, temperature=temperature))


METHOD = Method(
    title="EPSHN",
    paper=Paper(
        authors="Xuan, Stylianou, Pless",
        title="Improved Embeddings with Easy Positive Triplet Mining",
        venue="WACV",
        year=2020,
        link="https://arxiv.org/abs/1904.04370",
        batch=128,
    ),
    build=build,
    kind="triplet",
    space={"temperature": FloatDistribution(0.02, 1, log=True)},
    published={"temperature": 0.1},
)
