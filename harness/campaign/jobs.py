"""A job: the cells that one worker does in one go, because the second needs what the first has in memory.

Weights are not kept, so a test measurement is made by the process that has just trained the embedder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.campaign.store import CellStore
from harness.cell import CellResult, Measurement, MeasurementResult, Training, TrainingResult
from harness.discovery import load_method
from harness.engine.bench import Bench, TestRoles
from harness.engine.embedder import Embedder
from harness.engine.measuring import measure, measure_joined
from harness.engine.sealing import SealedCurve
from harness.engine.training import machines_fault, run_training
from harness.errors import BenchmarkError

Done = dict[str, CellResult]


@dataclass(frozen=True, eq=False)
class TrainJob:
    """A training, and where the final stage asks for it, its measurement on the test classes.

    sealed: file for the sealed test curve, where the optimism audit asks for one.
    """

    training: Training
    measurement: Measurement | None = None
    test: TestRoles | None = None
    sealed: Path | None = None

    @property
    def key(self) -> str:
        return self.training.key if self.measurement is None else self.measurement.key


@dataclass(frozen=True, eq=False)
class JoinJob:
    """The joined measurement of the trainings whose own measurements are `parts`."""

    measurement: Measurement
    parts: tuple[Measurement, ...]
    test: TestRoles

    @property
    def key(self) -> str:
        return self.measurement.key


Job = TrainJob | JoinJob


@dataclass(frozen=True, eq=False)
class Workplace:
    """What every job of a campaign shares: the bench and the folder of the cell store."""

    bench: Bench
    cells: Path


def perform(job: Job, place: Workplace) -> Done:
    """Do a job, write its cells to the store, and return their results without arrays."""
    store = CellStore(place.cells)
    if isinstance(job, JoinJob):
        return {job.key: _keep(store, job.measurement, _join(job, store, place.bench))}
    method = load_method(job.training.method, place.bench.plugins)
    if method.source != job.training.source:
        raise BenchmarkError(
            f"the file of method {method.name} changed while the campaign ran; start the same command again"
        )
    curve = SealedCurve(place.bench, job.test) if job.sealed is not None and job.test is not None else None
    result, embedder = run_training(job.training, method, place.bench, curve)
    done: Done = {}
    if curve is not None and job.sealed is not None:
        curve.write(job.sealed)
    if (
        job.measurement is not None
        and job.test is not None
        and embedder is not None
        and result.status != "nan"
    ):
        # The measurement is stored first: a training that is there while its measurement is not is run again.
        measured = _measured(embedder, place.bench, job.test)
        done[job.measurement.key] = _keep(store, job.measurement, measured)
    done[job.training.key] = _keep(store, job.training, result)
    return done


def _measured(embedder: Embedder, bench: Bench, test: TestRoles) -> MeasurementResult:
    """The measurement; a head that raises on test images fails its own entry, as it would in training."""
    try:
        return measure(embedder, bench, test)
    except Exception as error:
        if machines_fault(error):
            raise
        return MeasurementResult(status="failed", error=f"{type(error).__name__}: {error}"[:300])


def _join(job: JoinJob, store: CellStore, bench: Bench) -> MeasurementResult:
    return measure_joined([store.arrays(part.key) for part in job.parts], job.test, bench.threads)


def _keep(store: CellStore, cell: Training | Measurement, result: CellResult) -> CellResult:
    store.put(cell, result)
    if isinstance(result, TrainingResult):
        return result
    return MeasurementResult(
        status=result.status,
        metrics=result.metrics,
        queries=result.queries,
        excluded=result.excluded,
        seconds=result.seconds,
        error=result.error,
    )
