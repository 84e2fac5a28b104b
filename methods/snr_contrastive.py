"""SNR contrastive: the contrastive loss on a noise-to-signal ratio of two embeddings instead of a distance.

Over the D components, with the unbiased variance:
    δ_ij = Var(x_i - x_j) / Var(x_i)
    L = mean of the non-zero [δ_ij - m_pos]+ over positives + mean of the non-zero [m_neg - δ_ik]+ over negatives
        + λ mean_i |Σ_k x_ik|

Departures: x are unit vectors, as in the Reality Check (the paper takes the network's output as it is); Var(x_i) counts
as at least 1e-6, else an embedding whose components are all equal has an infinite loss. `weight` is λ. The paper was
not at hand for its own values; the published ones are those of the library that the Reality Check used.

Yuan, Deng, Tang, Tang, Chen: Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning.
CVPR 2019. https://arxiv.org/abs/1904.02616
"""

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import full_precision, nonzero_mean, pair_masks, unit

#: The least variance of an anchor's components.
VARIANCE_FLOOR = 1e-6


class SNRContrastive(nn.Module):
    """The loss above; XBM can give it references from its memory."""

    def __init__(self, pos_margin: float, neg_margin: float, weight: float) -> None:
        super().__init__()
        self.pos_margin, self.neg_margin, self.weight = pos_margin, neg_margin, weight

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
        ratio = noise_to_signal(anchors, others)
        pull = nonzero_mean(ratio - self.pos_margin, positive)
        push = nonzero_mean(self.neg_margin - ratio, negative)
        return pull + push + self.weight * anchors.sum(1).abs().mean()


def noise_to_signal(a: Tensor, b: Tensor) -> Tensor:
    """δ_ij of rows a (B, D) and b (R, D): (B, R), not symmetric."""
    # Var(a - b) is the squared distance of the centred rows over D - 1.
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    freedom = max(a.shape[1] - 1, 1)
    signal = a.square().sum(1, keepdim=True) / freedom
    noise = (a.square().sum(1, keepdim=True) + b.square().sum(1) - 2 * a @ b.T).relu() / freedom
    return noise / signal.clamp_min(VARIANCE_FLOOR)


def build(task: Task, *, pos_margin: float = 0.0, neg_margin: float = 1.0, weight: float = 0.0) -> nn.Module:
    """pos_margin, neg_margin: ratios below which positives, above which negatives are left alone. weight: λ, of the
    term that draws an embedding's components to mean zero."""
    return SNRContrastive(pos_margin, neg_margin, weight)


METHOD = Method(
    title="SNR Contrastive",
    paper=Paper(
        authors="Yuan, Deng, Tang, Tang, Chen",
        title="Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning",
        venue="CVPR",
        year=2019,
        link="https://arxiv.org/abs/1904.02616",
    ),
    build=build,
    kind="pair",
    space={
        "pos_margin": FloatDistribution(0, 2),
        "neg_margin": FloatDistribution(0, 2),
        "weight": FloatDistribution(0, 1),
    },
    published={"pos_margin": 0.0, "neg_margin": 1.0, "weight": 0.0},
)
