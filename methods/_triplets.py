"""Triplets without the B x B x B tensor: exact sums over all of them in O(B R log R)."""

from __future__ import annotations

import torch
from torch import Tensor


def all_triplets(d: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean of the non-zero [d_ap - d_an + margin]+ over all triplets of the batch: (); 0 when none is active.

    d (B, R) distances; positive, negative (B, R) bool. The sum over active triplets is a weighted sum of
    distances: each d_ap counts once for every negative it is active with, each d_an once for every positive,
    so that value and gradient are those of the full list of triplets.
    """
    with torch.no_grad():
        reach = d + margin  # a negative is active with a positive where d_an < d_ap + margin
        negatives_in_reach = _count_below(d, negative, reach) * positive
        positives_that_reach = _count_above(reach, positive, d) * negative
        active = negatives_in_reach.sum()
    pull = (negatives_in_reach * torch.where(positive, d + margin, 0.0)).sum()
    push = (positives_that_reach * torch.where(negative, d, 0.0)).sum()
    return (pull - push) / active.clamp_min(1)


def nearest_above(d: Tensor, mask: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """For each threshold `at` (B, R): the smallest d_ik > at of its row among `mask`, and whether there is one.

    Two (B, R) tensors; the first is +inf where there is none. The gradient reaches the chosen d_ik.
    """
    ordered = d.masked_fill(~mask, torch.inf).sort(-1).values
    place = torch.searchsorted(ordered.detach(), at.detach().contiguous(), right=True)
    found = ordered.gather(-1, place.clamp_max(d.shape[-1] - 1))
    exists = (place < d.shape[-1]) & found.isfinite()
    return torch.where(exists, found, torch.inf), exists


def _count_below(d: Tensor, mask: Tensor, at: Tensor) -> Tensor:
    """(B, R): how many elements of the row are in `mask` and below `at`."""
    ordered = d.masked_fill(~mask, torch.inf).sort(-1).values
    return torch.searchsorted(ordered, at.contiguous())


def _count_above(d: Tensor, mask: Tensor, at: Tensor) -> Tensor:
    """(B, R): how many elements of the row are in `mask` and above `at`."""
    ordered = d.masked_fill(~mask, -torch.inf).sort(-1).values
    return d.shape[-1] - torch.searchsorted(ordered, at.contiguous(), right=True)
