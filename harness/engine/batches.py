"""Which images make a batch: index batches, balanced over classes, from a generator of their own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

#: Length of the list that the Reality Check's sampler cuts into batches (MPerClassSampler's default).
LIST_LENGTH = 100_000


def images_by_class(labels: Tensor) -> list[Tensor]:
    """Positions of the images of each class 0 .. C - 1, for `labels` (N,) int64."""
    order = torch.argsort(labels, stable=True)
    return list(torch.split(order, torch.bincount(labels).tolist()))


def take(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` images of one class: without repetition where there are enough, else with."""
    if len(images) >= count:
        return images[torch.randperm(len(images), generator=generator)[:count]]
    return images[torch.randint(len(images), (count,), generator=generator)]


def drawn_batches(
    labels: Tensor, batch_size: int, per_class: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Endless batches of batch_size / per_class distinct classes, each with `per_class` images, every batch drawn anew.

    With fewer classes than a batch asks for, passes over all classes are laid end to end, so that a class repeats only
    after every other one has been taken.
    """
    classes = images_by_class(labels)
    wanted = batch_size // per_class
    while True:
        chosen: list[int] = []
        while len(chosen) < wanted:
            chosen += torch.randperm(len(classes), generator=generator).tolist()
        yield torch.cat([take(classes[c], per_class, generator) for c in chosen[:wanted]])


def pass_batches(
    labels: Tensor, batch_size: int, per_class: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """The Reality Check's sampler (protocol of Musgrave et al. 2020, section 4 and its code).

    A list is filled with passes over the shuffled classes, `per_class` images of each: the whole passes that fit into
    LIST_LENGTH, or as many as a batch needs where those are more. It is cut into batches; the last, partial one is
    dropped and a new list is made. A batch that straddles two passes may hold one class twice.
    """
    classes = images_by_class(labels)
    one_pass = per_class * len(classes)
    passes = max(-(-batch_size // one_pass), LIST_LENGTH // one_pass)
    while True:
        pieces = [
            take(classes[c], per_class, generator)
            for _ in range(passes)
            for c in torch.randperm(len(classes), generator=generator).tolist()
        ]
        indices = torch.cat(pieces)
        whole = len(indices) // batch_size * batch_size
        yield from torch.split(indices[:whole], batch_size)


BATCHES = {"draws": drawn_batches, "passes": pass_batches}
