"""Principal components at unit variance: a floor, solved in closed form.

    x -> Λ^{-1/2} V (x - m),   V, Λ: the D leading eigenvectors and eigenvalues of the features' covariance

Fitted on the training fold, without its classes. With fewer than D features, or directions in which the training
images do not vary (an eigenvalue below 1e-10 of the largest), the columns that are left are zero.

Jégou, Chum: Negative Evidences and Co-occurrences in Image Retrieval: The Benefit of PCA and Whitening.
ECCV 2012. https://doi.org/10.1007/978-3-642-33709-3_55
"""

import torch
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._linear import LinearSolution, leading, scatter

FLAT = 1e-10  # share of the largest eigenvalue below which a direction is rounding noise


def directions(x: Tensor, labels: Tensor, count: int) -> Tensor:
    values, vectors = leading(scatter(x), count)
    varies = values > FLAT * values[0]
    return torch.where(varies, values.clamp_min(torch.finfo(x.dtype).tiny).rsqrt(), 0.0)[:, None] * vectors


def build(task: Task) -> nn.Module:
    return LinearSolution(directions, task.embedding_size)


METHOD = Method(
    title="PCA, whitened",
    paper=Paper(
        authors="Jégou, Chum",
        title="Negative Evidences and Co-occurrences in Image Retrieval: The Benefit of PCA and Whitening",
        venue="ECCV",
        year=2012,
        link="https://doi.org/10.1007/978-3-642-33709-3_55",
    ),
    build=build,
    kind="floor",
)
