"""Margin loss over all triplets with one learnt boundary, as the Reality Check has it.

    L = Σ_{(a,p,n)} ( [d_ap - β_a + α]+ + [β_a - d_an + α]+ ) / (number of terms above 0)

d is the Euclidean distance of unit vectors. β is one learnt number.

Departures: the paper draws one negative a positive by distance (our `margin`); the Reality Check takes every triplet.
ν, the pull on β, is 0 as there. `margin` is α. At distance 0 the gradient is 0.

Wu, Manmatha, Smola, Krähenbühl: Sampling Matters in Deep Embedding Learning.
ICCV 2017. https://arxiv.org/abs/1706.07567 (eq. 5)
This form: Musgrave, Belongie, Lim: A Metric Learning Reality Check. ECCV 2020. https://arxiv.org/abs/2003.08505
"""

from optuna.distributions import FloatDistribution
from torch import nn

from harness.method import Method, OwnParameters, Paper, Task
from methods._margin import AllTripletsMargin


def build(task: Task, *, margin: float = 0.2, beta: float = 1.2) -> nn.Module:
    """margin: α, the slack on either side of the boundary. beta: where the boundary starts, in distance [0, 2]."""
    return AllTripletsMargin(1, margin=margin, beta=beta)


METHOD = Method(
    title="Margin, all triplets",
    paper=Paper(
        authors="Wu, Manmatha, Smola, Krähenbühl",
        title="Sampling Matters in Deep Embedding Learning",
        venue="ICCV",
        year=2017,
        link="https://arxiv.org/abs/1706.07567",
    ),
    build=build,
    kind="triplet",
    space={"margin": FloatDistribution(0, 1), "beta": FloatDistribution(0.2, 1.6)},
    published={"margin": 0.2, "beta": 1.2},
    own=OwnParameters(lr=FloatDistribution(1, 1000, log=True), published_lr=50.0, weight_decay=0.0),
)
