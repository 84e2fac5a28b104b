"""Normalised softmax: cross-entropy on cosines with learnt class vectors.

    L = (1/n) Σ_i −log [ e^{cos(f_i, w_{y_i})/T} / Σ_c e^{cos(f_i, w_c)/T} ]

Departures: the paper's layer normalisation before L2, its class-balanced batches of 75 and its slow first epoch are the
protocol's business and not part of the loss.

Andrew Zhai and Hao-Yu Wu, "Classification is a Strong Baseline for Deep Metric Learning", BMVC 2019,
https://arxiv.org/abs/1811.12649 (eq. 4); first in Wang et al., "NormFace", ACM MM 2017.
"""

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import full_precision
from methods._proxies import cosines, gaussian, softmax_loss


class NormalizedSoftmax(nn.Module):
    """(embeddings (B, D), labels (B,)) -> (); learns one vector a class, (C, D)."""

    def __init__(self, classes: int, embedding_size: int, temperature: float) -> None:
        super().__init__()
        self.weights = gaussian(classes, embedding_size)
        self.temperature = temperature

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return softmax_loss(cosines(embeddings, self.weights) / self.temperature, labels)


def build(task: Task, *, temperature: float = 0.05) -> nn.Module:
    """temperature: T, which divides the cosines; positive."""
    return NormalizedSoftmax(task.classes, task.embedding_size, temperature)


METHOD = Method(
    title="Normalized Softmax",
    paper=Paper(
        authors="Zhai, Wu",
        title="Classification is a Strong Baseline for Deep Metric Learning",
        venue="BMVC",
        year=2019,
        link="https://arxiv.org/abs/1811.12649",
        batch=75,
    ),
    build=build,
    kind="classification",
    space={"temperature": FloatDistribution(0.01, 1.0, log=True)},
    published={"temperature": 0.05},
    own=OwnParameters(lr=FloatDistribution(1.0, 1000.0, log=True), published_lr=10.0),
    images_per_class=1,
)
