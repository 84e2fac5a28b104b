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
from typing import Any

from harness.campaign.entry import Outcome
from harness.campaign.executors import ATTEMPTS, Executor
from harness.campaign.jobs import Done, JoinJob, TrainJob

Job = TrainJob | JoinJob
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
    A job that is lost ATTEMPTS times is left out of the results, and its entry stays incomplete.
    """
    running = [Running(i, work, finish) for i, (work, finish) in enumerate(entries)]
    for entry in running:
        entry.start()
    flying: dict[Future[Done], tuple[Running, Job]] = {}
    attempts: dict[str, int] = {}
    while any(not entry.ended for entry in running):
        late = until is not None and time.monotonic() >= until
        if not late:
            _fill(running, executor, flying)
        if late and not flying:
            return False
        for future in _finished(flying):
            entry, job = flying.pop(future)
            entry.flying -= 1
            _take(entry, job, future, attempts, lost, landed)
        for entry in running:
            if not entry.ended and not entry.queue and not entry.flying:
                entry.advance()
    return True


def _fill(running: Iterable[Running], executor: Executor, flying: dict[Future[Done], Any]) -> None:
    for entry in running:
        while entry.queue and len(flying) < executor.slots:
            job = entry.queue.pop(0)
            future = executor.submit(job)
            flying[future] = (entry, job)
            entry.flying += 1


def _finished(flying: dict[Future[Done], Any]) -> list[Future[Done]]:
    # A short timeout lets Ctrl-C through on every platform.
    done, _ = wait(flying, timeout=1.0, return_when=FIRST_COMPLETED)
    return sorted(done, key=lambda future: list(flying).index(future))


def _take(
    entry: Running,
    job: Job,
    future: Future[Done],
    attempts: dict[str, int],
    lost: Callable[[Job, str], None] | None,
    landed: Callable[[int, Job, Done], None] | None,
) -> None:
    """Keep a job's results, or queue it again where the machine lost it."""
    try:
        done = future.result()
        entry.results |= done
        if landed is not None:
            landed(entry.order, job, done)
    except (BrokenProcessPool, MemoryError, OSError, RuntimeError) as error:
        attempts[job.key] = attempts.get(job.key, 0) + 1
        if lost is not None:
            lost(job, f"{type(error).__name__}: {error}")
        if attempts[job.key] < ATTEMPTS:
            entry.queue.append(job)
