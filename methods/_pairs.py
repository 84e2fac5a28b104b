"""Pairs of a batch: which are positive, how alike they are, and how terms over them are averaged.

Letters: B anchors, R references, D dimensions. Without a memory the batch is its own reference (R = B) and a
pair of an image with itself does not exist; it is left out by its index, never by its value. Nothing here
copies to the host or changes shape with the data, so that losses compile whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: `formula(measure (B, R), positive (B, R) bool, negative (B, R) bool) -> ()`
Formula = Callable[[Tensor, Tensor, Tensor], Tensor]


# -- precision ----------------------------------------------------------------------------------------------
def full_precision(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorates an objective's `forward`: no autocast inside, embeddings in float32 (float64 stays).

    In bfloat16, 2 - 2s loses every small distance and s never quite reaches 1.
    """

    @wraps(forward)
    def wrapped(self: nn.Module, embeddings: Tensor, *rest: Any, **named: Any) -> Tensor:
        with torch.autocast(embeddings.device.type, enabled=False):
            return forward(self, at_least_float32(embeddings), *rest, **named)

    return wrapped


def at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


# -- measures -----------------------------------------------------------------------------------------------
def unit(x: Tensor) -> Tensor:
    """Rows of `x` (..., D) at length 1; a zero row stays zero."""
    return F.normalize(x, dim=-1, eps=1e-12)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Similarities s_ij of unit rows a (B, D) and b (R, D): (B, R) in [-1, 1]."""
    return a @ b.T


def euclidean(a: Tensor, b: Tensor) -> Tensor:
    """Distances d_ij of rows a (B, D) and b (R, D): (B, R). The gradient at distance 0 is 0, not infinite."""
    return torch.cdist(a, b)


def squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances D_ij = 2 - 2 s_ij of unit rows a (B, D) and b (R, D): (B, R) in [0, 4]."""
    return 2 - 2 * cosine(a, b)


def pair_masks(
    labels: Tensor, reference_labels: Tensor | None = None, valid: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Which pairs are positive and which are negative: two (B, R) bool masks.

    labels: (B,) int64. reference_labels: (R,), or None when the batch is its own reference.
    valid: (B, R) bool, the pairs that exist (no copy of the anchor itself, no empty slot of a memory).
    """
    if reference_labels is None:
        reference_labels = labels
        valid = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    same = labels[:, None] == reference_labels[None, :]
    return (same, ~same) if valid is None else (same & valid, ~same & valid)


class PairLoss(nn.Module):
    """A loss that is a formula over the matrix of pairs; XBM can give it references from its memory.

    formula: see `Formula`. measure: `cosine`, `euclidean` or `squared`; always of unit vectors.
    """

    def __init__(self, formula: Formula, measure: Callable[[Tensor, Tensor], Tensor] = cosine) -> None:
        super().__init__()
        self.formula = formula
        self.measure = measure

    @full_precision
    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        references: Tensor | None = None,
        reference_labels: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> Tensor:
        """embeddings (B, D), labels (B,), references (R, D) with labels (R,), valid (B, R) bool -> ()."""
        anchors = unit(embeddings)
        others = anchors if references is None else unit(references.to(anchors.dtype))
        return self.formula(self.measure(anchors, others), *pair_masks(labels, reference_labels, valid))


# -- sums and means over masks ------------------------------------------------------------------------------
def masked_sum(x: Tensor, mask: Tensor) -> Tensor:
    """Sum of each row of `x` (B, R) where `mask` holds: (B,); 0 for an empty row."""
    return torch.where(mask, x, 0.0).sum(-1)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of each row of `x` (B, R) where `mask` holds: (B,); 0 for an empty row."""
    return masked_sum(x, mask) / mask.sum(-1).clamp_min(1)


def mean_where(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of all elements of `x` where `mask` holds: (); 0, still on the graph, where it holds nowhere."""
    return torch.where(mask, x, 0.0).sum() / mask.sum().clamp_min(1)


def nonzero_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of the elements of `x` above 0 where `mask` holds: (); 0 when there are none."""
    return mean_where(x, mask & (x > 0))


def masked_logsumexp(x: Tensor, mask: Tensor, dim: int = -1) -> Tensor:
    """log sum exp along one dimension of `x` (B, R) where `mask` holds; hugely negative for an empty row.

    Finite even there, so that neither the value nor the gradient turns into NaN before it is masked away.
    """
    value: Tensor = _MaskedLogSumExp.apply(x, mask, dim)
    return value


class _MaskedLogSumExp(torch.autograd.Function):
    """By softmax, which is both the gradient and, at its largest, e^max / sum.

    `torch.logsumexp` takes up to ten times as long on a CPU: its `exp` is slow wherever the result underflows, as it
    does at every masked element.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor, dim: int) -> Tensor:
        kept = torch.where(mask, x, torch.finfo(x.dtype).min)
        share = kept.softmax(dim)
        ctx.save_for_backward(share, mask)
        ctx.dim = dim
        return kept.amax(dim) - share.amax(dim).log()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        share, mask = ctx.saved_tensors
        return torch.where(mask, share * slope.unsqueeze(ctx.dim), 0.0), None, None


def row_min(x: Tensor, mask: Tensor) -> Tensor:
    """Smallest element of each row where `mask` holds: (B, 1); +inf for an empty row."""
    return x.masked_fill(~mask, torch.inf).amin(-1, keepdim=True)


def row_max(x: Tensor, mask: Tensor) -> Tensor:
    """Largest element of each row where `mask` holds: (B, 1); -inf for an empty row."""
    return x.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), exact at both ends (torch's own turns linear at 20)."""
    return -F.logsigmoid(-x)
