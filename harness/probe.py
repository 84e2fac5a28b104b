"""What `harness.check` tries a method on: a small task, hard and broken batches, and a problem to learn."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness.check_words import line_now
from harness.engine.batches import BATCHES
from harness.engine.embedder import Embedder
from harness.method import Method, Task

Batch = tuple[Tensor, Tensor]

CLASSES = 16
IMAGES = 192
WIDTH = 16  # of an embedding, and of every stage of the small network
STEPS = 200
LONGER = 600  # for a method that has not learned the small problem in STEPS
EPOCH = 20  # steps between two refreshes


@dataclass(frozen=True)
class Probe:
    """A method with a task small enough to try it on."""

    method: Method

    @cached_property
    def task(self) -> Task:
        per_class = self.method.images_per_class or 4
        return Task(
            classes=CLASSES,
            embedding_size=WIDTH,
            images=IMAGES,
            images_per_class=per_class,
            batch_size=min(32, CLASSES * per_class),
            steps=STEPS,
        )

    def objective(self, **changes: object) -> nn.Module:
        """A newly built objective, the same each time; changes: other values than the published ones."""
        assert self.method.build is not None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            objective = self.method.build(self.task, **{**self.method.published, **changes})
        refresh: Any = getattr(objective, "refresh", None)
        if refresh is not None:
            refresh(self.embeddings(points(IMAGES)), torch.arange(IMAGES) % CLASSES)
        return objective

    def embeddings(self, x: Tensor) -> Tensor:
        """What the objective is given for points x (B, WIDTH): the points, or the method's head on them."""
        if self.method.head is None:
            return x
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            head = self.method.head((WIDTH, WIDTH, WIDTH), WIDTH).to(x.dtype)
        return head([x, x, x]).detach()  # type: ignore[no-any-return]

    def batch(self, dtype: torch.dtype = torch.float32, seed: int = 2) -> Batch:
        """Eight classes of one cloud: nothing is separated yet, so every pair has something to teach."""
        centre = points(1, seed=1)
        labels = torch.arange(32) % 8
        return self.embeddings((centre + 0.3 * points(32, seed=seed)).to(dtype)), labels


def points(count: int, width: int = WIDTH, seed: int = 0) -> Tensor:
    """Standard normal points (count, width) float32, the same for one seed."""
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


class WaitsForNumbers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes operations whose shape, or whose answer to Python, depends on the numbers: a GPU stops for each of them.

    torch.compile(fullgraph=True) lets the first kind pass.
    """

    def __init__(self, folder: Path | None) -> None:
        """folder: of the method's file, whose lines are named."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.folder = folder
        self.seen: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        waits = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output} & set(function.tags)
        if "aten.index.Tensor" in str(function):  # so tagged whatever it is given; only a mask makes it wait
            masks = (i for i in arguments[1] if i is not None and i.dtype in (torch.bool, torch.uint8))
            if next(masks, None) is not None:
                self._note("x[mask]")
        elif waits:
            self._note(WAITING.get(function.overloadpacket.__name__, function.overloadpacket.__name__))
        return function(*arguments, **(named or {}))

    def _note(self, what: str) -> None:
        self.seen.add(what + line_now(self.folder))


#: How a student writes what torch calls otherwise.
WAITING = {
    "_local_scalar_dense": (
        ".item(), or a tensor where Python wants a number (in an `if`, as one position x[k], or in one_hot, which "
        "looks at its labels on a CPU)"
    ),
    "_unique2": "unique",
    "equal": "torch.equal",
}


def degenerate_batches(width: int = WIDTH) -> dict[str, Batch]:
    """Batches in which something that losses rely on is missing, by what is wrong with them."""
    x, labels = points(8, width, seed=7), torch.arange(8) // 2
    within, across, zero = x.clone(), x.clone(), x.clone()
    within[1] = within[0]
    across[2] = across[0]
    zero[3] = 0
    return {
        "one class only": (x, torch.zeros_like(labels)),
        "all classes distinct": (x, torch.arange(8)),
        "duplicates in a class": (within, labels),
        "duplicates across classes": (across, labels),
        "a zero vector": (zero, labels),
        "two of one class": (x[:2], torch.zeros(2, dtype=torch.int64)),
        "two of two classes": (x[:2], torch.arange(2)),
    }


def value_and_gradient(
    objective: Callable[[Tensor, Tensor], Tensor], embeddings: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Loss () and its gradient on the embeddings, with the random draws of a fixed seed."""
    embeddings = embeddings.detach().requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        loss = objective(embeddings, labels)
    (gradient,) = torch.autograd.grad(loss, embeddings)
    return loss.detach(), gradient


# -- a problem to learn -----------------------------------------------------------------------------------
def small_problem(seed: int) -> Batch:
    """Points (IMAGES, 20) of CLASSES classes that differ in 8 of 20 dimensions; the others are loud noise."""
    labels = torch.arange(IMAGES) % CLASSES
    noise = points(IMAGES, 20, seed=10 + seed)
    signal = points(CLASSES, 8, seed=9)[labels] + 0.15 * noise[:, :8]
    return torch.cat([signal, noise[:, 8:]], dim=1), labels


def recall_at_1(embeddings: Tensor, labels: Tensor) -> float:
    """Share of points whose nearest other point, by cosine, has their label."""
    unit = nn.functional.normalize(embeddings, dim=-1)
    similarities = (unit @ unit.T).fill_diagonal_(-2)
    return (labels[similarities.argmax(1)] == labels).float().mean().item()


class SmallNetwork(nn.Module):
    """Three layers; each one's output is a stage feature."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_sizes = (WIDTH * 2,) * 3
        self.layers = nn.ModuleList(nn.Linear(width, WIDTH * 2) for width in (20, WIDTH * 2, WIDTH * 2))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for layer in self.layers:
            x = torch.relu(layer(x))
            features.append(x)
        return features


def trained(probe: Probe, x: Tensor, labels: Tensor, steps: int) -> tuple[Embedder, Embedder, nn.Module]:
    """The embedder before and after so many steps on points x, and the objective after them."""
    torch.manual_seed(0)
    embedder = Embedder(SmallNetwork(), WIDTH, probe.method.head, frozen_batchnorm=False)
    before, objective = copy.deepcopy(embedder), probe.objective()
    optimizer = _optimizer(probe, embedder, objective)
    batches = _batches(probe, objective, labels)
    refresh: Any = getattr(objective, "refresh", None)
    penalty: Any = getattr(embedder.head, "penalty", None)
    for step in range(steps):
        if refresh is not None and step % EPOCH == 0:
            refresh(embedder.embed([x]), labels)
            embedder.train()
        index = next(batches)
        loss = objective(embedder(x[index]), labels[index])
        if penalty is not None:
            loss = loss + penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return before, embedder, objective


def _optimizer(probe: Probe, embedder: Embedder, objective: nn.Module) -> torch.optim.Optimizer:
    rate = 3e-3
    groups = [{"params": list(embedder.parameters()), "lr": rate}]
    if probe.method.own is not None:
        groups.append({"params": list(objective.parameters()), "lr": rate * probe.method.own.published_lr})
    return torch.optim.AdamW(groups, weight_decay=0.0)


def _batches(probe: Probe, objective: nn.Module, labels: Tensor) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    own: Any = getattr(objective, "batches", None)
    if own is not None:
        return iter(own(labels, generator))
    task = probe.task
    assert task.batch_size is not None and task.images_per_class is not None
    return BATCHES["draws"](labels, task.batch_size, task.images_per_class, generator)


def mean_loss(probe: Probe, objective: nn.Module, embedder: Embedder, x: Tensor, labels: Tensor) -> float:
    """Mean loss of an embedder over a few batches, under an objective as it is after training."""
    batches = _batches(probe, objective, labels)
    with torch.no_grad():
        losses = [objective(embedder(x[index]), labels[index]) for index in (next(batches) for _ in range(8))]
    return torch.stack(losses).mean().item()
