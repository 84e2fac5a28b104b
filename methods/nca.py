"""Neighbourhood Components Analysis: the chance that a soft nearest neighbour has the anchor's class.

With squared distances D_ij of unit vectors, over the batch:
    p_ij = e^{-α D_ij} / Σ_{k ≠ i} e^{-α D_ik}
    L = mean over anchors with positives of -log Σ_{j in P_i} p_ij

Departures: a network stands for the linear map A of the paper, whose scale becomes α; the paper maximises the
expected number of right neighbours, this is its log form (the paper's eq. 7, also used by later work).

Goldberger, Roweis, Hinton, Salakhutdinov: Neighbourhood Components Analysis.
NIPS 2004. https://papers.nips.cc/paper/2004/hash/42fe880812925e520249e808937738d2-Abstract.html
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, masked_logsumexp, mean_where, squared


def nca(d2: Tensor, positive: Tensor, negative: Tensor, *, alpha: float) -> Tensor:
    """d2 (B, R) squared distances, positive and negative (B, R) bool -> ()."""
    logits = -alpha * d2
    loss = masked_logsumexp(logits, positive | negative) - masked_logsumexp(logits, positive)
    return mean_where(loss, positive.any(-1))


def build(task: Task, *, alpha: float = 1.0) -> nn.Module:
    return PairLoss(partial(nca, alpha=alpha), squared)


METHOD = Method(
    title="NCA",
    paper=Paper(
        authors="Goldberger, Roweis, Hinton, Salakhutdinov",
        title="Neighbourhood Components Analysis",
        venue="NIPS",
        year=2004,
        link="https://papers.nips.cc/paper/2004/hash/42fe880812925e520249e808937738d2-Abstract.html",
    ),
    build=build,
    kind="list",
    space={"alpha": FloatDistribution(1, 100, log=True)},
    published={"alpha": 1.0},
)
