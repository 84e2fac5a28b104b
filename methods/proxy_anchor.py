"""Proxy-Anchor: each class's proxy is an anchor that gathers the batch's images of its class and pushes the others.

    L = (1/|C⁺|) Σ_{c∈C⁺} log(1 + Σ_{i: y_i=c} e^{−α(s_ic − δ)}) + (1/C) Σ_c log(1 + Σ_{i: y_i≠c} e^{α(s_ic + δ)})

C⁺ are the classes present in the batch. Departures: the warm-up epochs of head and proxies alone and the clipping of
gradients are the protocol's business and not part of the loss.

Sungyeon Kim, Dongwon Kim, Minsu Cho and Suha Kwak, "Proxy Anchor Loss for Deep Metric Learning", CVPR 2020,
https://arxiv.org/abs/2003.13911 (eq. 4).
"""

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import full_precision, masked_logsumexp, mean_where, softplus
from methods._proxies import cosines, gaussian, is_class


class ProxyAnchor(nn.Module):
    """(embeddings (B, D), labels (B,)) -> (); learns one proxy a class, (C, D)."""

    def __init__(self, classes: int, embedding_size: int, alpha: float, delta: float) -> None:
        super().__init__()
        self.proxies = gaussian(classes, embedding_size)
        self.alpha, self.delta = alpha, delta

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        s = cosines(embeddings, self.proxies)  # (B, C): proxies are the anchors, so sums go down the columns
        own = is_class(labels, len(self.proxies))
        pull = softplus(masked_logsumexp(-self.alpha * (s - self.delta), own, dim=0))
        push = softplus(masked_logsumexp(self.alpha * (s + self.delta), ~own, dim=0))
        return mean_where(pull, own.sum(0) > 0) + push.mean()


def build(task: Task, *, alpha: float = 32.0, delta: float = 0.1) -> nn.Module:
    """alpha: α, scale of the similarities. delta: δ, margin."""
    return ProxyAnchor(task.classes, task.embedding_size, alpha, delta)


METHOD = Method(
    title="Proxy-Anchor",
    paper=Paper(
        authors="Kim, Kim, Cho, Kwak",
        title="Proxy Anchor Loss for Deep Metric Learning",
        venue="CVPR",
        year=2020,
        link="https://arxiv.org/abs/2003.13911",
        batch=180,
    ),
    build=build,
    kind="proxy",
    space={"alpha": FloatDistribution(8.0, 64.0, log=True), "delta": FloatDistribution(0.0, 0.3)},
    published={"alpha": 32.0, "delta": 0.1},
    own=OwnParameters(lr=FloatDistribution(1.0, 1000.0, log=True), published_lr=100.0),
    images_per_class=1,
)
