"""Calibration: what a training and a measurement of each method take on this machine, told from a little of both.

Nothing here sees a test image: what is measured, for its time alone, are the development images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from harness.campaign.campaign import Campaign
from harness.campaign.cells import new_training
from harness.campaign.events import Entry
from harness.campaign.executors import Executor
from harness.campaign.jobs import Done, JoinJob, TrainJob, Workplace
from harness.campaign.plan import UNKNOWN, Cost
from harness.campaign.store import CellStore
from harness.campaign.tuning import published_values
from harness.cell import Measurement, MeasurementResult, Training, TrainingResult
from harness.engine.bench import Bench, TestRoles
from harness.protocol import Protocol

#: Steps that tell what a step takes; a training whose epochs are longer is cut to so many.
STEPS = 40
#: Trainings of each method that are timed, on different folds.
TIMED = 2


def calibrate(
    campaign: Campaign,
    entries: Sequence[Entry],
    bench: Bench,
    executor_for: Callable[[Workplace], Executor],
    folder: Path,
) -> dict[str, Cost]:
    """The cost of every entry's cells, by its key, as long as trainings go to the step cap.

    As many run at once as in the campaign, so that what they take from each other is in the figures; each worker warms
    up first. folder: for the cells, which are nobody's results.
    """
    short = shortened(bench)
    executor = executor_for(Workplace(short, folder, deterministic=campaign.deterministic))
    timing = [_Timing(campaign, entry, bench, folder) for entry in entries]
    try:
        warm = [executor.submit(timing[0].training(0, -seed)) for seed in range(1, executor.slots + 1)]
        _results(warm)
        trained = [executor.submit(job) for one in timing for job in one.trainings()]
        done = _results(trained)
        joined = _results([executor.submit(join) for one in timing if (join := one.join(done)) is not None])
    finally:
        executor.stop()
    return {one.entry.key: one.cost(done | joined, short.protocol) for one in timing}


def shortened(bench: Bench) -> Bench:
    """The same bench for trainings of a few steps and one validation at either end."""
    steps = min(bench.protocol.epoch_steps, STEPS)
    protocol = dataclasses.replace(bench.protocol, epochs=1, evaluate_every=1, epoch_steps=steps)
    return dataclasses.replace(bench, protocol=protocol)


def timed_training(campaign: Campaign, entry: Entry, fold: int, seed: int) -> Training:
    """A training of the entry with the published values."""
    values = published_values(entry.method, entry.protocol, entry.dataset)
    return new_training(entry, campaign.trunk.sha256, campaign.threads, values, fold, seed)


def _results(futures: Sequence[Future[Done]]) -> Done:
    found: Done = {}
    for future in futures:
        found |= future.result()
    return found


@dataclasses.dataclass(frozen=True)
class _Timing:
    """One entry's calibration: its jobs, and what their results say."""

    campaign: Campaign
    entry: Entry
    bench: Bench
    folder: Path

    @property
    def folds(self) -> range:
        return range(min(TIMED, self.bench.protocol.folds))

    def training(self, fold: int, seed: int = 0) -> TrainJob:
        """A short training with the published values, and a measurement of as much as there is to develop on."""
        cell = timed_training(self.campaign, self.entry, fold, seed)
        return TrainJob(cell, Measurement((cell.key,)), self._shown())

    def trainings(self) -> list[TrainJob]:
        return [self.training(fold) for fold in self.folds]

    def join(self, done: Done) -> JoinJob | None:
        """The joined measurement of as many folds as the protocol has; None where a training failed."""
        own = [Measurement((job.training.key,)) for job in self.trainings()]
        if not all(cell.key in done and done[cell.key].status == "ok" for cell in own):
            return None
        parts = [own[fold % len(own)] for fold in range(self.bench.protocol.folds)]
        return JoinJob(Measurement(tuple(part.trainings[0] for part in parts)), tuple(parts), self._shown())

    def cost(self, done: Done, short: Protocol) -> Cost:
        join = self.join(done)
        if join is None:
            return UNKNOWN
        trained = [_training(done, job.training) for job in self.trainings()]
        measured = [_measurement(done, part) for part in join.parts[: len(trained)]]
        full = self.bench.protocol
        own = sum(self._measured(result) for result in measured) / len(measured)
        joined = self._measured(_measurement(done, join.measurement))
        own_size = sum(map(self._size, join.parts)) / len(join.parts)
        return Cost(
            training=sum(_whole(result, short, full) for result in trained) / len(trained),
            measurement=(full.folds * own + joined) / (full.folds + 1),
            size=(full.folds * own_size + self._size(join.measurement)) / (full.folds + 1),
        )

    def _shown(self) -> TestRoles:
        return TestRoles(self.bench.development, None, self.bench.recall_at)

    def _growth(self) -> tuple[float, float]:
        """How many times the images, and the pairs of query and item, the test classes have."""
        dataset = self.campaign.dataset
        shown, queries = len(dataset.development), len(dataset.test)
        gallery = 0 if dataset.gallery is None else len(dataset.gallery)
        return (queries + gallery) / shown, queries * (gallery or queries) / shown**2

    def _size(self, cell: Measurement) -> float:
        """Bytes that a measurement of the test classes keeps."""
        images, _ = self._growth()
        return images * CellStore(self.folder).path(cell.key).with_suffix(".npz").stat().st_size

    def _measured(self, result: MeasurementResult) -> float:
        images, pairs = self._growth()
        embedding, scoring = (result.seconds.get(part, 0.0) for part in ("embedding", "scoring"))
        return embedding * images + scoring * pairs


def _whole(result: TrainingResult, short: Protocol, full: Protocol) -> float:
    """Seconds of the whole training that this is the beginning of."""
    training, evaluation, total = (result.seconds[part] for part in ("training", "evaluation", "total"))
    if not result.steps:
        return total
    validations = 1 + -(-full.epochs // full.evaluate_every)
    steps = full.epochs * full.epoch_steps / (short.epochs * short.epoch_steps)
    return training * steps + evaluation * validations / 2 + (total - training - evaluation)


def _training(done: Done, cell: Training) -> TrainingResult:
    result = done[cell.key]
    assert isinstance(result, TrainingResult)
    return result


def _measurement(done: Done, cell: Measurement) -> MeasurementResult:
    result = done[cell.key]
    assert isinstance(result, MeasurementResult)
    return result
