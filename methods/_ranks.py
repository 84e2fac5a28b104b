"""Soft ranks of an anchor's positives among the batch, which `smooth_ap` and `recall_at_k` share."""

from typing import NamedTuple

import torch
from torch import Tensor


class Positives(NamedTuple):
    """Up to W positives of each anchor: which images they are, and which of the W places are filled."""

    images: Tensor  # (B, W) int64
    filled: Tensor  # (B, W) bool


def most_positives(images_per_class: int | None) -> int | None:
    """How many positives an anchor has in a batch of so many images a class; None where batches have no such rule."""
    return None if images_per_class is None or images_per_class < 2 else images_per_class - 1


def gather_positives(s: Tensor, positive: Tensor, width: int) -> Positives:
    """The positives of each anchor as a (B, W) table, W = min(width, B).

    width: as many as an anchor of the batch has. Where it has more, the most similar of s (B, B) are taken.
    """
    closest = s.detach().masked_fill(~positive, -torch.inf).topk(min(width, s.shape[1]), dim=1).indices
    return Positives(closest, positive.gather(1, closest))


def ahead(s: Tensor, positives: Positives, tau: float) -> Tensor:
    """How surely image z stands before positive p in anchor i's ranking: (B, W, B) in [0, 1], 0 where z is p.

    σ((s_iz - s_ip) / τ), from similarities s (B, B); W is a few, so this is no tensor of triplets.
    """
    of_positives = s.gather(1, positives.images)[:, :, None]
    everyone = torch.arange(s.shape[1], device=s.device)
    others = everyone != positives.images[:, :, None]
    return ((s[:, None, :] - of_positives) / tau).sigmoid() * others
