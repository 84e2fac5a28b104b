"""Smart Mining, our reading: triplets from all training images, hard enough to teach, plus the global loss.

At the start of each epoch all training images are embedded. A batch is a third anchors a from passes over the images;
each has a positive p drawn from the farther half of its class and, as negative k, the r-th nearest image of another
class, r uniform in 1 .. R. With D_ij squared distances of unit vectors, and mean μ and variance σ² of D / 4 over the
positive (+) and negative (-) pairs of the batch:
    L = mean over the triplets [ D_ap - D_ak + m ]+ + w J,   J = σ²+ + σ²- + λ [ μ+ - μ- + t ]+
A controller moves R from epoch to epoch: to 0.9 R where fewer than 30 % of the triplets were active, to 1.1 R where
more than 70 % were, between 1 and 200.

This is not the authors' method: neither their code nor the paper's details (neighbourhood, controller, margins,
weights) are public. Neighbours are exact here, where the paper searches an approximate graph. The row stands outside
the ranks. Offline mining lays out batches from state that changes between epochs, outside of what torch.compile sees;
the loss itself compiles.

Harwood, Kumar, Carneiro, Reid, Drummond: Smart Mining for Deep Metric Learning.
ICCV 2017. https://arxiv.org/abs/1704.01285
Global loss: Kumar, Carneiro, Reid. CVPR 2016. https://arxiv.org/abs/1512.09272
"""

from collections.abc import Iterator

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import cosine, full_precision, mean_where, pair_masks, unit

FEW, MANY = 0.3, 0.7  # shares of active triplets between which R stays
HARDER, EASIER = 0.9, 1.1
FARTHEST_RANK = 200
FAR_SHARE = 0.5  # of a class, from which positives are drawn
USUAL_BATCH = 120


class SmartMining(nn.Module):
    """The buffers hold what was embedded at the epoch's start, R, and how many triplets were active since."""

    bank: Tensor
    bank_labels: Tensor
    reach: Tensor
    active: Tensor
    seen: Tensor

    def __init__(
        self,
        task: Task,
        *,
        margin: float,
        weight: float,
        global_weight: float,
        threshold: float,
        reach: float,
    ) -> None:
        super().__init__()
        self.margin, self.weight = margin, weight
        self.global_weight, self.threshold = global_weight, threshold
        self.batch_size = task.batch_size or USUAL_BATCH
        images = task.images or 0
        self.register_buffer("bank", torch.zeros(images, task.embedding_size))
        self.register_buffer("bank_labels", torch.zeros(images, dtype=torch.int64))
        self.register_buffer("reach", torch.tensor(min(max(reach * images, 1.0), FARTHEST_RANK)))
        self.register_buffer("active", torch.zeros((), dtype=torch.int64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D): anchors, their positives and their negatives, a third each; labels (B,) -> ().

        Rows that are no triplet by their labels count in the global loss alone.
        """
        x = unit(embeddings)
        third = len(x) // 3
        anchor, near, far = (slice(i * third, (i + 1) * third) for i in range(3))
        d_near = (x[anchor] - x[near]).square().sum(-1)
        d_far = (x[anchor] - x[far]).square().sum(-1)
        triplet = (labels[anchor] == labels[near]) & (labels[anchor] != labels[far])
        hinge = (d_near - d_far + self.margin).clamp_min(0)
        self._count(triplet, hinge)
        j = global_loss(x, labels, self.global_weight, self.threshold)
        return mean_where(hinge, triplet) + self.weight * j

    @torch.no_grad()
    def _count(self, triplet: Tensor, hinge: Tensor) -> None:
        self.seen.add_(triplet.sum())
        self.active.add_((triplet & (hinge > 0)).sum())

    @torch.no_grad()
    def refresh(self, embeddings: Tensor, labels: Tensor) -> None:
        """Take the embeddings (N, D) of all training images, labels (N,), and move R by what the last epoch showed."""
        share = self.active / self.seen.clamp_min(1)
        factor = torch.where(share < FEW, HARDER, torch.where(share > MANY, EASIER, 1.0))
        self.reach.copy_(torch.where(self.seen > 0, self.reach * factor, self.reach).clamp(1, FARTHEST_RANK))
        self.active.zero_()
        self.seen.zero_()
        self.bank = unit(embeddings.to(self.bank.dtype))
        self.bank_labels = labels

    def batches(self, labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        """Endless index batches: anchors from passes over the images, then their positives, then their negatives."""
        counts = torch.bincount(labels)
        anchors = torch.nonzero(counts[labels] > 1)[:, 0]
        if not len(anchors) or len(torch.unique(labels)) < 2:
            raise ValueError("triplets need two classes and a class with two images")
        size = min(max(1, self.batch_size // 3), len(anchors))
        while True:
            order = anchors[torch.randperm(len(anchors), generator=generator)]
            for chosen in torch.split(order[: len(order) // size * size], size):
                yield torch.cat([chosen, *self.mined(chosen, generator)])

    @torch.no_grad()
    def mined(self, anchors: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A positive and a negative for each of the anchors (A,): positions (A,) in the bank, on the CPU."""
        rows = anchors.to(self.bank.device)
        d = 2 - 2 * cosine(self.bank[rows], self.bank)
        same = self.bank_labels[rows][:, None] == self.bank_labels
        itself = rows[:, None] == torch.arange(len(self.bank), device=rows.device)
        positive, negative = same & ~itself, ~same
        # Drawn on the CPU, so that a seed gives the same batches on any device.
        u = torch.rand(2, len(anchors), generator=generator).to(rows.device)
        far_half = (FAR_SHARE * positive.sum(-1)).ceil()
        reach = torch.minimum(self.reach.round(), negative.sum(-1))
        p = nearest(-d, positive, (u[0] * far_half).long())
        k = nearest(d, negative, (u[1] * reach).long())
        return p.cpu(), k.cpu()


def nearest(d: Tensor, among: Tensor, rank: Tensor) -> Tensor:
    """Columns (A,) of the elements of d (A, N) that have the given rank (A,), from 0, in their row of a mask (A, N)."""
    order = torch.argsort(d.masked_fill(~among, torch.inf), dim=-1, stable=True)
    return order.gather(1, rank[:, None])[:, 0]


def global_loss(x: Tensor, labels: Tensor, weight: float, threshold: float) -> Tensor:
    """J of unit rows x (B, D), labels (B,): (). Variances are of the population; a side without pairs counts 0."""
    d = (2 - 2 * cosine(x, x)) / 4
    positive, negative = pair_masks(labels)
    means = [mean_where(d, mask) for mask in (positive, negative)]
    spreads = [
        mean_where((d - mean).square(), mask) for mean, mask in zip(means, (positive, negative), strict=True)
    ]
    both = positive.any() & negative.any()
    apart = torch.where(both, (means[0] - means[1] + threshold).clamp_min(0), 0.0)
    return spreads[0] + spreads[1] + weight * apart


def build(
    task: Task,
    *,
    margin: float = 0.2,
    weight: float = 1.0,
    global_weight: float = 0.8,
    threshold: float = 0.4,
    reach: float = 0.01,
) -> nn.Module:
    """margin: m. weight: w. global_weight: λ. threshold: t. reach: R at the start, as a share of the images."""
    return SmartMining(
        task, margin=margin, weight=weight, global_weight=global_weight, threshold=threshold, reach=reach
    )


METHOD = Method(
    title="Smart Mining (our variant)",
    paper=Paper(
        authors="Harwood, Kumar, Carneiro, Reid, Drummond",
        title="Smart Mining for Deep Metric Learning",
        venue="ICCV",
        year=2017,
        link="https://arxiv.org/abs/1704.01285",
    ),
    build=build,
    kind="triplet",
    space={
        "margin": FloatDistribution(0.01, 0.5, log=True),
        "weight": FloatDistribution(0.1, 10, log=True),
        "global_weight": FloatDistribution(0.1, 2),
        "threshold": FloatDistribution(0.1, 0.8),
        "reach": FloatDistribution(0.001, 0.1, log=True),
    },
    published={"margin": 0.2, "weight": 1.0, "global_weight": 0.8, "threshold": 0.4, "reach": 0.01},
    cost="all training images embedded once more in every epoch, and searched for every batch",
    caveat="our variant: neither code nor details of the authors' method are public",
    ranked=False,
)
