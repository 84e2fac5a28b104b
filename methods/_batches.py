"""Index batches for objectives that lay out their own (`batches(labels, generator)`)."""

from __future__ import annotations

import torch
from torch import Tensor


def images_by_class(labels: Tensor) -> list[Tensor]:
    """Positions of the images of each class 0 .. C - 1, for `labels` (N,) int64."""
    order = torch.argsort(labels, stable=True)
    return list(torch.split(order, torch.bincount(labels).tolist()))


def take(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` images of one class, drawn without repetition where there are enough, else with."""
    if len(images) < count:
        return images[torch.randint(len(images), (count,), generator=generator)]
    return images[torch.randperm(len(images), generator=generator)[:count]]
