"""What losses with learnt class vectors share: cosine logits, and a margin on the true class.

Class vectors are parameters of shape (C, D), or (C, K, D) with K centres a class; only their directions count, so they
are normalised at every call and want no weight decay.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods._pairs import cosine, unit


def gaussian(*shape: int) -> nn.Parameter:
    """Class vectors whose directions are uniform on the sphere: a standard normal."""
    return nn.Parameter(torch.randn(shape))


def cosines(embeddings: Tensor, vectors: Tensor) -> Tensor:
    """Cosine of each embedding with each class vector: (B, D) and (C, D) to (B, C)."""
    return cosine(unit(embeddings), unit(vectors.to(embeddings.dtype)))


def is_class(labels: Tensor, classes: int) -> Tensor:
    """(B, C) bool: whether column c is the class of row i."""
    return labels[:, None] == torch.arange(classes, device=labels.device)


def lowered(s: Tensor, labels: Tensor, margin: float) -> Tensor:
    """s (B, C) with `margin` taken from each row's true class."""
    return torch.where(is_class(labels, s.shape[1]), s - margin, s)


def softmax_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of (B, C) logits against (B,) labels."""
    return F.cross_entropy(logits, labels)
