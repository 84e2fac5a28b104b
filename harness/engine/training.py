"""One training: an embedder and an objective, from seeds to the epoch that validates best.

A pure function of the cell and the images. It knows no search, record, tracker or other cell.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.cell import Training, TrainingResult
from harness.engine.batches import BATCHES
from harness.engine.bench import Bench
from harness.engine.embedder import Embedder
from harness.engine.inputs import Inputs
from harness.engine.optimizer import build_optimizer
from harness.engine.parts import Fold, build_embedder, build_objective, fold_of, images_per_class
from harness.engine.threads import arithmetic_threads
from harness.errors import BenchmarkError
from harness.method import Method
from harness.metrics import score
from harness.protocol import Protocol
from harness.seeding import seed_of

#: Looks at a training after each validation: (epoch, validation score, embedder). It must leave the embedder as it is.
Look = Callable[[int, float, Embedder], None]


@dataclass
class Progress:
    """What a training has come to; the best epoch's weights are kept here."""

    curve: list[tuple[int, float]] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: float = -1.0
    validation: dict[str, float] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    steps: int = 0
    ended: str = ""
    status: str = "ok"
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0


def run_training(
    cell: Training, method: Method, bench: Bench, look: Look | None = None
) -> tuple[TrainingResult, Embedder | None]:
    """Train one embedder. Returns the result and the embedder at its best epoch (None where the training failed).

    An exception of the method's code makes a `failed` result; one of the machine's (no memory, no disk) is raised.
    look: see `Look`.
    """
    started = time.perf_counter()
    try:
        with arithmetic_threads(cell.threads), torch.random.fork_rng(devices=_cuda_devices(bench.device)):
            progress, embedder = _train(cell, method, bench, look)
    except Exception as error:
        if machines_fault(error):
            raise
        return _failure(error, bench, time.perf_counter() - started), None
    return _result(progress, bench, time.perf_counter() - started), embedder


def machines_fault(error: Exception) -> bool:
    """Whether the machine is to blame and not the method: such a cell is lost, to be done again, and counts for
    nothing."""
    if isinstance(error, MemoryError | OSError | BenchmarkError | torch.OutOfMemoryError):
        return True
    # PyTorch's words: these have no class of their own in every version.
    words = ("can't allocate memory", "CUDA error", "cuDNN error", "CUBLAS_STATUS", "NCCL error")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def _train(cell: Training, method: Method, bench: Bench, look: Look | None) -> tuple[Progress, Embedder]:
    protocol, names = bench.protocol, (cell.protocol, cell.dataset, cell.fold, cell.seed)
    fold = fold_of(cell, bench)
    inputs = bench.inputs(bench.development)
    # The network starts the same for every method; only the objective's seed knows the method's name.
    torch.manual_seed(seed_of("network", *names))
    embedder = build_embedder(method, bench, inputs)
    torch.manual_seed(seed_of("objective", cell.method, *names))
    progress = Progress()
    started = time.perf_counter()
    objective = build_objective(cell, method, protocol, fold)
    if objective is not None and hasattr(objective, "solve"):
        _solve(objective, embedder, inputs, fold)
        objective = None
    progress.training_seconds += time.perf_counter() - started
    if not _validate(0, embedder, inputs, fold, bench, progress, look):
        progress.status = progress.ended = "nan"
        return progress, embedder
    if objective is not None:
        _fit(cell, method, bench, embedder, objective.to(bench.device), inputs, fold, progress, look)
    embedder.load_state_dict(progress.weights)
    return progress, embedder


def _fit(
    cell: Training,
    method: Method,
    bench: Bench,
    embedder: Embedder,
    objective: nn.Module,
    inputs: Inputs,
    fold: Fold,
    progress: Progress,
    look: Look | None,
) -> None:
    """Epochs until patience or the cap; leaves the best epoch in `progress`."""
    protocol = bench.protocol
    names = (cell.protocol, cell.dataset, cell.fold, cell.seed)
    doors: Any = objective  # the optional ones: refresh, batches, start_step
    views = torch.Generator().manual_seed(seed_of("views", *names))
    order = torch.Generator().manual_seed(seed_of("batches", *names))
    optimizer = build_optimizer(cell, method, protocol, embedder, objective)
    batches = _batches(doors, method, protocol, fold.train_labels, order)
    # Patience counts from where the objective is whole: XBM's memory, say, starts late.
    start = -(-int(getattr(doors, "start_step", 0)) // protocol.epoch_steps)
    progress.ended = "cap"
    for epoch in range(1, protocol.epochs + 1):
        begun = time.perf_counter()
        if hasattr(doors, "refresh"):
            doors.refresh(embedder.embed(inputs.test_batches(fold.train)), fold.train_labels.to(bench.device))
        loss = run_epoch(
            protocol.epoch_steps, batches, inputs, fold, embedder, objective, optimizer, views, bench
        )
        progress.training_seconds += time.perf_counter() - begun
        progress.steps += protocol.epoch_steps
        if not np.isfinite(loss):
            progress.status, progress.ended = "nan", "nan"
            return
        progress.losses.append((epoch, loss))
        if epoch % protocol.evaluate_every and epoch != protocol.epochs:
            continue
        if not _validate(epoch, embedder, inputs, fold, bench, progress, look):
            progress.status, progress.ended = "nan", "nan"
            return
        if epoch - max(progress.best_epoch, start) > protocol.patience:
            progress.ended = "patience"
            return


def run_epoch(
    steps: int,
    batches: Iterator[Tensor],
    inputs: Inputs,
    fold: Fold,
    embedder: Embedder,
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    views: torch.Generator,
    bench: Bench,
) -> float:
    """`steps` updates; the mean loss, not finite as soon as one was not. One look at the device, at the end."""
    embedder.train()
    objective.train()
    penalty = getattr(embedder.head, "penalty", None)
    total = torch.zeros((), device=bench.device)
    for _ in range(steps):
        index = next(batches)
        labels = fold.train_labels[index].to(bench.device, non_blocking=True)
        embeddings = embedder(inputs.train_batch(fold.train[index], views))
        loss = objective(embeddings, labels)
        if loss.shape != ():
            raise ValueError(
                f"the objective returned a tensor of shape {tuple(loss.shape)}; expected one number, ()"
            )
        if penalty is not None:
            loss = loss + penalty()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return float(total) / steps


def _validate(
    epoch: int,
    embedder: Embedder,
    inputs: Inputs,
    fold: Fold,
    bench: Bench,
    progress: Progress,
    look: Look | None,
) -> bool:
    """Score the validation classes; keep the epoch if it is the best so far. False: embeddings are not finite."""
    begun = time.perf_counter()
    embeddings = embedder.embed(inputs.test_batches(fold.validation))
    if not bool(torch.isfinite(embeddings).all()):
        return False
    scores = score(embeddings, fold.validation_labels, recall_at=bench.recall_at)
    value = scores.metrics[bench.protocol.selection]
    progress.curve.append((epoch, value))
    if value > progress.best:
        progress.best, progress.best_epoch, progress.validation = value, epoch, scores.metrics
        progress.weights = _trained_weights(embedder)
    progress.evaluation_seconds += time.perf_counter() - begun
    if look is not None:
        look(epoch, value, embedder)
    return True


def _trained_weights(embedder: Embedder) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in embedder.state_dict().items()}


def _solve(objective: nn.Module, embedder: Embedder, inputs: Inputs, fold: Fold) -> None:
    """A closed-form method sets the linear head from the backbone's features of the training fold."""
    embedder.eval()
    with torch.no_grad():
        features = torch.cat([embedder.backbone(x)[-1] for x in inputs.test_batches(fold.train)])
        weight, bias = objective.solve(features, fold.train_labels.to(features.device))  # type: ignore[operator]
        embedder.head.linear.weight.copy_(weight)  # type: ignore[union-attr, operator]
        embedder.head.linear.bias.copy_(bias)  # type: ignore[union-attr, operator]


def _batches(
    doors: Any, method: Method, protocol: Protocol, labels: Tensor, generator: torch.Generator
) -> Iterator[Tensor]:
    if hasattr(doors, "batches"):
        return iter(doors.batches(labels, generator))
    return BATCHES[protocol.batches](
        labels, protocol.batch_size, images_per_class(method, protocol), generator
    )


def _result(progress: Progress, bench: Bench, total: float) -> TrainingResult:
    return TrainingResult(
        status=progress.status,
        curve=tuple(progress.curve),
        losses=tuple(progress.losses),
        best_epoch=progress.best_epoch,
        score=max(progress.best, 0.0),
        validation=progress.validation,
        steps=progress.steps,
        ended=progress.ended,
        seconds={
            "training": progress.training_seconds,
            "evaluation": progress.evaluation_seconds,
            "total": total,
        },
        device=bench.device,
        error="a loss or an embedding was not finite" if progress.status == "nan" else "",
    )


def _failure(error: Exception, bench: Bench, total: float) -> TrainingResult:
    return TrainingResult(
        status="failed",
        seconds={"training": total, "evaluation": 0.0, "total": total},
        device=bench.device,
        error=f"{type(error).__name__}: {error}".splitlines()[0][:300],
        traceback=traceback.format_exc(),
    )


def _cuda_devices(device: str) -> list[int]:
    chosen = torch.device(device)
    return [] if chosen.type != "cuda" else [chosen.index or 0]
