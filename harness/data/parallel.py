"""Many small pieces of work on threads, the results in order.

Decoding and hashing let go of Python's lock, so threads suffice and nothing is copied between processes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_order(work: Callable[[int], Result], number: int, workers: int | None = None) -> Iterator[Result]:
    """`work(0)`, ..., `work(number - 1)`. At most eight results a worker wait, so memory stays small.

    workers: threads; None takes one a core.
    """
    threads = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for index in range(number):
            waiting.append(pool.submit(work, index))
            if len(waiting) == 8 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
