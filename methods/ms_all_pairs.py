"""Multi-Similarity loss on all pairs of the batch, without mining, as the Reality Check's "MS" row has it.

    l_i = (1/α) log(1 + Σ_{j in P_i} e^{-α (s_ij - λ)}) + (1/β) log(1 + Σ_{k in N_i} e^{β (s_ik - λ)})
    L = (1/B) Σ_i l_i

Departures: the paper mines pairs first (our `ms`). `base` is λ; β is 50 as in the paper.

Wang, Han, Huang, Dong, Scott: Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning.
CVPR 2019. https://arxiv.org/abs/1904.06627 (eq. 13)
This form: Musgrave, Belongie, Lim: A Metric Learning Reality Check. ECCV 2020. https://arxiv.org/abs/2003.08505
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import nn

from harness.method import Method, Paper, Task
from methods._multi_similarity import multi_similarity
from methods._pairs import PairLoss


def build(task: Task, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5) -> nn.Module:
    """alpha, beta: scales of positive and negative similarities. base: the similarity from which both are counted."""
    return PairLoss(partial(multi_similarity, alpha=alpha, beta=beta, base=base, epsilon=None))


METHOD = Method(
    title="Multi-Similarity, all pairs",
    paper=Paper(
        authors="Wang, Han, Huang, Dong, Scott",
        title="Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning",
        venue="CVPR",
        year=2019,
        link="https://arxiv.org/abs/1904.06627",
    ),
    build=build,
    kind="pair",
    space={
        "alpha": FloatDistribution(0.01, 100, log=True),
        "beta": FloatDistribution(1, 200, log=True),
        "base": FloatDistribution(0, 1),
    },
    published={"alpha": 2.0, "beta": 50.0, "base": 0.5},
)
