"""The untrained embedder: the trunk's features through a random linear head, at the size of all other rows.

The second floor: what a projection to D dimensions costs before anything is learned. Nothing is trained.

Musgrave, Belongie, Lim: A Metric Learning Reality Check.
ECCV 2020. https://arxiv.org/abs/2003.08505
"""

from harness.method import Method, Paper

METHOD = Method(
    title="Untrained (random head)",
    paper=Paper(
        authors="Musgrave, Belongie, Lim",
        title="A Metric Learning Reality Check",
        venue="ECCV",
        year=2020,
        link="https://arxiv.org/abs/2003.08505",
    ),
    build=None,
    kind="floor",
)
