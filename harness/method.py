"""A method: a loss, where it comes from, and the ranges it is tuned over.

A method is one file in `methods/` that holds one value, `METHOD = Method(...)`. Nothing here imports torch or
optuna: the file of the method does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import RequestError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution, FloatDistribution
    from torch import nn

#: Names that the search adds to a method's own: the network's learning rate and that of what the objective learns.
LEARNING_RATE = "lr"
OWN_LEARNING_RATE = "own_lr"

KINDS = ("pair", "triplet", "list", "proxy", "classification", "ensemble", "floor")


@dataclass(frozen=True)
class Task:
    """All that a method may know about one training.

    classes: number of training classes; labels run from 0 to classes - 1.
    embedding_size: D, the length of an embedding.
    images: number of training images.
    images_per_class, batch_size: how a batch is composed (K images of each of batch_size / K classes).
    steps: the most optimiser steps that the training may take.
    """

    classes: int
    embedding_size: int
    images: int | None = None
    images_per_class: int | None = None
    batch_size: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Paper:
    """Where a method comes from. batch: images of a step in its experiments (the smallest, where there are several)."""

    authors: str
    title: str
    venue: str
    year: int
    link: str
    batch: int | None = None


@dataclass(frozen=True)
class OwnParameters:
    """How the parameters that the objective itself learns (proxies, class weights, margins) are optimised.

    lr: range of their learning rate, as a multiple of the network's, usually on a log scale.
    published_lr: the multiple that the authors (or their closest released code) use; inside `lr`.
    weight_decay: on these parameters alone; None: what the protocol says (0 except in the Reality Check's).
    """

    lr: FloatDistribution
    published_lr: float
    weight_decay: float | None = None


@dataclass(frozen=True)
class Method:
    """One way to train an embedding, as a value. Design rule: a method is this file's value and no other edit.

    title, paper: for tables and pages.
    build: `build(task, *, ...) -> objective`, keyword-only hyperparameters under the paper's names. The objective is
        an `nn.Module` with `forward(embeddings (B, D) float, labels (B,) int64) -> ()`. None: nothing is trained.
    space: the ranges that the search may use; its names are a subset of `build`'s keywords.
    published: the authors' values of `build`'s keywords, inside `space`; always trial 0.
    kind: one of `KINDS`.
    own: set when the objective has parameters of its own.
    images_per_class: what the method needs in a batch where the protocol lets it say (1: classification losses).
    head: `head(feature_sizes, embedding_size) -> nn.Module` when the method brings its own head.
    inner: the name of the method whose objective `build` receives as its second positional argument when the user
        names none (`xbm` alone is `xbm(contrastive_seed)`).
    cost: what a step costs beyond the plainest loss, in words; "" when nothing.
    caveat: a sentence that stands beside every row of this method, such as "our variant"; "" when there is none.
    ranked: False keeps the method out of ranks (a variant that is not the authors').
    name, source: set by `harness.discovery`: the file's name, and the sha256 of the code that makes its numbers.
    """

    title: str
    paper: Paper
    build: Callable[..., nn.Module] | None
    kind: str
    space: Mapping[str, BaseDistribution] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)
    own: OwnParameters | None = None
    images_per_class: int | None = None
    head: Callable[[Sequence[int], int], nn.Module] | None = None
    inner: str | None = None
    cost: str = ""
    caveat: str = ""
    ranked: bool = True
    name: str = ""
    source: str = ""

    @property
    def slug(self) -> str:
        """The name as a file's name: `xbm(ms)` is `xbm--ms`."""
        return self.name.replace("(", "--").replace(")", "").replace(":", "-")

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RequestError(f"{self.title}: kind is {self.kind!r}; expected one of {', '.join(KINDS)}")
        missing = sorted(set(self.space) - set(self.published))
        if missing:
            raise RequestError(
                f"{self.title}: no published value for {', '.join(missing)}; trial 0 needs one of each"
            )
        ranges = {**self.space, **({} if self.own is None else {"own.lr": self.own.lr})}
        for name, distribution in ranges.items():
            if not hasattr(distribution, "to_internal_repr"):
                raise RequestError(
                    f"{self.title}: the range of {name} is {distribution!r}; expected one of optuna.distributions, "
                    "such as FloatDistribution(0.0, 1.0)"
                )
        for name, distribution in self.space.items():
            if name in (LEARNING_RATE, OWN_LEARNING_RATE):
                raise RequestError(
                    f"{self.title}: {name!r} is searched by the protocol; give the loss's another name"
                )
            if not contains(distribution, self.published[name]):
                raise RequestError(
                    f"{self.title}: the published {name} = {self.published[name]!r} is outside {distribution}"
                )
        if self.own is not None and not contains(self.own.lr, self.own.published_lr):
            raise RequestError(
                f"{self.title}: published_lr = {self.own.published_lr} is outside {self.own.lr}"
            )


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether `value` (as the user writes it) lies inside an Optuna distribution."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (TypeError, ValueError):
        return False
