"""A job: the cells that one worker does in one go, because the second needs what the first has in memory.

Weights are not kept, so a test measurement is made by the process that has just trained the embedder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from harness.campaign.determinism import deterministic, refused
from harness.campaign.limits import UNLIMITED, LimitError, Limits, ended_before, limited
from harness.campaign.reports import Report, Told, nobody
from harness.campaign.store import CellStore
from harness.cell import CellResult, Measurement, MeasurementResult, Training, TrainingResult
from harness.discovery import load_method
from harness.engine.bench import Bench, TestRoles
from harness.engine.embedder import Embedder
from harness.engine.measuring import measure, measure_joined
from harness.engine.sealing import SealedCurve
from harness.engine.training import machines_fault, run_training
from harness.errors import BenchmarkError
from harness.method import Method

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
    """What every job of a campaign shares: the bench, the folder of the cell store, and what a job may take.

    deterministic: whether operations that may give other digits in another run are refused.
    """

    bench: Bench
    cells: Path
    limits: Limits = UNLIMITED
    deterministic: bool = False


def perform(job: Job, place: Workplace, told: Told = nobody) -> Done:
    """Do a job, write its cells to the store, and return their results without arrays.

    told: called after every validation of a training.
    """
    with deterministic(place.deterministic):
        return _perform(job, place, told)


def _perform(job: Job, place: Workplace, told: Told) -> Done:
    store = CellStore(place.cells)
    if isinstance(job, JoinJob):
        return {job.key: _keep(store, job.measurement, _join(job, store, place.bench))}
    method = load_method(job.training.method, place.bench.plugins)
    if method.source != job.training.source:
        raise BenchmarkError(
            f"the file of method {method.name} changed while the campaign ran; start the same command again"
        )
    note = store.path(job.training.key).with_suffix(".ended")
    if (ended := ended_before(note)) is not None:
        note.unlink()
        return {job.training.key: _keep(store, job.training, _ended(*ended, place))}
    try:
        with limited(place.limits, note):
            result, measured, curve = _train(job, method, place.bench, told)
    except LimitError as error:
        result, measured, curve = _ended(str(error), "", place), None, None
    if place.deterministic and (why := refused(result.error)) is not None:
        # Not kept: without the flag, which is in no cell's key, the method may do.
        return {job.training.key: replace(result, error=why)}
    done: Done = {}
    if curve is not None and job.sealed is not None:
        curve.write(job.sealed)
    if measured is not None and job.measurement is not None:
        # The measurement is stored first: a training that is there while its measurement is not is run again.
        done[job.measurement.key] = _keep(store, job.measurement, measured)
    done[job.training.key] = _keep(store, job.training, result)
    return done


def _train(
    job: TrainJob, method: Method, bench: Bench, told: Told
) -> tuple[TrainingResult, MeasurementResult | None, SealedCurve | None]:
    """The training, its measurement where one is asked for and there is something to measure, and the sealed curve."""
    curve = SealedCurve(bench, job.test) if job.sealed is not None and job.test is not None else None
    training = job.training

    def look(epoch: int, score: float, embedder: Embedder) -> None:
        told(Report(training.key, training.method, training.fold, training.seed, epoch, score))
        if curve is not None:
            curve(epoch, score, embedder)

    result, embedder = run_training(training, method, bench, look)
    if job.measurement is None or job.test is None or embedder is None or result.status == "nan":
        return result, None, curve
    return result, _measured(embedder, bench, job.test), curve


def _ended(reason: str, traceback: str, place: Workplace) -> TrainingResult:
    """What is kept of a training that went beyond its limits where nobody else could say so."""
    seconds = place.limits.seconds or 0.0
    return TrainingResult(
        status="failed",
        seconds={"training": seconds, "evaluation": 0.0, "total": seconds},
        device=place.bench.device,
        error=f"LimitError: {reason}",
        traceback=traceback,
    )


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
    return result if isinstance(result, TrainingResult) else replace(result, arrays={})
