"""A campaign: methods on one dataset under one protocol, from settled names to records."""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

import harness
from harness.audit import audit_place, read_audit, write_audit
from harness.campaign.cells import EntryCells, cells_of
from harness.campaign.database import Database, Lock, named_faults
from harness.campaign.entry import EntryWork
from harness.campaign.environment import environment
from harness.campaign.events import CellDone, Entry, EntryDone, EntryStarted, Watcher
from harness.campaign.executors import Executor
from harness.campaign.jobs import Done, Job
from harness.campaign.outcome import Outcome
from harness.campaign.prepare import Progress, Trunk, prepare
from harness.campaign.recording import make_record
from harness.campaign.run import Work, work_off
from harness.campaign.store import CellStore
from harness.campaign.studies import Journals, Studies
from harness.campaign.unsealing import unsealed
from harness.dataset import Dataset
from harness.engine.bench import Bench, TestRoles
from harness.errors import DamagedError, RequestError
from harness.method import Method
from harness.record import Record, place, read_arrays, read_record, write_record


@dataclass(frozen=True)
class Places:
    """Where a campaign keeps things. `work` is ignored by git; records are not.

    sealed: test curves for an audit. commands: the line of every entry that was begun, for `sync`. untold: the entries
    that a diary may not know to their end.
    """

    results: Path

    @property
    def work(self) -> Path:
        return self.results / ".work"

    @property
    def cells(self) -> Path:
        return self.work / "cells"

    @property
    def sealed(self) -> Path:
        return self.work / "sealed"

    @property
    def commands(self) -> Path:
        return self.work / "commands"

    @property
    def studies(self) -> Path:
        return self.work / "studies"

    @property
    def untold(self) -> Path:
        return self.work / "untold"


@dataclass(frozen=True, eq=False)
class Campaign:
    """Entries to be worked on together.

    content: sha256 of the dataset's images as they are stored (`harness.data.contents`).
    audit: whether final trainings at the tuned values also leave sealed test curves (`harness.audit`).
    trunk.protocol is the whole protocol; entries hold it as it is on this dataset.
    deterministic: whether operations that may give other digits in another run are refused.
    database: where the searches are kept, if not in a journal each. It changes no number, so it is in no key.
    """

    dataset: Dataset
    content: str
    trunk: Trunk
    methods: Sequence[Method]
    places: Places
    device: str
    threads: int
    workers: int
    command: str
    plugins: tuple[Path, ...] = ()
    audit: bool = False
    deterministic: bool = False
    database: Database | None = None

    @property
    def studies(self) -> Studies:
        return self.database or Journals(self.places.studies)

    def prepare(
        self, cache: Path, progress: Progress = lambda what, done, all_: None, keep_images: bool = True
    ) -> tuple[Bench, TestRoles]:
        """What its jobs work with: see `harness.campaign.prepare.prepare`."""
        return prepare(
            self.dataset, self.trunk, cache, self.device, self.threads, self.plugins, progress, keep_images=keep_images
        )  # fmt: skip

    def entries(self) -> list[Entry]:
        return [self._entry(method) for method in self.methods]

    def recorded(self, entry: Entry) -> Record | None:
        """The entry's complete record, made by the same code, data and protocol; None where there is none."""
        record = self._written(entry)
        if record is None or record.key != entry.key:
            return None
        return None if self.audit and entry.method.build is not None and not self._audited(entry) else record

    def _audited(self, entry: Entry) -> bool:
        path = audit_place(self.places.results, *entry.slugs)
        try:
            return read_audit(path).key == entry.key
        except RequestError:
            return False

    def _written(self, entry: Entry) -> Record | None:
        """The complete record at the entry's place, whatever made it; None where it is not whole: it is made again."""
        path = place(self.places.results, *entry.slugs)
        try:
            record = read_record(path)
            read_arrays(path)
        except RequestError:
            return None
        return record if record.status == "complete" else None

    def _entry(self, method: Method) -> Entry:
        whole, dataset = self.trunk.protocol, self.dataset
        words = (
            method.name, method.source, dataset.slug, dataset.split, self.content, dataset.recall_at, whole.name,
            whole.digest, self.trunk.sha256, self.threads, harness.NUMERICS,
        )  # fmt: skip
        return Entry(
            key=hashlib.sha256("\n".join(map(str, words)).encode()).hexdigest(),
            method=method,
            protocol=whole.on(dataset.name),
            protocol_digest=whole.digest,
            dataset=dataset.name,
            dataset_slug=dataset.slug,
            dataset_title=dataset.title,
            split=dataset.split,
            content=self.content,
            recall_at=dataset.recall_at,
            development=(len(dataset.development.class_names), len(dataset.development)),
            test=(len(dataset.test.class_names), len(dataset.test)),
            command=self.command.replace("METHOD", shlex.quote(method.name)),
        )

    def run(
        self,
        entries: Sequence[Entry],
        test: TestRoles,
        executor: Executor,
        watcher: Watcher,
        until: float | None = None,
        lost: Callable[[Job, str], None] | None = None,
        waiting: Callable[[Entry], None] | None = None,
        again: bool = False,
    ) -> list[Record]:
        """Work entries off. Returns their records, in the same order.

        until: `time.monotonic()` after which nothing new is started; entries are then incomplete.
        lost: told of a job that a worker or the machine lost, each time it happens.
        waiting: told of an entry that another command is working on; it is waited for.
        again: do cells that failed again instead of taking them as they are.
        """
        records: dict[str, Record] = {}
        # Of the entries that have no record yet: a long campaign does not keep what became of the others.
        outcomes = {entry.key: Outcome() for entry in entries}

        def landed(order: int, job: Job, done: Done) -> None:
            for cell in cells_of(job):
                if cell.key in done:
                    watcher(CellDone(entries[order], cell, done[cell.key], fresh=True))

        ordered = sorted(entries, key=lambda entry: entry.key)
        locks = [lock for entry in ordered for lock in self._locked(entry, waiting)]
        try:
            work = [self._work(entry, outcomes, test, watcher, records, again) for entry in entries]
            if not work_off(work, executor, until, lost, landed):
                self._cut_off(entries, outcomes, test, watcher, records)
        finally:
            for lock in locks:
                lock.release()
        return [records[entry.key] for entry in entries if entry.key in records]

    def _work(
        self,
        entry: Entry,
        outcomes: dict[str, Outcome],
        test: TestRoles,
        watcher: Watcher,
        records: dict[str, Record],
        again: bool,
    ) -> tuple[Work, Callable[[Outcome], None]]:
        watcher(EntryStarted(entry))
        store = CellStore(self.places.cells)
        cells = EntryCells(entry, store, self.trunk.sha256, self.threads, watcher, again)
        work = EntryWork(cells, self.studies, self.places.sealed if self.audit else None)

        def finish(outcome: Outcome) -> None:
            try:
                records[entry.key] = self._record(entry, outcome, test, watcher)
            except DamagedError as error:
                unfinished = Outcome(status="incomplete", why=str(error))
                records[entry.key] = self._record(entry, unfinished, test, watcher)
            del outcomes[entry.key]

        return work.run(test, outcomes[entry.key]), finish

    def _record(self, entry: Entry, outcome: Outcome, test: TestRoles, watcher: Watcher) -> Record:
        """Make the entry's record and write it, unless it says less than the one that is there."""
        record, arrays = make_record(
            entry,
            outcome,
            test,
            CellStore(self.places.cells),
            environment(self.device, self.threads, self.workers, self.deterministic),
            self.trunk,
            self.dataset,
        )
        if record.status == "complete" or self._written(entry) is None:
            write_record(self.places.results, record, arrays)
        if self.audit and record.status == "complete" and entry.method.build is not None:
            write_audit(self.places.results, unsealed(entry, outcome, self.places.sealed))
        watcher(EntryDone(entry, record, arrays))
        return record

    def _cut_off(
        self,
        entries: Sequence[Entry],
        outcomes: Mapping[str, Outcome],
        test: TestRoles,
        watcher: Watcher,
        records: dict[str, Record],
    ) -> None:
        """Time was up: entries that are not finished get a record that says so, with the trials there are."""
        for entry in entries:
            if entry.key not in records:
                outcome = outcomes[entry.key]
                outcome.status = "incomplete"
                outcome.why = "time was up (--max-hours); the same command goes on"
                # Working a complete record off again (--force) must not end with less than there was.
                kept = self.recorded(entry)
                records[entry.key] = kept or self._record(entry, outcome, test, watcher)

    def _locked(self, entry: Entry, waiting: Callable[[Entry], None] | None) -> list[Lock]:
        """The entry's locks, all of them ours: that of the results folder, and that of the database's users."""
        self.places.studies.mkdir(parents=True, exist_ok=True)
        locks: list[Lock] = [FileLock(self.places.studies / f"{entry.key[:24]}.lock")]
        if self.database is not None:
            locks.append(self.database.lock(entry.key))
        with named_faults():
            for lock in locks:
                _acquire(lock, lambda: None if waiting is None else waiting(entry))
        return locks


def _acquire(lock: Lock, waiting: Callable[[], None]) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        while not lock.is_locked:
            # In short waits, so that Ctrl-C is heard.
            try:
                lock.acquire(timeout=1)
            except Timeout:
                time.sleep(0)
