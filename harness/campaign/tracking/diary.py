"""The diary's thread: takes a campaign's events at once and writes them into MLflow when MLflow will have them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.addresses import without_password
from harness.campaign.events import (
    CellDone,
    Entry,
    EntryDone,
    EntryDrawn,
    EntryStarted,
    Event,
    RepetitionDone,
    TrialDone,
)
from harness.campaign.tracking.pages import Page, RefusedError, repetition_page, trial_page
from harness.campaign.tracking.study import source_tags, study_page

if TYPE_CHECKING:
    from harness.campaign.tracking.ledger import Ledger
    from harness.campaign.tracking.machine import Machine

#: Seconds between two attempts at a tracker that fails: the first pause, and the longest.
PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: Seconds between two attempts, and seconds of them, at the end of a campaign whose tracker was failing.
LAST_PAUSE, LAST_PATIENCE = 0.2, 3.0
#: Seconds between two looks at the machine.
LOOK = 10.0

Job = Callable[["Ledger"], None]


class MlflowDiary:
    """A watcher that keeps MLflow up to date. Calls return at once and never raise.

    uri: MLflow's tracking address. artifacts: folder for what is attached to runs; None leaves the place to a server.
    environment: facts of this machine and checkout (`commit`, `clean`), for MLflow's source tags.
    patience: seconds that `close` waits while nothing gets written, before it gives up.

    After `close`, `summary` is a line for the terminal, empty when everything is written. Telling all events to
    another diary later completes the tracker, with no run twice.
    """

    def __init__(
        self,
        uri: str,
        artifacts: Path | None = None,
        environment: Mapping[str, Any] | None = None,
        patience: float = 30.0,
    ) -> None:
        self._uri = uri
        self._artifacts = artifacts
        self._source = source_tags(environment or {})
        self._patience = patience
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._unfinished: dict[str, Entry] = {}
        # Of these, what this session works on: a cell of theirs has ended.
        self._under_way: dict[str, Entry] = {}
        self._machine: Machine | None = None
        self._looked = time.monotonic()
        self._ledger: Ledger | None = None
        self._closing = threading.Event()
        self._given_up = threading.Event()
        # The campaign's thread alone counts what is asked, and the diary's alone writes the others. `_turned` is when
        # something was last written, or when the tracker began to fail.
        self._asked = 0
        self._done = 0
        self.failing = ""
        """Why the latest attempt failed, in one line; empty while all is well."""
        self._refusal = ""
        self._turned = time.monotonic()
        # A daemon: a tracker that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._work, name="diary", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        try:
            self._note(event)
        except Exception as error:  # a mistake of ours in making a page must not end anybody's campaign
            self._asked += 1
            self._refusal = self._refusal or line_of(error)

    def _note(self, event: Event) -> None:
        # Pages are made here, so that what waits for a slow tracker holds no embeddings; a record is small as it is.
        if isinstance(event, EntryStarted):
            self._unfinished[event.entry.key] = event.entry
            self._ask(lambda ledger: ledger.open(event.entry))
        elif isinstance(event, CellDone):
            if event.fresh:
                self._under_way[event.entry.key] = event.entry
        elif isinstance(event, TrialDone):
            self._write(event.entry, trial_page(event))
        elif isinstance(event, RepetitionDone):
            self._write(event.entry, repetition_page(event))
        elif isinstance(event, EntryDone):
            self._unfinished.pop(event.entry.key, None)
            self._under_way.pop(event.entry.key, None)
            self._ask(lambda ledger: ledger.write(event.entry, study_page(event)))
        elif isinstance(event, EntryDrawn):
            self._ask(lambda ledger: ledger.show(event.entry, event.page))

    def _write(self, entry: Entry, page: Page) -> None:
        self._ask(lambda ledger: ledger.write(entry, page))

    def _ask(self, job: Job) -> None:
        self._asked += 1
        self._jobs.put(job)

    def close(self) -> None:
        """Wait until all is written, as long as something gets written; then leave the tracker alone."""
        for entry in self._unfinished.values():
            self._ask(lambda ledger, entry=entry: ledger.leave(entry))  # type: ignore[misc]
        self._unfinished.clear()
        self._closing.set()
        self._jobs.put(None)
        closed = time.monotonic()
        while self._thread.is_alive():
            patience = min(LAST_PATIENCE, self._patience) if self.failing else self._patience
            if time.monotonic() - max(closed, self._turned) > patience:
                break
            self._thread.join(0.1)
        self._given_up.set()

    @property
    def missing(self) -> int:
        """How many of the noted events are not in the tracker."""
        return self._asked - self._done

    @property
    def summary(self) -> str:
        """One line for the terminal after `close`; empty when everything is written."""
        if not self.missing:
            return ""
        why = self._refusal or self.failing or "no answer"
        return (
            f"{self.missing} of {self._asked} notes could not be written to MLflow at {without_password(self._uri)} "
            f"({why}). The results are whole all the same; `run_benchmark.py sync` completes the diary"
        )

    # -- the diary's own thread --------------------------------------------------------------------------------------

    def _work(self) -> None:
        pause = PAUSE
        while not self._given_up.is_set():
            job = self._next()
            if job is None:
                if self._jobs.empty():
                    return
                self._jobs.put(None)  # what failed stands behind the mark of the end and has one more chance
            elif self._try(job):
                pause = PAUSE
            else:
                self._rest(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _next(self) -> Job | None:
        """The next job, waited for; while the campaign goes on, the machine is looked at in between."""
        while not self._closing.is_set() and not self.failing:
            wait = self._looked + LOOK - time.monotonic()
            if wait <= 0:
                self._look()
                continue
            with suppress(queue.Empty):
                return self._jobs.get(timeout=wait)
        return self._jobs.get()

    def _look(self) -> None:
        """Look at the machine, and note what it does on the runs of the entries that are under way.

        What cannot be noted is dropped: the next minute has values of its own.
        """
        self._looked = time.monotonic()
        under_way = list(self._under_way.values())
        if self._ledger is None or not under_way:
            return
        try:
            if self._machine is None:
                from harness.campaign.tracking.machine import Machine

                self._machine = Machine()
            if values := self._machine.sample():
                for entry in under_way:
                    self._ledger.note_machine(entry, values)
        except Exception:  # no value of the results is lost by it
            self._ledger.forget()

    def _rest(self, pause: float) -> None:
        """Wait before the next attempt, less long once the campaign has ended."""
        if self._closing.is_set():
            self._given_up.wait(LAST_PAUSE)
        else:
            self._closing.wait(pause)

    def _try(self, job: Job) -> bool:
        """Do one job; False when the tracker failed and the job stands in line again."""
        try:
            job(self._reach())
        except RefusedError as error:
            self._refusal = self._refusal or line_of(error)
            return True
        except Exception as error:
            # Whatever a tracker raises: the campaign goes on, what is missing is counted.
            if not self.failing:
                self._turned = time.monotonic()
            self.failing = line_of(error)
            self._jobs.put(job)
            if self._ledger is not None:
                self._ledger.forget()
            return False
        self._done += 1
        self.failing = ""
        self._turned = time.monotonic()
        return True

    def _reach(self) -> Ledger:
        if self._ledger is None:
            # Imported here: mlflow takes seconds, which are the diary's own; without it a campaign runs all the same.
            from harness.campaign.tracking.ledger import Ledger

            self._ledger = Ledger(self._uri, self._artifacts, self._source)
        return self._ledger


def line_of(error: BaseException) -> str:
    """An error's kind and its first line, as it may be shown."""
    return without_password(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:300])
