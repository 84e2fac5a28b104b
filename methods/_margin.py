"""The margin loss over all triplets of a batch, which `margin_all` and `margin_class` share."""

import torch
from torch import Tensor, nn

from methods._pairs import euclidean, full_precision, pair_masks, unit


class AllTripletsMargin(nn.Module):
    """Every triplet (a, p, n) gives [d_ap - β_a + α]+ and [β_a - d_an + α]+; their sum over the number above 0.

    boundaries: how many β are learnt: 1, or one a class (then the anchor's class says which).
    beta: where they start. margin: α.
    """

    def __init__(self, boundaries: int, *, margin: float, beta: float) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.full((boundaries,), float(beta)))
        self.margin = margin

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
        positive, negative = pair_masks(labels, reference_labels, valid)
        d = euclidean(anchors, others)
        beta = (self.beta[labels] if len(self.beta) > 1 else self.beta)[:, None].to(d.dtype)
        pull = (d - beta + self.margin).relu()
        push = (beta - d + self.margin).relu()
        # A positive pair stands in one triplet for each of its anchor's negatives, and the other way round: the sums
        # over triplets are sums over pairs.
        pulls = positive * negative.sum(1, keepdim=True)
        pushes = negative * positive.sum(1, keepdim=True)
        active = (pulls * (pull > 0) + pushes * (push > 0)).sum()
        return (pulls * pull + pushes * push).sum() / active.clamp_min(1)
