"""Linear discriminant analysis with a shrunk within-class scatter: a floor, solved in closed form.

With the scatter S_w of the features within their classes and S_t their total scatter:
    S = (1 - γ) S_w + γ (tr S_w / F) I                                           (the paper's eq. 18)
    x -> V S^{-1/2} (x - m),   V: the D leading eigenvectors of S^{-1/2} S_t S^{-1/2}

Fitted on the training fold. Our reading for embeddings: classes of the test images are new, so the D directions are
not cut at the number of training classes less one, past which only scatter within classes is left; and the total
scatter stands where the textbook has that between classes (without shrinkage both give the same directions). With
fewer than D features the last columns are zero. No value of γ is published; 0.5 is the middle of its range.

Friedman: Regularized Discriminant Analysis.
Journal of the American Statistical Association 1989. https://doi.org/10.1080/01621459.1989.10478752
"""

from functools import partial

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._linear import LinearSolution, leading, scatter, within_scatter

SMALLEST = 1e-12  # of an eigenvalue, where every class has one image and S_w is zero


def directions(x: Tensor, labels: Tensor, count: int, *, shrinkage: float) -> Tensor:
    """x (N, F) float64, labels (N,) -> (at most count, F)."""
    within = within_scatter(x, labels)
    even = torch.eye(len(within), dtype=x.dtype, device=x.device) * within.trace() / len(within)
    values, axes = torch.linalg.eigh((1 - shrinkage) * within + shrinkage * even)
    whitening: Tensor = (axes * values.clamp_min(SMALLEST).rsqrt()) @ axes.T
    _, vectors = leading(whitening @ scatter(x) @ whitening, count)
    return vectors @ whitening


def build(task: Task, *, shrinkage: float = 0.5) -> nn.Module:
    """shrinkage: γ."""
    return LinearSolution(partial(directions, shrinkage=shrinkage), task.embedding_size)


METHOD = Method(
    title="LDA, shrunk",
    paper=Paper(
        authors="Friedman",
        title="Regularized Discriminant Analysis",
        venue="Journal of the American Statistical Association",
        year=1989,
        link="https://doi.org/10.1080/01621459.1989.10478752",
    ),
    build=build,
    kind="floor",
    space={"shrinkage": FloatDistribution(0.05, 0.9)},
    published={"shrinkage": 0.5},
)
