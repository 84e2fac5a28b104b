"""Limits of a cell: a method that hangs or eats memory is ended in its worker, and its cell has failed, which says why.

An error raised between two lines of Python ends most of them. What does not come to a next line is ended with its
process, which leaves a note; whoever is given the job next finds the note and does not try again.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

#: Seconds between two looks at the clock and the memory.
LOOK = 0.1


@dataclass(frozen=True)
class Limits:
    """What one job may take; None: whatever it likes.

    seconds: of wall clock. gb: of memory that its process shares with nobody, in 10^9 bytes.
    grace: seconds between the error and the end of the process.
    """

    seconds: float | None = None
    gb: float | None = None
    grace: float = 10.0

    def __bool__(self) -> bool:
        return self.seconds is not None or self.gb is not None

    @property
    def too_long(self) -> str:
        return f"took more than {(self.seconds or 0.0) / 60:g} minutes (--max-cell-minutes)"

    @property
    def too_much(self) -> str:
        return f"took more than {self.gb:g} GB of memory (--max-cell-gb)"


UNLIMITED = Limits()


class LimitError(Exception):
    """The method took more than a cell may."""


@contextmanager
def limited(limits: Limits, note: Path) -> Iterator[None]:
    """Run the block, in the main thread, within limits.

    Raises LimitError in it; a process that does not heed that is ended, and `note` holds the reason and the traceback.
    """
    if not limits:
        yield
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    with note.open("w") as file:
        # The reason stands there from the beginning; the traceback below it says that it came to that.
        file.write(f"{limits.too_long}\n")
        file.flush()
        watch = _Watch(limits, file)
        before = signal.signal(signal.SIGUSR1, watch.interrupt)
        if limits.seconds is not None:
            # Its clock needs no interpreter: code that never gives the interpreter back is ended too.
            faulthandler.dump_traceback_later(limits.seconds + limits.grace, exit=True, file=file)
        watch.start()
        try:
            yield
        finally:
            watch.stop()
            faulthandler.cancel_dump_traceback_later()
            signal.signal(signal.SIGUSR1, before)
    note.unlink()


def ended_before(note: Path) -> tuple[str, str] | None:
    """The reason and the traceback that a process left when it was ended; None where none was."""
    try:
        reason, _, traceback = note.read_text(errors="replace").partition("\n")
    except FileNotFoundError:
        return None
    return (reason, traceback) if "most recent call first" in traceback else None


class _Watch:
    """A thread that looks at the clock and the memory, and interrupts the main thread."""

    def __init__(self, limits: Limits, file: IO[str]) -> None:
        self.limits, self.file = limits, file
        self.reason = ""
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, name="limits", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.over.set()
        self.thread.join()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self.over.is_set():
            raise LimitError(self.reason)

    def _look(self) -> None:
        begun, process = time.monotonic(), psutil.Process()
        while not self.over.wait(LOOK):
            if self.limits.seconds is not None and time.monotonic() - begun > self.limits.seconds:
                self.reason = self.limits.too_long
            elif self.limits.gb is not None and _own(process) > self.limits.gb * 1e9:
                self.reason = self.limits.too_much
            if self.reason:
                self._end()

    def _end(self) -> None:
        """Interrupt until it helps, then end the process."""
        until = time.monotonic() + self.limits.grace
        while time.monotonic() < until:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            # A method may catch the error, or be in the midst of a long operation.
            if self.over.wait(0.5):
                return
        self.file.seek(0)
        self.file.truncate()
        self.file.write(f"{self.reason}\n")
        self.file.flush()
        faulthandler.dump_traceback(self.file)
        os._exit(1)


def _own(process: psutil.Process) -> int:
    """Bytes of memory of its own; pages of files that it shares with others are nobody's."""
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))
