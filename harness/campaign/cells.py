"""The cells of an entry: what each one is, and its result from the store or from whoever does the jobs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.campaign.events import CellDone, Entry, Event
from harness.campaign.jobs import Done, Job, JoinJob, TrainJob
from harness.campaign.outcome import Unfinished
from harness.campaign.store import CellStore
from harness.cell import Cell, CellResult, Measurement, Training, TrainingResult


def new_training(
    entry: Entry, weights: str, threads: int, values: Mapping[str, Any], fold: int, seed: int
) -> Training:
    """The cell of one training of an entry. weights: sha256 of the backbone's."""
    return Training(
        protocol=entry.protocol.name,
        protocol_digest=entry.protocol_digest,
        dataset=entry.dataset_slug,
        split=entry.split,
        content=entry.content,
        recall_at=entry.recall_at,
        weights=weights,
        method=entry.method.name,
        source=entry.method.source,
        values=dict(values),
        fold=fold,
        seed=seed,
        threads=threads,
    )


@dataclass(frozen=True)
class EntryCells:
    """One entry's cells in a store.

    again: do cells that failed again, once, instead of taking them as they are.
    """

    entry: Entry
    store: CellStore
    weights: str
    threads: int
    watcher: Callable[[Event], None]
    again: bool = False
    _retried: set[str] = field(default_factory=set)

    def training(self, values: Mapping[str, Any], fold: int, seed: int) -> Training:
        return new_training(self.entry, self.weights, self.threads, values, fold, seed)

    def done(self, jobs: Sequence[Job]) -> Generator[list[Job], Done, Done]:
        """Results of the jobs' cells: from the store, and the rest asked for. Equal jobs are asked for once."""
        results: Done = {}
        missing: dict[str, Job] = {}
        for job in jobs:
            found = self._stored(job)
            if found is None:
                missing[job.key] = job
            else:
                results |= found
        for job in jobs:
            for cell in cells_of(job):
                if cell.key in results:
                    self.watcher(CellDone(self.entry, cell, results[cell.key], fresh=False))
        if missing:
            results |= yield list(missing.values())
        for job in jobs:
            if isinstance(job, TrainJob):
                self._demand_done(job.training, results.get(job.training.key))
        return results

    def _demand_done(self, training: Training, result: CellResult | None) -> None:
        """Raises Unfinished for a training that the machine lost as often as it was tried."""
        if result is None or result.status == "lost":
            why = f" ({result.error})" if isinstance(result, TrainingResult) else ""
            raise Unfinished("incomplete", f"fold {training.fold}: the cell was lost with its worker{why}")

    def _stored(self, job: Job) -> Done | None:
        """The job's results if all of its cells are finished. A training that failed has no measurement to wait for."""
        done: Done = {}
        if isinstance(job, TrainJob) and job.sealed is not None and not job.sealed.exists():
            return None  # trained before anybody asked for an audit: the same digits again, and the curve beside them
        for cell in cells_of(job):
            result = self.store.get(cell)
            if result is None or self._is_retried(cell, result):
                return None
            done[cell.key] = result
            if result.status != "ok":
                return done
        return done

    def _is_retried(self, cell: Cell, result: CellResult) -> bool:
        """Whether a stored failure is forgotten and done again: the first time it is met in a run that asks for it."""
        if not self.again or result.status != "failed" or cell.key in self._retried:
            return False
        self._retried.add(cell.key)
        self.store.drop(cell.key)
        return True


def cells_of(job: Job) -> list[Training | Measurement]:
    """The cells that a job makes."""
    if isinstance(job, JoinJob):
        return [job.measurement]
    return [job.training] if job.measurement is None else [job.training, job.measurement]
