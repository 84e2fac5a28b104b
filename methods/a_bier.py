"""Adversarial BIER: boosted learners that must not be predictable from one another.

As `bier` (its losses L_k, weights and head), with small networks in the place of its activation loss: for every pair
k < l of learners R_{l→k} predicts the outputs v_k = W_k h from v_l, while reversed gradients drive the learners apart:
    L = Σ_k L_k + λ Σ_{k<l} ( -mean (v_k ∘ R(v_l))² + 100 Σ_layers [ mean (‖row‖² - 1)² + max(0, ‖b‖² - 1) ] )
R lowers its term, whose gradient reaches v_k and v_l with the other sign. h gets none of it: the backbone learns from
the L_k alone.

Departures: learners train at the network's rate (in the authors' code ten times as fast, like the networks R, which
have a rate of their own here); the protocol's weight decay stands for the code's own; the weight of the learners' own
row lengths stays at the code's value and does not follow λ.

Opitz, Waltner, Possegger, Bischof: Deep Metric Learning with BIER: Boosting Independent Embeddings Robustly.
TPAMI 2018. https://arxiv.org/abs/1801.04815
"""

from collections.abc import Sequence

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._boosting import PROPORTIONS, LearnersHead, boosted_losses, unit_rows
from methods._groups import group_sizes, unit_groups
from methods._pairs import full_precision

HIDDEN = 512
NORM_WEIGHT = 100.0  # λ_w, the released code's default


def reversed_gradient(x: Tensor) -> Tensor:
    """x, whose gradient passes with the other sign."""
    return 2 * x.detach() - x


class Regressor(nn.Module):
    """R_{l→k}: predicts one learner's outputs from another's."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(size_in, HIDDEN), nn.Linear(HIDDEN, size_out)

    def forward(self, v: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(v)))  # type: ignore[no-any-return]

    def norms(self) -> Tensor:
        """Keeps rows at unit length and biases within it, or -(v R)² would have no lower bound: ()."""
        layers = (self.first, self.second)
        return torch.stack(
            [unit_rows(layer.weight) + (layer.bias.square().sum() - 1).clamp_min(0) for layer in layers]
        ).sum()


class AdversarialLoss(nn.Module):
    """nu: shrinkage ν of the boosting. cost: C. alpha, beta: slope and centre. diversity: λ."""

    def __init__(
        self, dimensions: int, nu: float, cost: float, alpha: float, beta: float, diversity: float
    ) -> None:
        super().__init__()
        self.sizes = group_sizes(dimensions, PROPORTIONS)
        self.nu, self.cost, self.alpha, self.beta, self.diversity = nu, cost, alpha, beta, diversity
        self.pairs = [(k, m) for m in range(len(self.sizes)) for k in range(m)]
        self.regressors = nn.ModuleList(Regressor(self.sizes[m], self.sizes[k]) for k, m in self.pairs)

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, 2 D): the embedding, then the learners' raw outputs v; labels (B,) -> ()."""
        joined, outputs = embeddings.chunk(2, dim=-1)
        losses, _ = boosted_losses(
            unit_groups(joined, self.sizes), labels, nu=self.nu, cost=self.cost, alpha=self.alpha, beta=self.beta
        )  # fmt: skip
        return torch.stack(losses).sum() + self.diversity * self.adversarial(
            torch.split(outputs, self.sizes, dim=-1)
        )

    def adversarial(self, outputs: Sequence[Tensor]) -> Tensor:
        """outputs: v_k (B, size) for each learner -> ()."""
        v = [reversed_gradient(x) for x in outputs]
        terms = [
            NORM_WEIGHT * regressor.norms() - (v[k] * regressor(v[m])).square().mean()  # type: ignore[operator]
            for (k, m), regressor in zip(self.pairs, self.regressors, strict=True)
        ]
        return torch.stack(terms).sum()


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
    return AdversarialLoss(task.embedding_size, nu, cost, alpha, beta, diversity)


METHOD = Method(
    title="A-BIER",
    paper=Paper(
        authors="Opitz, Waltner, Possegger, Bischof",
        title="Deep Metric Learning with BIER: Boosting Independent Embeddings Robustly",
        venue="TPAMI",
        year=2018,
        link="https://arxiv.org/abs/1801.04815",
        batch=128,
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
    own=OwnParameters(lr=FloatDistribution(1, 100, log=True), published_lr=10.0, weight_decay=0.0),
    cost="three small networks that predict learners from one another",
)
