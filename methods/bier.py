"""Boosting Independent Embeddings Robustly: three learners, each trained on what the ones before got wrong.

The D dimensions are shared by linear learners of growing size, whose unit vectors see the pairs of the batch with
weights w that online gradient boosting gives them (L_k, w and A in `_boosting`):
    L = Σ_k L_k + λ Σ_{k<l} mean (v_k,i v_l,j)²,   v_k = W_k h without gradient to the backbone's features h,
and the weights of each feature in W_k are held at unit length. Embeddings are compared as in the paper: learners count
by the square of their share of D.

Departures: the activation loss acts throughout the training, as in the released code, where the paper solves it once
for the initial weights; one learning rate (the code trains the learners ten times as fast); the protocol's weight decay
stands for the code's own; λ is ours (the code gives one for its adversarial form alone).

Opitz, Waltner, Possegger, Bischof: BIER - Boosting Independent Embeddings Robustly.
ICCV 2017. https://openaccess.thecvf.com/content_iccv_2017/html/Opitz_BIER_-_Boosting_ICCV_2017_paper.html
"""

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._boosting import PROPORTIONS, LearnersHead, activation_loss, boosted_losses
from methods._groups import group_sizes, unit_groups
from methods._pairs import full_precision


class BoostedLoss(nn.Module):
    """nu: shrinkage ν of the boosting. cost: C. alpha, beta: slope and centre. diversity: λ."""

    def __init__(
        self, dimensions: int, nu: float, cost: float, alpha: float, beta: float, diversity: float
    ) -> None:
        super().__init__()
        self.sizes = group_sizes(dimensions, PROPORTIONS)
        self.nu, self.cost, self.alpha, self.beta, self.diversity = nu, cost, alpha, beta, diversity

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, 2 D): the embedding, then the learners' raw outputs v; labels (B,) -> ()."""
        joined, outputs = embeddings.chunk(2, dim=-1)
        losses, _ = boosted_losses(
            unit_groups(joined, self.sizes), labels, nu=self.nu, cost=self.cost, alpha=self.alpha, beta=self.beta
        )  # fmt: skip
        return torch.stack(losses).sum() + self.diversity * activation_loss(
            torch.split(outputs, self.sizes, dim=-1)
        )


def build(
    task: Task,
    *,
    nu: float = 0.06,
    cost: float = 25.0,
    alpha: float = 2.0,
    beta: float = 0.5,
    diversity: float = 5e-5,
) -> nn.Module:
    """nu: ν. cost: C of negative pairs. alpha, beta: slope and centre of the deviance. diversity: λ."""
    return BoostedLoss(task.embedding_size, nu, cost, alpha, beta, diversity)


METHOD = Method(
    title="BIER",
    paper=Paper(
        authors="Opitz, Waltner, Possegger, Bischof",
        title="BIER - Boosting Independent Embeddings Robustly",
        venue="ICCV",
        year=2017,
        link="https://openaccess.thecvf.com/content_iccv_2017/html/Opitz_BIER_-_Boosting_ICCV_2017_paper.html",
    ),
    build=build,
    kind="ensemble",
    head=LearnersHead,
    space={
        "nu": FloatDistribution(0.01, 0.3, log=True),
        "cost": FloatDistribution(5, 100, log=True),
        "alpha": FloatDistribution(0.5, 10, log=True),
        "beta": FloatDistribution(0, 1),
        "diversity": FloatDistribution(1e-6, 1e-2, log=True),
    },
    published={"nu": 0.06, "cost": 25.0, "alpha": 2.0, "beta": 0.5, "diversity": 5e-5},
)
