"""ProxyNCA: each embedding close to its class's learnt proxy and far from all others.

With squared distances D of unit vectors and a scale σ, over the batch:
    L = mean of -log [ e^{-σ D(x_i, p_{y_i})} / Σ_{c ≠ y_i} e^{-σ D(x_i, p_c)} ]

The true proxy is not in the denominator, as in the paper, so the value may be negative; `proxy_nca_rc` has it.
Departures: σ (9 in the code we follow: both vectors at length 3) is an argument; the paper's is 1.

Movshovitz-Attias, Toshev, Leung, Ioffe, Singh: No Fuss Distance Metric Learning Using Proxies.
ICCV 2017. https://arxiv.org/abs/1703.07464
"""

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import full_precision, masked_logsumexp, squared, unit
from methods._proxies import is_class


class ProxyNCA(nn.Module):
    """proxies: (C, D), one a class, learnt; only their directions count."""

    def __init__(self, classes: int, dimensions: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        # The released re-implementations' start; its length sets how far one step turns a proxy.
        self.proxies = nn.Parameter(torch.randn(classes, dimensions) / 8)

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        logits = -self.scale * squared(unit(embeddings), unit(self.proxies.to(embeddings.dtype)))
        own = is_class(labels, len(self.proxies))
        return (masked_logsumexp(logits, ~own) - torch.where(own, logits, 0.0).sum(-1)).mean()


def build(task: Task, *, scale: float = 9.0) -> nn.Module:
    """scale: σ, multiplies the squared distances."""
    return ProxyNCA(task.classes, task.embedding_size, scale)


METHOD = Method(
    title="ProxyNCA",
    paper=Paper(
        authors="Movshovitz-Attias, Toshev, Leung, Ioffe, Singh",
        title="No Fuss Distance Metric Learning Using Proxies",
        venue="ICCV",
        year=2017,
        link="https://arxiv.org/abs/1703.07464",
    ),
    build=build,
    kind="proxy",
    space={"scale": FloatDistribution(1, 100, log=True)},
    published={"scale": 9.0},
    # Roth et al. (ICML 2020) train the proxies at 50 times the network's rate.
    own=OwnParameters(lr=FloatDistribution(1, 1000, log=True), published_lr=50.0),
    images_per_class=1,
)
