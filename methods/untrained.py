"""The untrained backbone: the trunk's own pooled features, as its weights give them.

The floor of every table. Nothing is trained, and there is no head: evaluation takes all columns of the last
stage, at unit length, so that the row may have more dimensions than the others.

Musgrave, Belongie, Lim: A Metric Learning Reality Check ("Pretrained").
ECCV 2020. https://arxiv.org/abs/2003.08505
"""

from collections.abc import Sequence

from torch import Tensor, nn

from harness.method import Method, Paper


class LastStage(nn.Module):
    """Passes the last stage's pooled features through. `columns`: how many of them evaluation takes."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """features: pooled stage features, each (B, C) -> the last one's, (B, C)."""
        return features[-1]


def head(feature_sizes: Sequence[int], embedding_size: int) -> nn.Module:
    return LastStage(feature_sizes[-1])


METHOD = Method(
    title="Untrained (trunk's features)",
    paper=Paper(
        authors="Musgrave, Belongie, Lim",
        title="A Metric Learning Reality Check",
        venue="ECCV",
        year=2020,
        link="https://arxiv.org/abs/2003.08505",
    ),
    build=None,
    kind="floor",
    head=head,
)
