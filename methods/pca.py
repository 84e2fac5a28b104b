"""Principal components of the backbone's features: a floor, solved in closed form.

    x -> V (x - m),   V: the D leading eigenvectors of the features' covariance, m: their mean

Fitted on the training fold, without its classes. What lies above it was learned from labels. With fewer than D
features the last columns are zero.

Pearson: On Lines and Planes of Closest Fit to Systems of Points in Space.
Philosophical Magazine 1901. https://doi.org/10.1080/14786440109462720
"""

from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._linear import LinearSolution, leading, scatter


def directions(x: Tensor, labels: Tensor, count: int) -> Tensor:
    return leading(scatter(x), count)[1]


def build(task: Task) -> nn.Module:
    return LinearSolution(directions, task.embedding_size)


METHOD = Method(
    title="PCA",
    paper=Paper(
        authors="Pearson",
        title="On Lines and Planes of Closest Fit to Systems of Points in Space",
        venue="Philosophical Magazine",
        year=1901,
        link="https://doi.org/10.1080/14786440109462720",
    ),
    build=build,
    kind="floor",
)
