"""Embeddings that consist of groups, one a learner, which share the D dimensions; each group has unit length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from methods._pairs import unit


def group_sizes(dimensions: int, proportions: Sequence[int]) -> list[int]:
    """D split in the given proportions, to the nearest whole column; the sizes sum to D."""
    whole, ends = sum(proportions), [0]
    for proportion in proportions:
        ends.append(ends[-1] + proportion)
    places = [round(dimensions * end / whole) for end in ends]
    return [after - before for before, after in pairwise(places)]


def unit_groups(embeddings: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """The first sum(sizes) columns of embeddings (B, E), E >= D, as one (B, size) of unit rows a group."""
    return [unit(group) for group in torch.split(embeddings[:, : sum(sizes)], list(sizes), dim=1)]
