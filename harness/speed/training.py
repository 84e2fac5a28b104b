"""Real training beside a loop on one resident batch: what is left of a machine's steps once images are fed to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from harness.cell import Training
from harness.engine.batches import BATCHES
from harness.engine.bench import Bench
from harness.engine.inputs import Batch, Inputs
from harness.engine.optimizer import build_optimizer
from harness.engine.parts import build_embedder, build_objective, fold_of, images_per_class
from harness.engine.training import run_epoch
from harness.method import Method
from harness.speed.rounds import Figure, Work, compared, times

#: Steps of a round: fewer are lost in the noise of a shared machine.
FEWEST = 6


class Resident:
    """Images as the network sees them, of which the same batch comes at every training step."""

    def __init__(self, inputs: Inputs, index: Tensor) -> None:
        self.inputs, self.index = inputs, index
        self.batch = inputs.train_batch(index, torch.Generator().manual_seed(0))

    def train_batch(self, index: Tensor, generator: torch.Generator) -> Batch:
        return self.batch

    def test_batches(self, index: Tensor) -> Iterator[Batch]:
        return self.inputs.test_batches(index)


def training_figures(bench: Bench, method: Method, seconds: float, rounds: int) -> list[Figure]:
    """Steps of a method's training as the engine does them, and the same on one batch that stays.

    seconds: about how long each takes in a round. The ratio of the second is the share of the limit that training
    reaches; that of the third, the images alone, the share that is lost to them, which noise moves less. Evaluation,
    and whatever a method computes between epochs, are left out.
    """
    inputs, epoch = _trainable(bench, method)
    resident = Resident(inputs, torch.arange(bench.protocol.batch_size) % len(bench.development.labels))
    epoch(inputs, 2)
    steps = _steps_in(seconds, epoch, resident)
    protocol = bench.protocol
    name = f"{protocol.backbone}, {steps} steps of {protocol.batch_size} images at {protocol.size} px"
    work: dict[str, Work] = {
        f"training {name}": lambda: epoch(inputs, steps),
        "the same on one resident batch": lambda: epoch(resident, steps),
        "its images alone": lambda: _images(inputs, steps, resident.index),
    }
    return compared(work, rounds, steps * protocol.batch_size)


def _steps_in(seconds: float, epoch: Callable[[Inputs, int], object], fed: Inputs) -> int:
    """How many steps take about so long, once the first two have warmed up."""
    epoch(fed, 2)
    step = times({"step": lambda: epoch(fed, 1)}, 1)["step"].cpu[0]
    return max(FEWEST, int(seconds / max(step, 1e-3)))


def _images(inputs: Inputs, steps: int, index: Tensor) -> None:
    """As many batches as steps, of the same images in other views."""
    views = torch.Generator().manual_seed(0)
    for _ in range(steps):
        inputs.train_batch(index, views)


#: Settings of the arithmetic that a protocol may choose, by what a row calls them.
SETTINGS: dict[str, dict[str, object]] = {
    "channels_last": {"channels_last": True},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, channels_last": {"precision": "bfloat16", "channels_last": True},
    "compiled": {"compiled": "default"},
}


def settings_figures(bench: Bench, method: Method, seconds: float, rounds: int) -> list[Figure]:
    """Steps of a method's training as they are, and with each of the arithmetic's settings: a ratio below 1 is a gain.

    Compiling happens before anything is timed. Every setting changes numbers, so each makes another protocol.
    """
    protocol = bench.protocol
    fed, epoch = _trainable(bench, method)
    steps = _steps_in(seconds, epoch, fed)
    name = f"{protocol.backbone}, {steps} steps"
    work: dict[str, Work] = {f"{name}, float32, as it is": lambda: epoch(fed, steps)}
    for setting, changes in SETTINGS.items():
        changed = dataclasses.replace(protocol, **changes)  # type: ignore[arg-type]
        inputs, run = _trainable(dataclasses.replace(bench, protocol=changed), method)
        run(inputs, 2)
        work[f"{name}, {setting}"] = partial(run, inputs, steps)
    return compared(work, rounds, steps * protocol.batch_size)


def _trainable(bench: Bench, method: Method) -> tuple[Inputs, Callable[[Inputs, int], object]]:
    """The images as training sees them, and what does so many steps on what it is given."""
    cell, protocol = _cell(bench, method), bench.protocol
    fold, inputs = fold_of(cell, bench), bench.inputs(bench.development)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        embedder = build_embedder(method, bench, inputs)
        objective = build_objective(cell, method, protocol, fold)
    assert objective is not None, f"{method.name} trains nothing"
    objective = objective.to(bench.device)
    optimizer = build_optimizer(cell, method, protocol, embedder, objective)
    order, views = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    per_class = images_per_class(method, protocol)
    batches = BATCHES[protocol.batches](fold.train_labels, protocol.batch_size, per_class, order)

    def epoch(fed: Inputs, steps: int) -> object:
        return run_epoch(steps, batches, fed, fold, embedder, objective, optimizer, views, bench)

    return inputs, epoch


def _cell(bench: Bench, method: Method) -> Training:
    return Training(
        protocol="speed",
        protocol_digest="",
        dataset="speed",
        split="",
        content="",
        recall_at=bench.recall_at,
        weights="",
        method=method.name,
        source="",
        values=method.published,
        fold=0,
        seed=1,
        threads=bench.threads,
    )
