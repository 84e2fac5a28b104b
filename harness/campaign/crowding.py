"""How many trainings at once: tried out, since cores, caches and GPUs are shared in ways that no rule foresees."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import torch

from harness.campaign.calibrate import shortened, timed_training
from harness.campaign.campaign import Campaign
from harness.campaign.events import Entry
from harness.campaign.executors import Executor, ProcessExecutor
from harness.campaign.jobs import TrainJob, Workplace
from harness.engine.bench import Bench

#: Twice as many trainings at once must get so much more done, or are too many.
GAIN = 1.1
#: Share of the free memory that stays free.
SPARE = 0.1
#: Trainings of each worker that are timed, after one that warms it up.
TIMED = 2


def best_workers(
    campaign: Campaign,
    entry: Entry,
    bench: Bench,
    folder: Path,
    most: int,
    executor_for: Callable[[Workplace, int], Executor] = ProcessExecutor,
) -> int:
    """The number of worker processes, 1, 2, 4, ... up to `most`, that gets most short trainings of the entry done.

    It ends where twice as many bring less than a tenth more, fail for want of memory, or would not fit into what is
    free. folder: for the cells, which are nobody's results.
    """
    place = Workplace(shortened(bench), folder, deterministic=campaign.deterministic)
    best, rate, workers, free = 1, 0.0, 1, _free(bench.device)
    while workers <= most:
        executor = executor_for(place, workers)
        try:
            found = _rate(executor, campaign, entry, workers)
            left = _free(bench.device)
        except (BrokenProcessPool, MemoryError, torch.OutOfMemoryError):
            break
        finally:
            executor.stop()
        if found < GAIN * rate:
            break
        best, rate = workers, found
        if free - left > left * (1 - SPARE):
            break
        workers *= 2
    return best


def _rate(executor: Executor, campaign: Campaign, entry: Entry, workers: int) -> float:
    """Trainings a second, once every worker is warm."""

    def job(number: int) -> TrainJob:
        return TrainJob(timed_training(campaign, entry, 0, -number))

    for future in [executor.submit(job(number)) for number in range(workers)]:
        future.result()
    begun = time.perf_counter()
    for future in [executor.submit(job(number)) for number in range(workers, (1 + TIMED) * workers)]:
        future.result()
    return TIMED * workers / (time.perf_counter() - begun)


def _free(device: str) -> int:
    """Bytes that are free on the device; on a CPU, of the machine's memory."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    return int(psutil.virtual_memory().available)
