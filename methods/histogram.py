"""Histogram loss: the chance that a random negative pair is more alike than a random positive pair.

With soft histograms h⁺, h⁻ of the similarities of all positive and all negative pairs, R bins over [-1, 1], each
summing to 1:
    L = Σ_r h⁻_r Σ_{q ≤ r} h⁺_q

Departures: none; a batch without positives or without negatives gives 0. `bins` is R.

Ustinova, Lempitsky: Learning Deep Embeddings with Histogram Loss.
NIPS 2016. https://arxiv.org/abs/1611.00822 (eqs. 2-5)
"""

from functools import partial

from optuna.distributions import IntDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._histograms import soft_histograms
from methods._pairs import PairLoss


def histogram(s: Tensor, positive: Tensor, negative: Tensor, *, bins: int) -> Tensor:
    """s (B, R) cosine, positive and negative (B, R) bool -> ()."""
    # Each pair of the batch stands here in both orders, which changes neither share.
    masks = (positive, negative)
    of_positives, of_negatives = (
        of_rows.sum(0) / mask.sum().clamp_min(1)
        for of_rows, mask in zip(soft_histograms(s, masks, low=-1.0, high=1.0, bins=bins), masks, strict=True)
    )
    return (of_negatives * of_positives.cumsum(0)).sum()


def build(task: Task, *, bins: int = 100) -> nn.Module:
    """bins: R, the histograms' bins; there are R + 1 nodes."""
    return PairLoss(partial(histogram, bins=bins))


METHOD = Method(
    title="Histogram",
    paper=Paper(
        authors="Ustinova, Lempitsky",
        title="Learning Deep Embeddings with Histogram Loss",
        venue="NIPS",
        year=2016,
        link="https://arxiv.org/abs/1611.00822",
    ),
    build=build,
    kind="pair",
    space={"bins": IntDistribution(25, 400, log=True)},
    published={"bins": 100},
    cost="a histogram of bins + 1 nodes for each pair",
)
