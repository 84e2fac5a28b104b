"""Batches on which methods are tested: the golden one, random ones, and those that break careless code."""

from __future__ import annotations

import math

import torch
from torch import Tensor

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
    embeddings, labels = random_batch(7, per_class=2, images=8)
    twice = embeddings.clone()
    twice[labels == 0] = twice[labels == 0][0]  # two images of one class that are the same image
    same_across = embeddings.clone()
    same_across[4] = same_across[int((labels != labels[4]).nonzero()[0])]  # one image under two labels
    zero = embeddings.clone()
    zero[3] = 0
    return {
        "one class only": (embeddings, torch.zeros_like(labels)),
        "all classes distinct": (embeddings, torch.arange(8)),
        "duplicates in a class": (twice, labels),
        "duplicates across classes": (same_across, labels),
        "a zero vector": (zero, labels),
        "two of one class": (embeddings[:2], torch.zeros(2, dtype=torch.int64)),
        "two of two classes": (embeddings[:2], torch.arange(2)),
    }
