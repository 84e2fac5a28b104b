"""Multi-Similarity loss: pairs are mined by relative similarity, then weighed softly by three similarities.

For an anchor i, with cosine similarities s_ij, positives P_i and negatives N_i of the batch:
    keep negative k where s_ik + ε > min_{j in P_i} s_ij
    keep positive j where s_ij - ε < max_{k in N_i} s_ik
    l_i = (1/α) log(1 + Σ_kept e^{-α (s_ij - λ)}) + (1/β) log(1 + Σ_kept e^{β (s_ik - λ)})    (eq. 12 and 13)
    L = (1/B) Σ_i l_i;  l_i = 0 where nothing positive or nothing negative is kept.

Departures: none. β is 40 as in the authors' code (50 in the paper); ε is fixed at their 0.1 and not tuned.

Wang, Han, Huang, Dong, Scott: Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning.
CVPR 2019. https://arxiv.org/abs/1904.06627
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
    return PairLoss(partial(multi_similarity, alpha=alpha, beta=beta, base=base, epsilon=epsilon))


METHOD = Method(
    title="Multi-Similarity",
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
        "alpha": FloatDistribution(0.1, 50, log=True),
        "beta": FloatDistribution(5, 200, log=True),
        "base": FloatDistribution(0, 1),
    },
    published={"alpha": 2.0, "beta": 40.0, "base": 0.5},
)
