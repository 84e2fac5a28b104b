"""Soft histograms: each value falls on the two nodes nearest to it, in shares that sum to 1."""

import torch
from torch import Tensor


def soft_histograms(
    x: Tensor, masks: tuple[Tensor, ...], *, low: float, high: float, bins: int
) -> tuple[Tensor, ...]:
    """For each mask (B, R), one histogram a row of x (B, R), onto bins + 1 nodes from low to high: (B, bins + 1).

    The weight of a node at distance u from a value is [1 - |u| / width]+. Memory: B R (bins + 1) numbers.
    """
    width = (high - low) / bins
    nodes = torch.linspace(low, high, bins + 1, dtype=x.dtype, device=x.device)
    weights = (1 - (x[:, :, None] - nodes).abs() / width).relu()
    # (B, masks, R) @ (B, R, nodes): no masked copy of the weights.
    return (torch.stack(masks, 1).to(x.dtype) @ weights).unbind(1)
