"""Linear maps in closed form: what `pca`, `pca_white` and `lda` share.

Letters: N images, F features, D dimensions. Arithmetic is in float64, whatever the features are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

#: `directions(features (N, F) float64, labels (N,), D) -> (at most D, F)`, the rows to project on.
Directions = Callable[[Tensor, Tensor, int], Tensor]


class LinearSolution(nn.Module):
    """An objective that is solved instead of trained: the engine copies its map into the linear head."""

    def __init__(self, directions: Directions, dimensions: int) -> None:
        super().__init__()
        self.directions = directions
        self.dimensions = dimensions

    @torch.no_grad()
    def solve(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """features (N, F), labels (N,) -> weight (D, F), bias (D,): x -> W (x - mean).

        Where there are fewer directions than D (F < D, say) the last columns of the embedding are zero.
        """
        x = features.double()
        found = self.directions(x, labels, self.dimensions)
        weight = x.new_zeros(self.dimensions, x.shape[1])
        weight[: len(found)] = found
        return weight.to(features.dtype), (-weight @ x.mean(0)).to(features.dtype)


def scatter(x: Tensor) -> Tensor:
    """Mean outer product of the centred rows of x (N, F): (F, F)."""
    centred = x - x.mean(0)
    return centred.T @ centred / len(x)


def within_scatter(x: Tensor, labels: Tensor) -> Tensor:
    """Scatter of x (N, F) around the means of its classes, labels (N,) in 0 .. C - 1: (F, F)."""
    counts = torch.bincount(labels).clamp_min(1).to(x.dtype)
    means = x.new_zeros(len(counts), x.shape[1]).index_add_(0, labels, x) / counts[:, None]
    centred = x - means[labels]
    return centred.T @ centred / len(x)


def leading(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest eigenvalues (k,) of a symmetric matrix, descending, and their eigenvectors (k, F)."""
    values, vectors = torch.linalg.eigh(matrix)
    return values.flip(0)[:count], vectors.T.flip(0)[:count]
