"""New loss: one line that says what it does.

The formula in the paper's letters, and what each letter is. With cosine similarities s_ij of a batch:
    L = mean over anchors i of [ mean over positives p of log(1 + e^{-α (s_ip - β)})
                               + mean over negatives n of log(1 + e^{α (s_in - β)}) ]

Departures: where this file differs from the paper, and why; "none" if nowhere.

Authors: Title of the paper.
Venue Year. https://example.org
"""

from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import cosine, full_precision, masked_mean, pair_masks, softplus, unit

# What every method keeps. `python run_benchmark.py check FILE` tries all of it, and says what is wrong in words.
#
# - The objective turns embeddings (B, D) and labels (B,) into one number, and nothing else: it sees no image, no
#   metric and no optimiser. Labels run from 0 to task.classes - 1.
# - Embeddings come as the head gives them. A loss that wants unit length makes it so (`unit`).
# - Any batch may come: without positives, without negatives, with equal images, with a zero vector. The loss and its
#   gradient stay finite. Means over masks (`masked_mean`, `mean_where`) are 0 where there is nothing to average.
# - The order of the images in a batch changes nothing.
# - Shapes do not depend on the data: masks and torch.where instead of x[mask], no .item() and no `if` on a tensor, so
#   that torch.compile takes the loss whole. A loss that cannot says why in the docstring above.
# - The arithmetic is in float32 even under autocast: that is what @full_precision does.
# - Whatever it learns or remembers lives in the module, and every new module begins without it.


class NewLoss(nn.Module):
    """alpha: α, scale. base: β, the similarity between what is pulled and what is pushed."""

    def __init__(self, alpha: float, base: float) -> None:
        super().__init__()
        self.alpha, self.base = alpha, base

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        x = unit(embeddings)
        s = cosine(x, x)  # (B, B)
        positive, negative = pair_masks(labels)  # (B, B) bool; nothing is a pair with itself
        pull = masked_mean(softplus(-self.alpha * (s - self.base)), positive)  # (B,)
        push = masked_mean(softplus(self.alpha * (s - self.base)), negative)
        return (pull + push).mean()


# `task` is all that a method may know: task.classes, .embedding_size, and where known .images, .images_per_class,
# .batch_size, .steps. Hyperparameters follow the *, under the paper's names, so that a misspelt one is an error.
def build(task: Task, *, alpha: float = 10.0, base: float = 0.5) -> nn.Module:
    return NewLoss(alpha, base)


METHOD = Method(
    title="New loss",
    paper=Paper(
        authors="Authors",
        title="Title of the paper",
        venue="Venue",
        year=2026,
        link="https://example.org",
    ),
    build=build,
    kind="pair",  # pair, triplet, list, proxy, classification or ensemble
    # What the search may choose: wide enough for other data than the authors', log=True for scales and rates. The
    # network's learning rate is searched by the protocol, for every method alike.
    space={"alpha": FloatDistribution(1.0, 100.0, log=True), "base": FloatDistribution(0.0, 1.0)},
    # The authors' own values of the same names, inside the ranges: always the first trial.
    published={"alpha": 10.0, "base": 0.5},
)

# What a method may have besides; delete this part when the file is done.
#
# It looks into a memory (`xbm(NAME)`): write the formula as a function of (s, positive, negative) and let
#   methods._pairs.PairLoss call it. Example: methods/ms.py.
# It learns something (proxies, class weights, a boundary): make it a parameter, and say how fast it learns, in
#   multiples of the network's rate. Example: methods/proxy_anchor.py.
#       self.proxies = nn.Parameter(torch.randn(classes, embedding_size))
#       from harness.method import Method, OwnParameters, Paper, Task
#       METHOD: own=OwnParameters(lr=FloatDistribution(1, 1000, log=True), published_lr=100.0)
# It remembers something (a memory, a moving average): a buffer that changes without a gradient, one slot an image,
#   since batches have no fixed length; positions are tensors made by torch.arange. Example: methods/xbm.py.
#       self.register_buffer("centre", torch.zeros(embedding_size))
#       with torch.no_grad():
#           self.centre.lerp_(x.mean(0), 0.1)
# It wants another batch: METHOD: images_per_class=1 for classification losses. A `batches(labels, generator)` of the
#   objective lays out batches of its own, each a tensor of positions. Example: methods/htl.py.
# It looks at the whole training fold: a `refresh(embeddings, labels)` of the objective is called before each epoch.
# It brings its own head: a module made from (feature_sizes, embedding_size), whose forward takes the list of the
#   backbone's pooled stage features, each (B, F_s), and gives (B, D); more columns are for training alone. A
#   `penalty()` of the head is added to the loss. Example: methods/hdc.py.
#       METHOD: head=NewHead
