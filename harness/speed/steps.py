"""What an objective costs: forward and backward on a batch, beside the plainest one's and another library's."""

from __future__ import annotations

import importlib
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from harness.method import Method, Task
from harness.publish.pml import EQUIVALENTS, Equivalent
from harness.speed.rounds import Work, times

#: The other library.
OTHER = "pytorch_metric_learning"
#: Marks the compiled form of an objective.
COMPILED = "compiled"
#: Length of an embedding, images of the training set, and the fewest classes in it.
DIMENSIONS, IMAGES, CLASSES = 128, 2000, 100
#: Seconds that a round spends on an objective, about; steps before the first round; and seconds of a step that is slow.
ROUND, WARM, SLOW = 0.02, 4, 1.0
#: Images of a batch above which no loss is tried there whose memory grows with the batch's cube.
MOST_CUBIC = 512
#: Spread of a class around its centre, of which each value has a spread of 1: neither separated nor without order.
NOISE = 1.2

Objective = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class StepCost:
    """One objective on batches of one size.

    milliseconds: of the processor, median over rounds. to_plain: its time over that of the plainest objective, median.
    other: the other library's time over ours (median; low and high are extremes over rounds): above 1 means that ours
        is faster. None where the library has no such loss, is not installed, or would take too much memory.
    differs: what is not the same there, or that it was not tried.
    compiled: our time as it is over our time compiled, median; None where it was not asked for or cannot be.
    """

    method: str
    batch: int
    milliseconds: float
    to_plain: float
    other: float | None = None
    low: float | None = None
    high: float | None = None
    differs: str = ""
    compiled: float | None = None


@dataclass(frozen=True, eq=False)
class _Repeated:
    """An objective's step on one batch, as often as fills a round."""

    objective: Objective
    embeddings: Tensor
    labels: Tensor
    count: int = 1

    def __call__(self) -> None:
        for _ in range(self.count):
            x = self.embeddings.detach().requires_grad_()
            self.objective(x, self.labels).backward()  # type: ignore[no-untyped-call]

    def filled(self) -> _Repeated:
        """Warmed up, and repeated as often as a round takes."""
        for _ in range(WARM):
            began = time.thread_time()
            self()
            spent = time.thread_time() - began
            if spent > SLOW:  # nothing that is loaded at first makes a difference there
                break
        return _Repeated(self.objective, self.embeddings, self.labels, max(1, int(ROUND / max(spent, 1e-5))))


def step_costs(
    methods: Sequence[Method],
    plain: str,
    batch: int,
    rounds: int,
    *,
    compiled: bool = False,
    told: Callable[[str], None] = lambda what: None,
) -> list[StepCost]:
    """Of every method that trains by steps, at its published values, on the CPU with torch's number of threads.

    plain: the name of the method whose step stands for the least work; it is one of them. batch: images.
    compiled: also by torch.compile, seconds of a C++ compiler for each, for those that it takes whole.
    told: called with what is measured next.
    """
    costs = []
    # Warnings are the other library's; ours are errors in our tests.
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        beside = next(_runs(method, batch, False)[plain] for method in methods if method.name == plain)
        for method in methods:
            told(f"  {method.name}, batches of {batch}")
            runs = _runs(method, batch, compiled)
            if not runs:
                continue
            runs = {plain: beside} | runs
            measured = times(dict[str, Work](runs), rounds)
            seconds = {name: [s / run.count for s in measured[name].cpu] for name, run in runs.items()}
            costs.append(_cost(method.name, batch, seconds, plain))
    return costs


def _runs(method: Method, batch: int, compiled: bool) -> dict[str, _Repeated]:
    """Our objective under its method's name; beside it, where there are such, it compiled and the other library's."""
    if method.build is None:
        return {}
    torch.manual_seed(0)
    task = _task(method, batch)
    objective: Any = method.build(task, **method.published)
    if hasattr(objective, "solve"):
        return {}
    embeddings, labels = _embeddings(method, batch, task.classes)
    if hasattr(objective, "refresh"):
        objective.refresh(*_embeddings(method, IMAGES, task.classes))
    runs = {method.name: _Repeated(objective, embeddings, labels).filled()}
    if compiled:
        whole = _compiled(method.build(task, **method.published), embeddings, labels)
        if whole is not None:
            runs[f"{method.name} {COMPILED}"] = whole
    equivalent = EQUIVALENTS.get(method.name)
    if equivalent is not None and find_spec(OTHER) is not None and not _too_large(equivalent, batch):
        theirs = _equivalent(equivalent, method, task)
        runs[_there(method.name)] = _Repeated(theirs, embeddings, labels).filled()
    return runs


def _compiled(objective: Any, embeddings: Tensor, labels: Tensor) -> _Repeated | None:
    """The objective as torch.compile makes it; None where it cannot be taken whole."""
    torch.compiler.reset()
    try:
        whole = _Repeated(torch.compile(objective, fullgraph=True), embeddings, labels)
        whole()  # compiles, which `filled` would take for a slow step
        return whole.filled()
    except RuntimeError:  # the base of what torch's compiler raises
        return None


def _too_large(equivalent: Equivalent, batch: int) -> bool:
    return equivalent.cubic and batch > MOST_CUBIC


def _there(name: str) -> str:
    return f"{name} {OTHER}"


def _cost(name: str, batch: int, seconds: dict[str, list[float]], plain: str) -> StepCost:
    def ratios(other: str, own: str) -> list[float]:
        return [a / b for a, b in zip(seconds[other], seconds[own], strict=True)]

    compiled = f"{name} {COMPILED}"
    gain = statistics.median(ratios(name, compiled)) if compiled in seconds else None
    own, to_plain = statistics.median(seconds[name]), statistics.median(ratios(name, plain))
    cost = StepCost(name, batch, 1000 * own, to_plain, compiled=gain)
    if _there(name) not in seconds:
        there = EQUIVALENTS.get(name)
        differs = (
            "not tried: over 24 GB of memory there at 1,024 images"
            if there and _too_large(there, batch)
            else ""
        )
        return replace(cost, differs=differs)
    beside = ratios(_there(name), name)
    return replace(
        cost,
        other=statistics.median(beside),
        low=min(beside),
        high=max(beside),
        differs=EQUIVALENTS[name].differs,
    )


def _task(method: Method, batch: int) -> Task:
    per_class = method.images_per_class or 4
    return Task(
        classes=max(CLASSES, batch // per_class),
        embedding_size=DIMENSIONS,
        images=IMAGES,
        images_per_class=per_class,
        batch_size=batch,
        steps=1000,
    )


def _embeddings(method: Method, images: int, classes: int) -> tuple[Tensor, Tensor]:
    """What the objective is given: points around class centres, (images, D) or what the method's own head makes of
    them, and their labels.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(images) // (method.images_per_class or 4) % classes
    centres = torch.randn(classes, DIMENSIONS, generator=generator)
    points = centres[labels] + NOISE * torch.randn(images, DIMENSIONS, generator=generator)
    if method.head is None:
        return points, labels
    torch.manual_seed(0)
    head = method.head((DIMENSIONS,) * 3, DIMENSIONS)
    embeddings: Tensor = head([points] * 3)
    return embeddings.detach(), labels


def _equivalent(equivalent: Equivalent, method: Method, task: Task) -> Objective:
    """The other library's loss, with its miner where it needs one."""
    names = {name: importlib.import_module(f"{OTHER}.{name}") for name in ("losses", "miners", "distances")}
    values = {
        **method.published,
        "classes": task.classes,
        "embedding_size": DIMENSIONS,
        "memory_size": IMAGES,
    }
    # The expressions are our own data, not anybody's input.
    loss: Objective = eval(equivalent.loss.format(**values), names)
    if not equivalent.miner:
        return loss
    miner = eval(equivalent.miner.format(**values), names)
    mined: Any = loss
    return lambda embeddings, labels: mined(embeddings, labels, miner(embeddings, labels))
