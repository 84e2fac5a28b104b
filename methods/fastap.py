"""FastAP: average precision of each anchor's ranking, made smooth by a histogram of distances.

With squared distances D of unit vectors in soft histograms of B bins over [0, 4], h⁺ of the positives, h of all, and
H⁺, H their running sums:
    FastAP_i = (1/|P_i|) Σ_b h⁺_b H⁺_b / H_b,   L = mean over anchors with positives of 1 - FastAP_i

Departures: none in the loss; the authors' category-aware batches are the protocol's business. `bins` is B.

Cakir, He, Xia, Kulis, Sclaroff: Deep Metric Learning to Rank.
CVPR 2019. https://openaccess.thecvf.com/content_CVPR_2019/html/Cakir_Deep_Metric_Learning_to_Rank_CVPR_2019_paper.html
"""

from functools import partial

from optuna.distributions import IntDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._histograms import soft_histograms
from methods._pairs import PairLoss, mean_where, squared


def fast_ap(d2: Tensor, positive: Tensor, negative: Tensor, *, bins: int) -> Tensor:
    """d2 (B, R) squared distances, positive and negative (B, R) bool -> ()."""
    of_positives, of_negatives = soft_histograms(d2, (positive, negative), low=0.0, high=4.0, bins=bins)
    positives_so_far = of_positives.cumsum(1)
    all_so_far = (of_positives + of_negatives).cumsum(1)
    some = all_so_far > 0  # an empty running sum has nothing above the line either
    precision = positives_so_far / all_so_far.where(some, 1.0)
    average = (of_positives * precision).sum(1) / positive.sum(1).clamp_min(1)
    return mean_where(1 - average, positive.any(1))


def build(task: Task, *, bins: int = 10) -> nn.Module:
    """bins: B, the histogram's bins; there are B + 1 nodes."""
    return PairLoss(partial(fast_ap, bins=bins), squared)


METHOD = Method(
    title="FastAP",
    paper=Paper(
        authors="Cakir, He, Xia, Kulis, Sclaroff",
        title="Deep Metric Learning to Rank",
        venue="CVPR",
        year=2019,
        link="https://openaccess.thecvf.com/content_CVPR_2019/html/Cakir_Deep_Metric_Learning_to_Rank_CVPR_2019_paper.html",
        batch=256,
    ),
    build=build,
    kind="list",
    space={"bins": IntDistribution(2, 32)},
    published={"bins": 10},
    cost="a histogram of bins + 1 nodes for each pair",
)
