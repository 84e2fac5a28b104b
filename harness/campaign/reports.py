"""What a training that is under way has come to, told as it happens. For eyes alone: no number depends on it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from threading import Thread


@dataclass(frozen=True)
class Report:
    """A validation of a training. key: of its cell. score: by the metric that chooses, a fraction."""

    key: str
    method: str
    fold: int
    seed: int
    epoch: int
    score: float


Told = Callable[[Report], None]


def nobody(report: Report) -> None:
    """Tell nobody."""


class ReportPipe:
    """From worker processes to a function of this one, which a thread of its own calls.

    A report is shorter than what a pipe takes at once, so that workers need no lock: one that is killed would keep it.
    """

    def __init__(self, context: BaseContext, told: Told) -> None:
        reader, self.writer = context.Pipe(duplex=False)
        # Of all writers: a report that finds no room is dropped, and no training ever waits for a reader.
        os.set_blocking(self.writer.fileno(), False)
        Thread(target=_listen, args=(reader, told), name="reports", daemon=True).start()

    def close(self) -> None:
        """Tell no more; the thread ends when the workers have."""
        self.writer.close()


def send(writer: Connection, report: Report) -> None:
    """Put a report into the pipe, from a worker; one that cannot be sent is dropped."""
    with suppress(OSError):
        writer.send_bytes(json.dumps(asdict(report)).encode())


def _listen(reader: Connection, told: Told) -> None:
    while True:
        try:
            words = reader.recv_bytes()
        except (EOFError, OSError):
            return
        # Whatever is wrong with what is shown must not keep the pipe from being read.
        with suppress(Exception):
            told(Report(**json.loads(words)))
