"""ProxyNCA++: softmax over squared distances to one learnt proxy a class, on layer-normalised embeddings.

    L = (1/n) Σ_i -log [ e^{-‖x_i - p_{y_i}‖²/T} / Σ_c e^{-‖x_i - p_c‖²/T} ],   x = LN(f)/‖LN(f)‖, p of unit length

The head is a linear layer with a layer normalisation without scale and shift, so that evaluation sees it too.

Departures: global max pooling and the fast rate of proxies, as large as 1e5 times the network's under the authors' Adam
with ε = 1, are not carried over: pooling is the backbone's, and the rate is searched.

Teh, DeVries, Taylor: ProxyNCA++: Revisiting and Revitalizing Proxy Neighborhood Component Analysis.
ECCV 2020. https://arxiv.org/abs/2004.01113 (eq. 6)
"""

from collections.abc import Sequence

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import full_precision
from methods._proxies import cosines, gaussian, softmax_loss


class ProxyNCAPlusPlus(nn.Module):
    """(embeddings (B, D), labels (B,)) -> (); learns one proxy a class, (C, D). temperature: T."""

    def __init__(self, classes: int, embedding_size: int, temperature: float) -> None:
        super().__init__()
        self.proxies = gaussian(classes, embedding_size)
        self.temperature = temperature

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        squared = 2 - 2 * cosines(embeddings, self.proxies)
        return softmax_loss(-squared / self.temperature, labels)


class LayerNormHead(nn.Module):
    """One linear layer on the last stage's features, each embedding then centred and scaled to variance 1."""

    def __init__(self, feature_sizes: Sequence[int], embedding_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(feature_sizes[-1], embedding_size)
        self.norm = nn.LayerNorm(embedding_size, elementwise_affine=False)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Stage features, each (B, F_s), to embeddings (B, D)."""
        normalised: Tensor = self.norm(self.linear(features[-1]))
        return normalised


def build(task: Task, *, temperature: float = 1 / 9) -> nn.Module:
    """temperature: T, which divides squared distances; 1/9 is the authors' factor 3 on both x and p."""
    return ProxyNCAPlusPlus(task.classes, task.embedding_size, temperature)


METHOD = Method(
    title="ProxyNCA++",
    paper=Paper(
        authors="Teh, DeVries, Taylor",
        title="ProxyNCA++: Revisiting and Revitalizing Proxy Neighborhood Component Analysis",
        venue="ECCV",
        year=2020,
        link="https://arxiv.org/abs/2004.01113",
        batch=32,
    ),
    build=build,
    kind="proxy",
    space={"temperature": FloatDistribution(0.01, 2.0, log=True)},
    published={"temperature": 1 / 9},
    own=OwnParameters(lr=FloatDistribution(1, 1000, log=True), published_lr=100.0),
    head=LayerNormHead,
)
