"""Hierarchical triplet loss: a margin for every pair of classes, from a tree of all of them.

At the start of each epoch all training images are embedded. With mean squared distances d(p, q) between classes and
s_c within them, d_0 the mean of s_c, classes are joined bottom-up; those joined below the threshold of level l,
    d_l = d_0 + l (4 - d_0) / L,   l = 0 .. L,
have d_H(p, q) = d_l for the first such l. Over all triplets (a, p, k) of a batch, Z in number, with D_ij squared
distances of unit vectors:
    L = (1 / 2Z) Σ [ D_ap - D_ak + α ]+,   α = β + d_H(y_a, y_k) - s_{y_a}
Batches hold random classes, each with its nearest ones: m classes a group, t images a class.

Departures and readings: the paper's text leaves the linkage open; nodes are joined by the mean distance of their
classes. The first tree is that of the untrained network, where the paper first trains one with plain triplets. A class
with a single image takes d_0 for s_c. A class appears once in a batch, whose size is the protocol's. m and t are not
published; 5 and 2 are ours. The tree is built, and batches are laid out, outside of what torch.compile sees.

Ge, Huang, Dong, Scott: Deep Metric Learning with Hierarchical Triplet Loss.
ECCV 2018. https://arxiv.org/abs/1810.06951
"""

from collections.abc import Iterator

import torch
from optuna.distributions import FloatDistribution, IntDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._batches import images_by_class, take
from methods._linkage import merge_heights
from methods._pairs import cosine, full_precision, pair_masks, unit

FARTHEST = 4.0  # the largest squared distance of two unit vectors
USUAL_BATCH = 50


class HierarchicalTripletLoss(nn.Module):
    """levels: L. beta: β. group: m, classes. images: t. The buffers hold the tree of the last epoch's start."""

    distance: Tensor
    level_distance: Tensor
    spread: Tensor

    def __init__(
        self, classes: int, batch_size: int, levels: int, beta: float, group: int, images: int
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.levels, self.beta, self.group, self.images = levels, beta, group, images
        self.register_buffer("distance", torch.zeros(classes, classes))
        self.register_buffer("level_distance", torch.zeros(classes, classes))
        self.register_buffer("spread", torch.zeros(classes))

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        x = unit(embeddings)
        d2 = 2 - 2 * cosine(x, x)
        positive, negative = pair_masks(labels)
        margin = self.beta + self.level_distance[labels][:, labels] - self.spread[labels][:, None]
        triplets = (positive.sum(-1) * negative.sum(-1)).sum()
        return hinges(d2, positive, d2 - margin.to(d2.dtype), negative) / (2 * triplets.clamp_min(1))

    @torch.no_grad()
    def refresh(self, embeddings: Tensor, labels: Tensor) -> None:
        """Build the tree from all training images: embeddings (N, D), labels (N,)."""
        between, within = class_distances(unit(embeddings.double()), labels, len(self.spread))
        several = torch.bincount(labels, minlength=len(within)) > 1
        base = torch.where(several, within, 0.0).sum() / several.sum().clamp_min(1)
        self.spread.copy_(torch.where(several, within, base))
        self.distance.copy_(between)
        self.level_distance.copy_(threshold_of(merge_heights(between), base, self.levels))

    def batches(self, labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        """Endless index batches: groups of a random class and its nearest, `images` of each, no class twice."""
        classes = images_by_class(labels)
        count = min(max(1, self.batch_size // self.images), len(classes))
        while True:
            chosen = self._classes(count, len(classes), generator)
            yield torch.cat([take(classes[c], self.images, generator) for c in chosen])

    def _classes(self, count: int, classes: int, generator: torch.Generator) -> list[int]:
        chosen: dict[int, None] = {}
        for anchor in torch.randperm(classes, generator=generator).tolist():
            if len(chosen) >= count:
                break
            if anchor in chosen:
                continue
            nearest = [
                c
                for c in self.distance[anchor, :classes].argsort().tolist()
                if c not in chosen and c != anchor
            ]
            chosen.update(dict.fromkeys([anchor, *nearest[: self.group - 1]]))
        return list(chosen)[:count]


def hinges(near: Tensor, positive: Tensor, far: Tensor, negative: Tensor) -> Tensor:
    """Σ [ near_ij - far_ik ]+ over all positives j and negatives k of each row i: (), without a B x B x B tensor.

    near, far (B, B); positive, negative (B, B) bool. Negatives in order, so that those below a positive are a prefix.
    """
    ordered = far.masked_fill(~negative, torch.inf).sort(-1).values
    sums = nn.functional.pad(torch.where(ordered.isfinite(), ordered, 0.0).cumsum(-1), (1, 0))
    below = torch.searchsorted(ordered.detach(), near.detach().contiguous())
    return torch.where(positive, below * near - sums.gather(-1, below), 0.0).sum()


def class_distances(x: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Mean squared distances of unit rows x (N, D): between classes (C, C), the diagonal 0, and within them (C,).

    A class of one image, or of none, has 0 within; one of none is at 2 from all others.
    """
    sums = x.new_zeros(classes, x.shape[1]).index_add_(0, labels, x)
    counts = torch.bincount(labels, minlength=classes).to(x.dtype)
    means = sums / counts.clamp_min(1)[:, None]
    between = (2 - 2 * means @ means.T).clamp_min(0).fill_diagonal_(0)
    # Over ordered pairs of different images: Σ D_ij = 2 n² - 2 ‖Σ x‖².
    total = 2 * counts.square() - 2 * sums.square().sum(-1)
    return between, (total / (counts * (counts - 1)).clamp_min(1)).clamp_min(0)


def threshold_of(heights: Tensor, base: Tensor, levels: int) -> Tensor:
    """d_H: the smallest threshold d_l above each height (C, C), of levels 0 .. L between d_0 = base and 4."""
    thresholds = base + torch.arange(levels + 1, dtype=heights.dtype, device=heights.device) / levels * (
        FARTHEST - base
    )
    level = torch.searchsorted(thresholds, heights.contiguous(), right=True).clamp_max(levels)
    return thresholds[level]


def build(task: Task, *, levels: int = 16, beta: float = 0.1, group: int = 5, images: int = 2) -> nn.Module:
    """levels: L. beta: β. group: m, classes that lie near each other in a batch. images: t, of each class."""
    return HierarchicalTripletLoss(task.classes, task.batch_size or USUAL_BATCH, levels, beta, group, images)


METHOD = Method(
    title="HTL",
    paper=Paper(
        authors="Ge, Huang, Dong, Scott",
        title="Deep Metric Learning with Hierarchical Triplet Loss",
        venue="ECCV",
        year=2018,
        link="https://arxiv.org/abs/1810.06951",
        batch=50,
    ),
    build=build,
    kind="triplet",
    space={
        "levels": IntDistribution(4, 32, log=True),
        "beta": FloatDistribution(0, 0.5),
        "group": IntDistribution(2, 8),
        "images": IntDistribution(2, 5),
    },
    published={"levels": 16, "beta": 0.1, "group": 5, "images": 2},
    cost="all training images embedded once more in every epoch",
)
