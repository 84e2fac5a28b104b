"""CosFace: softmax on scaled cosines, the true class's cosine lowered by a margin.

    L = (1/n) Σ_i −log [ e^{s(cos θ_{i,y_i} − m)} / ( e^{s(cos θ_{i,y_i} − m)} + Σ_{c≠y_i} e^{s cos θ_{i,c}} ) ]

Departures: none.

Hao Wang, Yitong Wang, Zheng Zhou, Xing Ji, Dihong Gong, Jingchao Zhou, Zhifeng Li and Wei Liu, "CosFace: Large Margin
Cosine Loss for Deep Face Recognition", CVPR 2018, https://arxiv.org/abs/1801.09414 (eq. 4).
"""

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import full_precision
from methods._proxies import cosines, gaussian, lowered, softmax_loss


class CosFace(nn.Module):
    """(embeddings (B, D), labels (B,)) -> (); learns one vector a class, (C, D)."""

    def __init__(self, classes: int, embedding_size: int, margin: float, scale: float) -> None:
        super().__init__()
        self.weights = gaussian(classes, embedding_size)
        self.margin = margin
        self.scale = scale

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        s = lowered(cosines(embeddings, self.weights), labels, self.margin)
        return softmax_loss(self.scale * s, labels)


def build(task: Task, *, margin: float = 0.35, scale: float = 64.0) -> nn.Module:
    """margin: m, taken from the true class's cosine. scale: s, which multiplies the cosines."""
    return CosFace(task.classes, task.embedding_size, margin, scale)


METHOD = Method(
    title="CosFace",
    paper=Paper(
        authors="Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu",
        title="CosFace: Large Margin Cosine Loss for Deep Face Recognition",
        venue="CVPR",
        year=2018,
        link="https://arxiv.org/abs/1801.09414",
    ),
    build=build,
    kind="classification",
    space={"margin": FloatDistribution(0.0, 1.0), "scale": FloatDistribution(1.0, 200.0, log=True)},
    published={"margin": 0.35, "scale": 64.0},
    own=OwnParameters(lr=FloatDistribution(1.0, 1000.0, log=True), published_lr=10.0),
    images_per_class=1,
)
