"""ArcFace: softmax over cosines with class weights, the angle to the true class enlarged by a margin.

With θ_ic the angle between embedding i and the weight of class c, y its class:
    L = mean of -log [ e^{s cos(θ_iy + m)} / ( e^{s cos(θ_iy + m)} + Σ_{c ≠ y} e^{s cos θ_ic} ) ]   (eq. 3)

Departures: m is in degrees (28.65 is the paper's 0.5 rad). Beyond θ = π - m, where cos(θ + m) would rise again,
cos θ - m sin m goes on falling, as in the authors' code; the Reality Check's version lacks that.

Deng, Guo, Xue, Zafeiriou: ArcFace: Additive Angular Margin Loss for Deep Face Recognition.
CVPR 2019. https://arxiv.org/abs/1801.07698
"""

import math

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn
from torch.nn import functional as F

from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import full_precision
from methods._proxies import cosines

LARGEST_COSINE = 1 - 1e-7  # the slope of arccos is infinite at 1


class ArcFace(nn.Module):
    """weights: (C, D), one a class, learnt; only their directions count. margin: m in radians."""

    def __init__(self, classes: int, dimensions: int, margin: float, scale: float) -> None:
        super().__init__()
        self.margin = margin
        self.scale = scale
        self.weights = nn.Parameter(torch.empty(classes, dimensions))
        bound = 1 / math.sqrt(dimensions)
        nn.init.uniform_(self.weights, -bound, bound)

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        cosine = cosines(embeddings, self.weights)
        true = cosine.gather(1, labels[:, None])
        angle = true.clamp(-LARGEST_COSINE, LARGEST_COSINE).acos()
        beyond = true - self.margin * math.sin(self.margin)
        farther = torch.where(angle <= math.pi - self.margin, (angle + self.margin).cos(), beyond)
        logits = cosine.scatter(1, labels[:, None], farther)
        return F.cross_entropy(self.scale * logits, labels)


def build(task: Task, *, margin: float = math.degrees(0.5), scale: float = 64.0) -> nn.Module:
    """margin: m in degrees. scale: s."""
    return ArcFace(task.classes, task.embedding_size, math.radians(margin), scale)


METHOD = Method(
    title="ArcFace",
    paper=Paper(
        authors="Deng, Guo, Xue, Zafeiriou",
        title="ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
        venue="CVPR",
        year=2019,
        link="https://arxiv.org/abs/1801.07698",
    ),
    build=build,
    kind="classification",
    space={"margin": FloatDistribution(0, 60), "scale": FloatDistribution(4, 200, log=True)},
    published={"margin": math.degrees(0.5), "scale": 64.0},
    # Roth et al. (ICML 2020) train the class weights at 50 times the network's rate.
    own=OwnParameters(lr=FloatDistribution(1, 1000, log=True), published_lr=50.0),
    images_per_class=1,
)
