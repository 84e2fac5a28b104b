"""Things to compare run in alternating rounds; only ratios within a round are trusted.

Speeds of a shared machine change from minute to minute, and alike for what runs in the same minute.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

#: Something to be measured: a whole run of it.
Work = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """What the rounds took, in seconds: on the clock, and of the processors, child processes included."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


@dataclass(frozen=True)
class Figure:
    """One thing beside the one that all are compared with.

    seconds, cpu_seconds: medians over rounds.
    ratio, low, high: its time on the clock over that of the other, median and extremes over rounds; above 1 means that
        the other is faster. cpu_ratio: the median for processor time, which neighbours on the machine disturb less.
    """

    what: str
    seconds: float
    cpu_seconds: float
    ratio: float
    low: float
    high: float
    cpu_ratio: float
    per_second: float | None = None


def times(work: Mapping[str, Work], rounds: int) -> dict[str, Times]:
    """Every work once a round, every other round in the opposite order: whoever is first has no part in a drift."""
    wall: dict[str, list[float]] = {name: [] for name in work}
    cpu: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds):
        order = list(work.items())
        for name, run in order if number % 2 == 0 else reversed(order):
            began, busy = time.perf_counter(), _processor_seconds()
            run()
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(_processor_seconds() - busy)
    return {name: Times(tuple(wall[name]), tuple(cpu[name])) for name in work}


def figure(what: str, own: Times, other: Times, images: int | None = None) -> Figure:
    """`own` beside `other`, round by round. images: how many each run sees."""
    seconds = statistics.median(own.wall)
    ratios = [a / b for a, b in zip(own.wall, other.wall, strict=True)]
    # The processors' clock ticks in hundredths of a second: a short run may take none.
    busy = [a / max(b, 1e-3) for a, b in zip(own.cpu, other.cpu, strict=True)]
    return Figure(
        what=what,
        seconds=seconds,
        cpu_seconds=statistics.median(own.cpu),
        ratio=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        cpu_ratio=statistics.median(busy),
        per_second=None if images is None else images / seconds,
    )


def compared(work: Mapping[str, Work], rounds: int, images: int | None = None) -> list[Figure]:
    """Every work beside the first. images: how many each run sees."""
    measured = times(work, rounds)
    first = next(iter(measured.values()))
    return [figure(name, own, first, images) for name, own in measured.items()]


def _processor_seconds() -> float:
    """Of this process and its children, those that have ended included."""
    process = psutil.Process()
    spent = [process.cpu_times(), *(child.cpu_times() for child in process.children(recursive=True))]
    ended = spent[0].children_user + spent[0].children_system
    return time.process_time() + ended + sum(s.user + s.system for s in spent[1:])


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """A list whose only value becomes the most memory in bytes that the block held above what was held before."""
    process, ended, peak = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def watch() -> None:
        while not ended.wait(0.002):
            peak[0] = max(peak[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()
