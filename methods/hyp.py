"""Hyperbolic embeddings: the batch's softmax over distances in the Poincaré ball.

An embedding u of the head, no longer than r, becomes a point y of the ball of curvature -c:
    y = tanh(√c ‖u‖) u / (√c ‖u‖),   d(x, y) = (2/√c) artanh(√c ‖(-x) ⊕ y‖)
The K images of each class are the views 1..K. For each ordered pair of views (g, h), each class's image i of g has one
positive p, of h, against all of h and the others of g:
    l_gh = mean_i -log [ e^{-d(x_i, x_p)/τ} / ( Σ_{k in h} e^{-d(x_i, x_k)/τ} + Σ_{k in g, k≠i} e^{-d(x_i, x_k)/τ} ) ]
    L = Σ_{g≠h} l_gh

Departures: views are drawn at random at every call. The map into the ball is part of the objective and evaluation ranks
by cosine, as for every method here (the map keeps directions); the paper ranks its head by -d. The head starts like
everybody's, not orthogonal.

Ermolov, Mirvakhabova, Khrulkov, Sebe, Oseledets: Hyperbolic Vision Transformers: Combining Improvements in
Metric Learning. CVPR 2022. https://arxiv.org/abs/2203.10833 (eqs. 2-6)
"""

import math

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import full_precision, pair_masks
from methods._ranks import gather_positives, most_positives

#: How near to the ball's edge a point may come, as a share of its radius (released code).
EDGE = 1e-3
#: The least distance, whose root is taken, and the most that artanh is asked for.
NEAREST, FARTHEST = 1e-6, 1 - 1e-5


class Hyperbolic(nn.Module):
    """(embeddings (B, D), labels (B,)) -> (). width: the most positives of an anchor in a batch; None: any."""

    def __init__(self, tau: float, c: float, r: float, width: int | None) -> None:
        super().__init__()
        self.tau, self.c, self.r, self.width = tau, c, r, width

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        drawn = torch.randperm(len(labels), device=labels.device)
        x, labels = into_ball(embeddings[drawn], self.c, self.r), labels[drawn]
        return views_loss(-ball_distances(x, x, self.c) / self.tau, labels, self.width or len(labels))


def into_ball(u: Tensor, c: float, r: float) -> Tensor:
    """Rows of u (B, D), cut to length r, as points of the Poincaré ball of curvature -c: (B, D)."""
    length = torch.linalg.vector_norm(u, dim=1, keepdim=True).clamp_min(1e-5)
    root = math.sqrt(c)
    reach = (torch.tanh(root * length.clamp_max(r)) / root).clamp_max((1 - EDGE) / root)
    point: Tensor = u / length * reach
    return point


def ball_distances(x: Tensor, y: Tensor, c: float) -> Tensor:
    """Hyperbolic distances of points x (B, D) and y (R, D): (B, R)."""
    inner, xx, yy = x @ y.T, x.square().sum(1, keepdim=True), y.square().sum(1)
    # ‖(-x) ⊕ y‖² without the vectors: ‖x - y‖² / (1 - 2c x·y + c² ‖x‖² ‖y‖²)
    squared = (xx + yy - 2 * inner) / (1 - 2 * c * inner + c**2 * xx * yy).clamp_min(NEAREST**2)
    length = squared.clamp_min(NEAREST**2).sqrt()
    return 2 / math.sqrt(c) * torch.atanh((math.sqrt(c) * length).clamp_max(FARTHEST))


def views_loss(logits: Tensor, labels: Tensor, width: int) -> Tensor:
    """L from logits -d/τ (B, B); an image's view is its place among the images of its class in the batch."""
    positive, _ = pair_masks(labels)
    view = (labels[:, None] == labels).tril(-1).sum(1)
    together = view[:, None] == view
    chosen = gather_positives(logits, positive, width)
    # A positive's rivals are of its own view or of the anchor's; the anchor itself is none.
    rivals = together[chosen.images] | together[:, None, :]
    rivals = rivals & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)[:, None, :]
    every = logits[:, None, :].masked_fill(~rivals, torch.finfo(logits.dtype).min).logsumexp(2)
    losses = every - logits.gather(1, chosen.images)
    # How many pairs there are of the same two views, over which l_gh is a mean.
    alike = together.to(logits.dtype)
    pairs = (alike @ positive.to(logits.dtype) @ alike).gather(1, chosen.images)
    return (losses / pairs.clamp_min(1)).where(chosen.filled, 0.0).sum()


def build(task: Task, *, tau: float = 0.2, c: float = 0.1, r: float = 2.3) -> nn.Module:
    """tau: τ, which divides distances. c: the ball's curvature, negated. r: the longest embedding before the map."""
    return Hyperbolic(tau, c, r, most_positives(task.images_per_class))


METHOD = Method(
    title="Hyperbolic",
    paper=Paper(
        authors="Ermolov, Mirvakhabova, Khrulkov, Sebe, Oseledets",
        title="Hyperbolic Vision Transformers: Combining Improvements in Metric Learning",
        venue="CVPR",
        year=2022,
        link="https://arxiv.org/abs/2203.10833",
        batch=900,
    ),
    build=build,
    kind="list",
    space={
        "tau": FloatDistribution(0.05, 0.5, log=True),
        "c": FloatDistribution(0.01, 1, log=True),
        "r": FloatDistribution(1, 5),
    },
    published={"tau": 0.2, "c": 0.1, "r": 2.3},
    cost="B x (K - 1) x B comparisons",
    caveat="ranked by cosine, the paper ranks by hyperbolic distance",
)
