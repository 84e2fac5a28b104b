"""SupCon: each positive pair against everything else in the anchor's row, averaged over the anchor's positives.

    ℓ_i = −(1/|P_i|) Σ_{j∈P_i} [ s_ij/T − log Σ_{k≠i} e^{s_ik/T} ],  L = mean over anchors with positives

Departures: no second view of each image (the batch holds several images a class), no factor T/T_base (a learning rate
in disguise), and the mean leaves out anchors without positives.

Prannay Khosla, Piotr Teterwak, Chen Wang, Aaron Sarna, Yonglong Tian, Phillip Isola, Aaron Maschinot, Ce Liu and Dilip
Krishnan, "Supervised Contrastive Learning", NeurIPS 2020, https://arxiv.org/abs/2004.11362 (eq. 2).
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, masked_logsumexp, masked_mean, mean_where


def sup_con(s: Tensor, positive: Tensor, negative: Tensor, *, temperature: float) -> Tensor:
    """The mean of ℓ_i over the rows of s (B, R) that have positives."""
    logits = s / temperature
    every = masked_logsumexp(logits, positive | negative)
    return mean_where(every - masked_mean(logits, positive), positive.any(1))


def build(task: Task, *, temperature: float = 0.1) -> nn.Module:
    """temperature: T, which divides the cosines; positive."""
    return PairLoss(partial(sup_con, temperature=temperature))


METHOD = Method(
    title="SupCon",
    paper=Paper(
        authors="Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan",
        title="Supervised Contrastive Learning",
        venue="NeurIPS",
        year=2020,
        link="https://arxiv.org/abs/2004.11362",
    ),
    build=build,
    kind="pair",
    space={"temperature": FloatDistribution(0.02, 1.0, log=True)},
    published={"temperature": 0.1},
)
