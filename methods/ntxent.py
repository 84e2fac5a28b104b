"""NT-Xent: each positive pair against all negatives of its anchor, as a softmax over cosines.

    ℓ_ij = −log [ e^{s_ij/T} / ( e^{s_ij/T} + Σ_{k∈N_i} e^{s_ik/T} ) ],  L = mean over ordered positive pairs

Departures: the labelled form of the Reality Check. SimCLR's positives are two views of one image; here they are images
of one class, and an anchor's other positives stay out of the denominator (SupCon has them in).

Ting Chen, Simon Kornblith, Mohammad Norouzi and Geoffrey Hinton, "A Simple Framework for Contrastive Learning of Visual
Representations", ICML 2020, https://arxiv.org/abs/2002.05709 (eq. 1); first in Sohn, NIPS 2016.
"""

from functools import partial

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import PairLoss, masked_logsumexp, mean_where, softplus


def nt_xent(s: Tensor, positive: Tensor, negative: Tensor, *, temperature: float) -> Tensor:
    """The mean of ℓ_ij = log(1 + Σ_k e^{(s_ik − s_ij)/T}) over the positive pairs of s (B, R)."""
    logits = s / temperature
    rest = masked_logsumexp(logits, negative)[:, None]
    return mean_where(softplus(rest - logits), positive)


def build(task: Task, *, temperature: float = 0.07) -> nn.Module:
    """temperature: T, which divides the cosines; positive."""
    return PairLoss(partial(nt_xent, temperature=temperature))


METHOD = Method(
    title="NT-Xent",
    paper=Paper(
        authors="Chen, Kornblith, Norouzi, Hinton",
        title="A Simple Framework for Contrastive Learning of Visual Representations",
        venue="ICML",
        year=2020,
        link="https://arxiv.org/abs/2002.05709",
    ),
    build=build,
    kind="pair",
    space={"temperature": FloatDistribution(0.001, 1.0, log=True)},
    published={"temperature": 0.07},
)
