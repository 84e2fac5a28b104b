"""Where jobs run: in this process, or in worker processes with one thread each. Both give the same digits.

told: called, from any thread, after every validation of a training; it must not raise.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Protocol as Interface

from harness.campaign.jobs import Done, Job, Workplace, perform
from harness.campaign.reports import ReportPipe, Told, nobody, send
from harness.errors import BenchmarkError

#: How often a job whose worker died is given to another before its entry is left incomplete.
ATTEMPTS = 3
#: What the loss of a whole machine counts among these attempts: machines are taken away without anybody's fault.
NODE_LOST = 0.1


class LostError(Exception):
    """A job was lost that had a worker to itself: no other job has to do with it, so it is done again beside them.

    node: whether the whole machine is gone, which is nobody's doing.
    """

    def __init__(self, why: str, node: bool = False) -> None:
        super().__init__(why)
        self.node = node


class Executor(Interface):
    """Takes jobs and gives futures. `slots`: how many it works on at once; more are not submitted."""

    @property
    def slots(self) -> int: ...

    def submit(self, job: Job) -> Future[Done]: ...

    def stop(self) -> None:
        """End at once; unfinished jobs are lost, finished cells are in the store."""
        ...


class LocalExecutor:
    """Jobs in this process, one after another."""

    slots = 1

    def __init__(self, place: Workplace, told: Told = nobody) -> None:
        self.place, self.told = place, told

    def submit(self, job: Job) -> Future[Done]:
        future: Future[Done] = Future()
        try:
            future.set_result(perform(job, self.place, self.told))
        except Exception as error:
            future.set_exception(error)
        return future

    def stop(self) -> None:
        pass


class ProcessExecutor:
    """Jobs in worker processes. A worker that dies takes its pool along; the next submit starts a new one."""

    def __init__(self, place: Workplace, workers: int, told: Told = nobody) -> None:
        self.place, self.told = place, told
        self.slots = workers
        self._pool: ProcessPoolExecutor | None = None
        self._pipe: ReportPipe | None = None

    def submit(self, job: Job) -> Future[Done]:
        for _ in range(ATTEMPTS):
            if self._pool is None:
                self._pool = self._start()
            try:
                with _interrupts_held():
                    return self._pool.submit(_perform, job)
            except BrokenProcessPool:
                self._pool = None
        raise BenchmarkError(
            "worker processes end as soon as they start; run with --executor local to see why. Finished cells are "
            "kept, and the same command goes on"
        )

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        self._hang_up()
        self._pipe = ReportPipe(context, self.told)
        return ProcessPoolExecutor(
            self.slots, mp_context=context, initializer=_begin, initargs=(self.place, self._pipe.writer)
        )

    def _hang_up(self) -> None:
        if self._pipe is not None:
            self._pipe.close()

    def stop(self) -> None:
        if self._pool is None:
            return
        # Futures offer no way to end a running task, and waiting for a training may take hours.
        for process in list((self._pool._processes or {}).values()):
            process.terminate()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None
        self._hang_up()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits for the end. A worker started meanwhile inherits that: none is interrupted before `_begin`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_place: Workplace
_told: Told


def _begin(place: Workplace, writer: Connection) -> None:
    """Set a worker up: Ctrl-C is the driver's business, and a worker whose driver died ends too."""
    global _place, _told
    _place, _told = place, partial(send, writer)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _perform(job: Job) -> Done:
    return perform(job, _place, _told)
