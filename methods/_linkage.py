"""Average linkage: at which distance two classes first share a node of the tree, in O(C²)."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def merge_heights(distance: Tensor) -> Tensor:
    """(C, C) heights at which pairs of classes are joined, for their distances (C, C); the diagonal is 0.

    The distance between two nodes is the mean over pairs of their classes. By chains of nearest neighbours: follow
    nearest neighbours until two nodes are each other's, then join them; with average linkage this gives the tree of
    joining the closest two first (Murtagh 1983).
    """
    d = distance.double().cpu().clone().fill_diagonal_(torch.inf)
    heights = torch.zeros_like(d)
    members = {c: torch.tensor([c]) for c in range(len(d))}
    chain: list[int] = []
    while len(members) > 1:
        if not chain:
            chain.append(next(iter(members)))
        last = chain[-1]
        nearest = int(d[last].argmin())
        # Of equally near nodes the one before it in the chain, or the walk would not end.
        if len(chain) > 1 and d[last, chain[-2]] <= d[last, nearest]:
            nearest = chain[-2]
        if len(chain) > 1 and nearest == chain[-2]:
            del chain[-2:]
            _join(d, heights, members, nearest, last)
        else:
            chain.append(nearest)
    return heights.to(distance)


def _join(d: Tensor, heights: Tensor, members: dict[int, Tensor], a: int, b: int) -> None:
    """Node b becomes part of node a."""
    first, second = members[a], members.pop(b)
    heights[first[:, None], second] = heights[second[:, None], first] = d[a, b]
    mean = (len(first) * d[a] + len(second) * d[b]) / (len(first) + len(second))
    d[a], d[:, a] = mean, mean
    d[a, a] = torch.inf
    d[b], d[:, b] = torch.inf, torch.inf
    members[a] = torch.cat([first, second])
