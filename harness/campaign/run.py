"""The driver: entries ask for jobs, an executor does them, records come out.

The driver alone owns studies and budgets. Entries are worked on side by side, an earlier one first, so that workers
which one entry leaves idle help the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from harness.campaign.executors import ATTEMPTS, NODE_LOST, Executor, LostError
from harness.campaign.jobs import Done, Job, TrainJob
from harness.campaign.outcome import Outcome
from harness.cell import TrainingResult
from harness.errors import BenchmarkError, DamagedError

Work = Generator[list[Job], Done, Outcome]


@dataclass
class Running:
    """One entry under way: its generator, the jobs it waits for, and what has come of them."""

    order: int
    work: Work
    finish: Callable[[Outcome], None]
    queue: list[Job] = field(default_factory=list)
    flying: int = 0
    results: Done = field(default_factory=dict)
    ended: bool = False

    def advance(self) -> None:
        """Send the results that the generator waits for; queue what it asks for next, or finish the entry."""
        try:
            self.queue = self.work.send(self.results)
        except StopIteration as end:
            self.ended = True
            self.finish(end.value)
        self.results = {}

    def start(self) -> None:
        try:
            self.queue = next(self.work)
        except StopIteration as end:
            self.ended = True
            self.finish(end.value)


def work_off(
    entries: Sequence[tuple[Work, Callable[[Outcome], None]]],
    executor: Executor,
    until: float | None = None,
    lost: Callable[[Job, str], None] | None = None,
    landed: Callable[[int, Job, Done], None] | None = None,
) -> bool:
    """Run entries to their end; `finish` is called with each outcome. Returns False if `until` came first.

    landed: told of each job that is done, with the position of its entry and its results.
    until: `time.monotonic()` after which no new job is started.
    lost: told of a job that a worker or the machine lost, each time it happens.
    A job that is lost ATTEMPTS times has a `lost` result, and its entry stays incomplete. When a worker dies,
    every job in flight is lost with it and none can be blamed: they are done again one at a time, which tells the
    innocent from the one that kills its worker.
    """
    running = [Running(i, work, finish) for i, (work, finish) in enumerate(entries)]
    for entry in running:
        entry.start()
    flight = Flight(executor, lost, landed)
    while any(not entry.ended for entry in running):
        late = until is not None and time.monotonic() >= until
        if not late:
            flight.fill(running)
        if late and not flight.flying:
            return False
        flight.land()
        for entry in running:
            if not entry.ended and not entry.queue and not entry.flying:
                entry.advance()
    return True


@dataclass
class Flight:
    """The jobs that the executor has, and what became of those that it lost."""

    executor: Executor
    lost: Callable[[Job, str], None] | None
    landed: Callable[[int, Job, Done], None] | None
    flying: dict[Future[Done], tuple[Running, Job]] = field(default_factory=dict)
    suspects: list[tuple[Running, Job]] = field(default_factory=list)
    attempts: dict[str, float] = field(default_factory=dict)

    def fill(self, running: Iterable[Running]) -> None:
        """Give the executor what it has slots for; a suspect only when nothing else is in flight."""
        if self.suspects:
            if not self.flying:
                self._submit(*self.suspects.pop(0))
            return
        for entry in running:
            while entry.queue and len(self.flying) < self.executor.slots:
                entry.flying += 1
                self._submit(entry, entry.queue.pop(0))

    def _submit(self, entry: Running, job: Job) -> None:
        self.flying[self.executor.submit(job)] = (entry, job)

    def land(self) -> None:
        """Wait for a job to end (in short waits, which let Ctrl-C through on every platform) and take what ended."""
        alone = len(self.flying) == 1
        done, _ = wait(self.flying, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=list(self.flying).index):
            self._take(future, *self.flying.pop(future), alone)

    def _take(self, future: Future[Done], entry: Running, job: Job, alone: bool) -> None:
        try:
            done = future.result()
        except Exception as error:  # whatever ended it: one job that cannot be done never ends a campaign
            if isinstance(error, BenchmarkError) and not isinstance(error, DamagedError):
                raise  # a full disk, a method's file that changed: no job could go on
            self._lose(entry, job, error, alone)
            return
        entry.flying -= 1
        entry.results |= done
        if self.landed is not None:
            self.landed(entry.order, job, done)

    def _lose(self, entry: Running, job: Job, error: Exception, alone: bool) -> None:
        why = str(error) if isinstance(error, LostError) else f"{type(error).__name__}: {error}"
        if self.lost is not None:
            self.lost(job, why)
        self.attempts[job.key] = self.attempts.get(job.key, 0.0) + _blame(error, alone)
        again = self.attempts[job.key] < ATTEMPTS
        if again and not isinstance(error, LostError):
            self.suspects.append((entry, job))
            return
        entry.flying -= 1
        if again:
            entry.queue.insert(0, job)
        elif isinstance(job, TrainJob):
            # Told and not stored: the same command tries again.
            entry.results[job.training.key] = TrainingResult(status="lost", error=_line(why))


def _line(words: str) -> str:
    return (words.splitlines() or [""])[0][:300]


def _blame(error: Exception, alone: bool) -> float:
    """How much of an attempt a loss counts."""
    if isinstance(error, LostError) and error.node:
        return NODE_LOST
    return float(alone or not isinstance(error, BrokenProcessPool))
