"""Medoids that score well and fit the labels badly: the maximisation inside the clustering loss.

Letters: n points, C classes among them, S the medoids (indices of C points). Everything here is without gradient and on
the CPU: many small steps, each of which depends on the one before it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PAM_ROUNDS = 5
SMALLEST = 1e-9  # entropies below it are rounding


class Points:
    """Distances d (n, n) with a zero diagonal and labels (n,): what sets of medoids are scored on.

    score(S) = -Σ_i min_{j in S} d_ij + γ (1 - NMI), the NMI between labels and nearest medoids being mutual information
    over the geometric mean of the entropies; 1 where neither side is divided, 0 where one is not.
    """

    def __init__(self, d: Tensor, labels: Tensor, gamma: float) -> None:
        names, self.labels = torch.unique(labels, return_inverse=True)
        self.d, self.gamma, self.classes = d, gamma, len(names)
        #: A medoid belongs to itself, even where another one lies on its spot.
        self.nearness = d.clone().fill_diagonal_(-1.0)
        self.label_entropy = entropy(self.labels[None], self.classes)

    def scores(self, costs: Tensor, slots: Tensor, medoids: int) -> Tensor:
        """Scores (m,) of m sets: costs (m,) are sums of distances, slots (m, n) every point's place in its set."""
        return -costs + self.gamma * (1 - self.nmi(slots, medoids)).to(costs.dtype)

    def nmi(self, slots: Tensor, medoids: int) -> Tensor:
        """NMI (m,) of the labels and each row of `slots` (m, n), whose values lie in 0 .. medoids - 1."""
        of_medoids, of_labels = entropy(slots, medoids), self.label_entropy
        joint = entropy(slots * self.classes + self.labels, medoids * self.classes)
        divided = (of_medoids > SMALLEST) & (of_labels > SMALLEST)
        neither = (of_medoids <= SMALLEST) & (of_labels <= SMALLEST)
        scale = torch.where(divided, of_medoids * of_labels, 1.0).sqrt()
        return torch.where(divided, (of_medoids + of_labels - joint) / scale, neither.double())


def entropy(groups: Tensor, count: int) -> Tensor:
    """Entropy (m,) in nats of each row of `groups` (m, n), whose values lie in 0 .. count - 1."""
    sizes = torch.zeros(len(groups), count, dtype=torch.int32)
    sizes.scatter_add_(1, groups, torch.ones_like(groups, dtype=torch.int32))
    # The mean over points of -log(share of the point's group).
    return math.log(groups.shape[1]) - sizes.gather(1, groups).double().log().mean(1)


def worst_medoids(d: Tensor, labels: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """The medoids (C,) that were found to score best, and their 1 - NMI: ().

    d (n, n) distances with a zero diagonal and labels (n,), on the CPU. Greedy, then PAM_ROUNDS of single swaps.
    """
    points = Points(d, labels, gamma)
    medoids = greedy(points)
    for _ in range(PAM_ROUNDS):
        before, medoids = medoids, swapped(points, medoids)
        if torch.equal(before, medoids):
            break
    slots = points.nearness[:, medoids].argmin(1)
    return medoids, 1 - points.nmi(slots[None], len(medoids))[0]


def greedy(points: Points) -> Tensor:
    """C medoids (C,), each the best to add to those before it."""
    n = len(points.d)
    chosen: list[int] = []
    nearest = torch.full((n,), torch.inf, dtype=points.d.dtype)
    slots = torch.zeros(n, dtype=torch.int64)
    for slot in range(points.classes):
        closer = points.nearness < nearest  # row j: the points that j would win
        costs = torch.minimum(points.nearness, nearest).clamp_min(0).sum(1)
        scores = points.scores(costs, torch.where(closer, slot, slots), slot + 1)
        scores[chosen] = -torch.inf
        added = int(scores.argmax())
        chosen.append(added)
        slots = torch.where(closer[added], slot, slots)
        nearest = torch.minimum(nearest, points.nearness[added])
    return torch.tensor(chosen)


def swapped(points: Points, medoids: Tensor) -> Tensor:
    """One round of PAM: each medoid in turn gives way to the best of the points that were its own at the start.

    As in the released code a candidate's cost is summed over those points, its NMI over all points assigned anew.
    """
    medoids = medoids.clone()
    start = points.nearness[:, medoids].argmin(1)
    for slot in range(len(medoids)):
        own = (start == slot).nonzero()[:, 0]  # the medoid itself is one of them
        others = points.nearness[:, medoids].clone()
        others[:, slot] = torch.inf
        nearest, slots = others.min(1)
        moved = torch.where(
            points.nearness[own] < nearest, slot, slots
        )  # row j: assignments if own[j] takes the place
        scores = points.scores(points.d[own][:, own].sum(1), moved, len(medoids))
        best = scores.argmax()
        if scores[best] > scores[own == medoids[slot]]:
            medoids[slot] = own[best]
    return medoids
