"""Multi-Similarity loss with mining whose slack is searched too: the Reality Check's "MS + Miner".

Pairs are kept where s_ik + ε > min_{j in P_i} s_ij (negatives) and s_ij - ε < max_{k in N_i} s_ik (positives); then
    l_i = (1/α) log(1 + Σ_kept e^{-α (s_ij - λ)}) + (1/β) log(1 + Σ_kept e^{β (s_ik - λ)}),   L = (1/B) Σ_i l_i

Departures: the same loss as `ms`; there ε stays at the authors' 0.1, here it is tuned. `base` is λ. The Reality Check's
code of the time could keep a pair of an image with itself; ours cannot.

Wang, Han, Huang, Dong, Scott: Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning.
CVPR 2019. https://arxiv.org/abs/1904.06627 (eqs. 11-13)
This form: Musgrave, Belongie, Lim: A Metric Learning Reality Check. ECCV 2020. https://arxiv.org/abs/2003.08505
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import nn

from harness.method import Method, Paper, Task
from methods._multi_similarity import multi_similarity
from methods._pairs import PairLoss


def build(
    task: Task, *, alpha: float = 2.0, beta: float = 40.0, base: float = 0.5, epsilon: float = 0.1
) -> nn.Module:
    """alpha, beta: scales of positive and negative similarities. base: the similarity from which both are counted.
    epsilon: the miner's slack."""
    return PairLoss(partial(multi_similarity, alpha=alpha, beta=beta, base=base, epsilon=epsilon))


METHOD = Method(
    title="Multi-Similarity + miner",
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
        "epsilon": FloatDistribution(0, 1),
    },
    published={"alpha": 2.0, "beta": 40.0, "base": 0.5, "epsilon": 0.1},
)
