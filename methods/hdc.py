"""HDC: three embeddings of growing depth, each trained on the hard pairs that the one before it could not settle.

Head k on its own unit vectors, with squared distances D_ij, over the pairs i < j that it keeps:
    l_ij = D_ij for positives, φ [M - D_ij]+ for negatives;   L_k = Σ l_ij / #(l_ij > 0);   L = L_1 + L_2 + L_3
    head 1 keeps all pairs; head k > 1 keeps, of the pairs of head k - 1, the share h_k of the positives that are
    farthest and the share h_k of the negatives that are nearest, each rounded up

Departures. The heads tap the last three stages of any backbone (the last one again where there are fewer), after mean
pooling: there is no 1x1 convolution before the two hidden layers of 1024 units. They share the D dimensions, where the
paper concatenates three of 128. The paper ranks by the Euclidean distance of that concatenation, which is the same
order as by the cosine of ours. The released code lets each head choose from all pairs (`cascade=False`; its h are
1, 0.5, 0.2 there) and lists negatives twice; last layers at ten times the rate are left out. Dropout is the authors':
on pretrained features of cub127 validation MAP@R was 0.30 with it and 0.23 without, but it keeps a small network from
learning from scratch (on characters 0.30 with it after 120 steps, 0.36 untrained, 0.47 without).

Yuan, Yang, Zhang: Hard-Aware Deeply Cascaded Embedding.
ICCV 2017. https://arxiv.org/abs/1611.05720 (eqs. 3-5; numbers from the authors' Caffe code)
"""

from collections.abc import Iterator, Sequence

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._groups import group_sizes, unit_groups
from methods._pairs import full_precision, pair_masks, squared, unit

HIDDEN = 1024
DROPOUT_HIDDEN, DROPOUT_LAST = 0.7, 0.4  # of the two shallow heads, of the deep one
THIRDS = (1, 1, 1)

#: A share of a count may miss a whole number by rounding (0.2 * 15 is above 3); it is not rounded up for that.
ROUNDING = 1e-4


class Cascade(nn.Module):
    """Stage features, each (B, F_s), to three unit vectors side by side: (B, D)."""

    def __init__(self, feature_sizes: Sequence[int], embedding_size: int) -> None:
        super().__init__()
        last = len(feature_sizes) - 1
        self.taps = [max(0, last - 2), max(0, last - 1), last]
        shallow, middle, deep = group_sizes(embedding_size, THIRDS)
        self.learners = nn.ModuleList(
            [
                _hidden(feature_sizes[self.taps[0]], shallow),
                _hidden(feature_sizes[self.taps[1]], middle),
                nn.Sequential(nn.Dropout(DROPOUT_LAST), nn.Linear(feature_sizes[last], deep)),
            ]
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        parts = [learner(features[tap]) for learner, tap in zip(self.learners, self.taps, strict=True)]
        return torch.cat([unit(part) for part in parts], dim=1)


def _hidden(features: int, dimensions: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(features, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT_HIDDEN), nn.Linear(HIDDEN, dimensions)
    )


class HardAware(nn.Module):
    """sizes: columns of the three embeddings. shares: h_1, h_2, h_3. margin: M. phi: φ."""

    def __init__(
        self, sizes: Sequence[int], shares: Sequence[float], margin: float, phi: float, cascade: bool
    ) -> None:
        super().__init__()
        self.sizes, self.shares = sizes, shares
        self.margin, self.phi, self.cascade = margin, phi, cascade

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        return torch.stack([self._pair_loss(*kept) for kept in self.heads(embeddings, labels)]).sum()

    def heads(self, embeddings: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For each head its squared distances, and the positive and negative pairs it keeps; all (B, B)."""
        every_pair = [mask.triu(1) for mask in pair_masks(labels)]
        positive, negative = every_pair
        for x, share in zip(unit_groups(embeddings, self.sizes), self.shares, strict=True):
            d = squared(x, x)
            if not self.cascade:
                positive, negative = every_pair
            positive, negative = hardest(d, positive, share), hardest(-d, negative, share)
            yield d, positive, negative

    def _pair_loss(self, d: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """d (B, B) squared distances; positive, negative (B, B) bool, each pair once -> ()."""
        losses = torch.where(positive, d.clamp_min(0), 0.0)
        losses = losses + self.phi * torch.where(negative, self.margin - d, 0.0).clamp_min(0)
        return losses.sum() / (losses > 0).sum().clamp_min(1)


@torch.no_grad()
def hardest(hardness: Tensor, pairs: Tensor, share: float) -> Tensor:
    """The `share` of `pairs` (B, B) bool, rounded up, with the largest `hardness` (B, B): (B, B) bool."""
    ordered = hardness.masked_fill(~pairs, -torch.inf).flatten().argsort(descending=True, stable=True)
    rank = torch.empty_like(ordered).scatter_(0, ordered, torch.arange(len(ordered), device=ordered.device))
    count = (pairs.sum() * share - ROUNDING).ceil()
    return pairs & (rank.view_as(pairs) < count)


def build(
    task: Task,
    *,
    h2: float = 0.5,
    h3: float = 0.4,
    margin: float = 1.0,
    phi: float = 10.0,
    cascade: bool = True,
) -> nn.Module:
    """h2, h3: shares that the second and third head keep. margin: M. phi: φ, weight of negatives. cascade: whether a
    head chooses from the pairs of the one before it, or from all."""
    return HardAware(group_sizes(task.embedding_size, THIRDS), (1.0, h2, h3), margin, phi, cascade)


METHOD = Method(
    title="HDC",
    paper=Paper(
        authors="Yuan, Yang, Zhang",
        title="Hard-Aware Deeply Cascaded Embedding",
        venue="ICCV",
        year=2017,
        link="https://arxiv.org/abs/1611.05720",
        batch=100,
    ),
    build=build,
    kind="ensemble",
    space={
        "h2": FloatDistribution(0.1, 1),
        "h3": FloatDistribution(0.1, 1),
        "margin": FloatDistribution(0.5, 2),
        "phi": FloatDistribution(1, 30, log=True),
    },
    published={"h2": 0.5, "h3": 0.4, "margin": 1.0, "phi": 10.0},
    head=Cascade,
    cost="two heads with 1024 hidden units",
)
