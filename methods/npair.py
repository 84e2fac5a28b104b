"""Multi-class N-pair loss: one pair a class, each anchor's positive against the positives of all other classes.

With N pairs (a_c, b_c) of different classes and inner products of embeddings that are not normalised:
    L = (1/N) Σ_c log(1 + Σ_{c'≠c} e^{a_c·b_c' - a_c·b_c}) + λ (1/N) Σ_c (‖a_c‖² + ‖b_c‖²) / 4

Departures: a batch with K images a class gives K // 2 rounds of pairs, drawn at random, each round against itself, so
that no image is wasted; an odd last image gives nothing. `l2` is λ, in the scale of the first public implementation.

Sohn: Improved Deep Metric Learning with Multi-class N-pair Loss Objective.
NIPS 2016. https://papers.nips.cc/paper/2016/hash/6b180037abbebea991d8b1232f8a8ca9-Abstract.html (eqs. 6, 7)
"""

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import full_precision, masked_logsumexp, mean_where


class NPair(nn.Module):
    """(embeddings (B, D), labels (B,)) -> (); pairs are drawn at random. l2: λ."""

    def __init__(self, l2: float) -> None:
        super().__init__()
        self.l2 = l2

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        shuffled = torch.randperm(len(labels), device=labels.device)
        return n_pair(embeddings[shuffled], labels[shuffled], l2=self.l2)


def n_pair(x: Tensor, labels: Tensor, *, l2: float) -> Tensor:
    """The loss of embeddings x (B, D) whose pairs are first with second image of a class, third with fourth: ()."""
    same = labels[:, None] == labels
    place = same.tril(-1).sum(1)  # how many images of its class stand before it
    is_next = same & (place == place[:, None] + 1)
    anchor = is_next.any(1) & (place % 2 == 0)
    positives = x[is_next.int().argmax(1)]
    logits = x @ positives.T  # column c' holds b_c' where c' is an anchor
    rivals = anchor & (place == place[:, None])
    cross_entropy = masked_logsumexp(logits, rivals) - logits.diagonal()
    lengths = x.square().sum(1) + positives.square().sum(1)
    return mean_where(cross_entropy + l2 / 4 * lengths, anchor)


def build(task: Task, *, l2: float = 0.002) -> nn.Module:
    """l2: λ, weight of the squared lengths of the embeddings, which nothing else bounds."""
    return NPair(l2)


METHOD = Method(
    title="N-pair",
    paper=Paper(
        authors="Sohn",
        title="Improved Deep Metric Learning with Multi-class N-pair Loss Objective",
        venue="NIPS",
        year=2016,
        link="https://papers.nips.cc/paper/2016/hash/6b180037abbebea991d8b1232f8a8ca9-Abstract.html",
    ),
    build=build,
    kind="pair",
    space={"l2": FloatDistribution(1e-4, 0.1, log=True)},
    published={"l2": 0.002},
)
