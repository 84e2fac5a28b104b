"""SoftTriple: softmax over classes that have several centres each, with a pull that merges spare centres.

    S_ic = Σ_k q_k cos(f_i, w_ck),  q = softmax_k( cos(f_i, w_ck) / γ )
    L = (1/n) Σ_i −log [ e^{λ(S_{i,y_i} − δ)} / ( e^{λ(S_{i,y_i} − δ)} + Σ_{c≠y_i} e^{λ S_ic} ) ] + τ R
    R = Σ_c Σ_{k<l} sqrt(2 + 1e-5 − 2 w_ck·w_cl) / ( C K (K−1) )

Departures: none from the released code (the paper's R has no 1e-5 under the root, and an infinite slope where two
centres meet). Keyword names: `la` is λ, `margin` is δ, `centers` is K.

Qi Qian, Lei Shang, Baigui Sun, Juhua Hu, Hao Li and Rong Jin, "SoftTriple Loss: Deep Metric Learning Without Triplet
Sampling", ICCV 2019, https://arxiv.org/abs/1909.05235 (eqs. 7, 10, 13).
"""

import math

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import cosine, full_precision, unit
from methods._proxies import lowered, softmax_loss

#: Keeps the slope of R finite where two centres of a class meet (released code).
ROOT_FLOOR = 1e-5


class SoftTriple(nn.Module):
    """(embeddings (B, D), labels (B,)) -> (); learns K centres a class, (C, K, D)."""

    def __init__(
        self,
        classes: int,
        embedding_size: int,
        centers: int,
        la: float,
        gamma: float,
        margin: float,
        tau: float,
    ) -> None:
        super().__init__()
        # As released: He-uniform with slope sqrt(5) over C K columns.
        bound = 1 / math.sqrt(classes * centers)
        self.centers = nn.Parameter(torch.empty(classes, centers, embedding_size).uniform_(-bound, bound))
        self.la, self.gamma, self.margin, self.tau = la, gamma, margin, tau

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        w = unit(self.centers.to(embeddings.dtype))
        classes, centers, _ = w.shape
        # (B, K, C): a softmax over K values that lie next to each other takes ten times as long on a CPU.
        to_centers = cosine(unit(embeddings), w.transpose(0, 1).flatten(0, 1)).view(-1, centers, classes)
        share = (to_centers / self.gamma).softmax(dim=1)
        relaxed = (share * to_centers).sum(dim=1)  # S_ic
        loss = softmax_loss(self.la * lowered(relaxed, labels, self.margin), labels)
        return loss + self.tau * spread(w) if centers > 1 else loss


def spread(w: Tensor) -> Tensor:
    """R of unit centres w (C, K, D): half the mean distance between two centres of one class."""
    classes, centers, _ = w.shape
    others = ~torch.eye(centers, dtype=torch.bool, device=w.device)
    gaps = (2 + ROOT_FLOOR - 2 * w @ w.transpose(1, 2)).sqrt()
    # Each unordered pair stands here twice.
    return gaps.where(others, 0.0).sum() / (2 * classes * centers * (centers - 1))


def build(
    task: Task,
    *,
    la: float = 20.0,
    gamma: float = 0.1,
    margin: float = 0.01,
    tau: float = 0.2,
    centers: int = 10,
) -> nn.Module:
    """la: λ, scale of the logits. gamma: temperature of a class's softmax over its centres. margin: δ, taken from the
    true class's similarity. tau: weight of R. centers: K, centres a class."""
    return SoftTriple(task.classes, task.embedding_size, centers, la, gamma, margin, tau)


METHOD = Method(
    title="SoftTriple",
    paper=Paper(
        authors="Qian, Shang, Sun, Hu, Li, Jin",
        title="SoftTriple Loss: Deep Metric Learning Without Triplet Sampling",
        venue="ICCV",
        year=2019,
        link="https://arxiv.org/abs/1909.05235",
        batch=32,
    ),
    build=build,
    kind="classification",
    space={
        "la": FloatDistribution(1.0, 200.0, log=True),
        "gamma": FloatDistribution(0.005, 100.0, log=True),
        "margin": FloatDistribution(0.0, 1.0),
        "tau": FloatDistribution(0.0, 1.0),
    },
    published={"la": 20.0, "gamma": 0.1, "margin": 0.01, "tau": 0.2},
    own=OwnParameters(lr=FloatDistribution(1.0, 1000.0, log=True), published_lr=100.0),
    images_per_class=1,
    cost="10 centres a class",
)
