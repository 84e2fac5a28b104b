"""ProxyNCA as the Reality Check ran it: softmax over squared distances to one learnt proxy a class.

    L = (1/n) Σ_i −log [ e^{−σ‖x_i − p_{y_i}‖²} / Σ_c e^{−σ‖x_i − p_c‖²} ],  x and p of unit length

Departures: the paper leaves the true class's proxy out of the sum below the line (our `proxy_nca`); the Reality Check,
and the released code that it follows, leave it in, which makes the loss a softmax with logits 2σ cos + constant.

Yair Movshovitz-Attias, Alexander Toshev, Thomas K. Leung, Sergey Ioffe and Saurabh Singh, "No Fuss Distance Metric
Learning using Proxies", ICCV 2017, https://arxiv.org/abs/1703.07464 (eq. 5); this form in Musgrave et al., "A Metric
Learning Reality Check", ECCV 2020, https://arxiv.org/abs/2003.08505.
"""

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import full_precision
from methods._proxies import cosines, gaussian, softmax_loss


class ProxyNCAIncluded(nn.Module):
    """(embeddings (B, D), labels (B,)) -> (); learns one proxy a class, (C, D)."""

    def __init__(self, classes: int, embedding_size: int, scale: float) -> None:
        super().__init__()
        self.proxies = gaussian(classes, embedding_size)
        self.scale = scale

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        squared = 2 - 2 * cosines(embeddings, self.proxies)
        return softmax_loss(-self.scale * squared, labels)


def build(task: Task, *, scale: float = 9.0) -> nn.Module:
    """scale: σ, which multiplies squared distances; 9 is the released code's factor 3 on both x and p."""
    return ProxyNCAIncluded(task.classes, task.embedding_size, scale)


METHOD = Method(
    title="ProxyNCA (Reality Check)",
    paper=Paper(
        authors="Movshovitz-Attias, Toshev, Leung, Ioffe, Singh",
        title="No Fuss Distance Metric Learning using Proxies",
        venue="ICCV",
        year=2017,
        link="https://arxiv.org/abs/1703.07464",
    ),
    build=build,
    kind="proxy",
    space={"scale": FloatDistribution(0.5, 100.0, log=True)},
    published={"scale": 9.0},
    own=OwnParameters(lr=FloatDistribution(1.0, 1000.0, log=True), published_lr=50.0),
    images_per_class=1,
)
