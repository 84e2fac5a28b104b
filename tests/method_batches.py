"""Batches on which methods are tested: the golden one, random ones, and those that break careless code."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness import probe

#: Angles in degrees and labels of six unit vectors in the plane, whose losses were worked out independently.
FIX6_ANGLES = (0, 25, 60, 40, 100, 130)
FIX6_LABELS = (0, 0, 0, 1, 1, 1)
FIX6_PROXY_ANGLES = (20, 110)


def at_angles(degrees: tuple[int, ...]) -> Tensor:
    """Unit vectors in the plane, (n, 2) float64."""
    vectors = [(math.cos(math.radians(a)), math.sin(math.radians(a))) for a in degrees]
    return torch.tensor(vectors, dtype=torch.float64)


def fix6() -> tuple[Tensor, Tensor]:
    """The golden batch: embeddings (6, 2) float64, labels (6,)."""
    return at_angles(FIX6_ANGLES), torch.tensor(FIX6_LABELS)


def random_batch(
    seed: int, per_class: int = 4, images: int = 24, dimensions: int = 16
) -> tuple[Tensor, Tensor]:
    """Embeddings (images, dimensions) float64 of any length, and labels with `per_class` images a class."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(images, dimensions, dtype=torch.float64, generator=generator)
    labels = torch.arange(images) // per_class
    return embeddings, labels[torch.randperm(images, generator=generator)]


def degenerate_batches() -> dict[str, tuple[Tensor, Tensor]]:
    """Batches in which something that losses rely on is missing, by what is wrong with them; float64."""
    return {what: (x.double(), labels) for what, (x, labels) in probe.degenerate_batches().items()}
