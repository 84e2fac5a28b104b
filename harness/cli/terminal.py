"""What a person sees while a campaign runs: bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harness.campaign.events import CellDone, Entry, EntryDone, EntryStarted, Event, RepetitionDone, TrialDone
from harness.campaign.plan import size_of
from harness.protocol_rules import SELECTIONS


@contextmanager
def bytes_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for a download, told bytes done and bytes in all; one plain line where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(what, markup=False, highlight=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def told(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None)

        yield told


class Terminal:
    """A watcher that writes to standard error. One bar an entry, with its best validation score so far.

    A bar's clock goes on while a long training says nothing.
    """

    def __init__(self, entries: Sequence[Entry], console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.plain = not self.console.is_terminal
        self._sizes = {entry.key: sum(size_of(entry)) for entry in entries}
        self._cells: dict[str, set[str]] = {entry.key: set() for entry in entries}
        self._fresh = 0
        self._best: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._preparing: dict[str, TaskID] = {}
        self.progress = Progress(
            TextColumn("{task.description}", table_column=None),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=self.console,
            disable=self.plain,
        )

    def __enter__(self) -> Terminal:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    @property
    def trained(self) -> int:
        """Cells that were done now, rather than found."""
        return self._fresh

    def preparing(self, what: str, done: int, total: int) -> None:
        """A step before the first training: `done` of `total` images."""
        if what not in self._preparing:
            self._preparing[what] = self.progress.add_task(what, total=total, note="")
            if self.plain:
                self.say(f"{what}: {total} images")
        self.progress.update(self._preparing[what], completed=done)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        pass

    def __call__(self, event: Event) -> None:
        if isinstance(event, EntryStarted):
            self._start(event.entry)
        elif isinstance(event, CellDone):
            self._cell(event)
        elif isinstance(event, TrialDone):
            self._trial(event)
        elif isinstance(event, RepetitionDone):
            self._stage(event.entry, f"{event.kind}, seed {event.seed}")
        elif isinstance(event, EntryDone):
            self._end(event)

    def _start(self, entry: Entry) -> None:
        total = self._sizes[entry.key]
        self._tasks[entry.key] = self.progress.add_task(entry.method.name, total=total, note="")
        if self.plain:
            self.say(f"{entry.name}: at most {total} cells")

    def _cell(self, event: CellDone) -> None:
        cells = self._cells[event.entry.key]
        if event.cell.key not in cells:
            cells.add(event.cell.key)
            self._fresh += event.fresh
            self.progress.update(self._tasks[event.entry.key], completed=len(cells))

    def _trial(self, event: TrialDone) -> None:
        key, name = event.entry.key, event.entry.method.name
        if event.score is not None:
            self._best[key] = max(self._best.get(key, 0.0), event.score)
        stage = f"search {event.search + 1} trial {event.number}"
        self._stage(event.entry, stage)
        if self.plain:
            metric = SELECTIONS[event.entry.protocol.selection]
            score = "failed" if event.score is None else f"{metric} {100 * event.score:.2f}"
            done = f"{len(self._cells[key])}/{self._sizes[key]} cells"
            known = ", ".join(filter(None, [f"validation {score}", self._best_words(event.entry)]))
            self.say(f"{name}: {stage}: {known}; {done}")

    def _stage(self, entry: Entry, stage: str) -> None:
        self.progress.update(self._tasks[entry.key], note=f"{self._best_words(entry)}  {stage}".strip())

    def _best_words(self, entry: Entry) -> str:
        """The best validation score so far by the metric that chooses, in percent; "" before the first."""
        if entry.key not in self._best:
            return ""
        return f"best {SELECTIONS[entry.protocol.selection]} {100 * self._best[entry.key]:.2f}"

    def _end(self, event: EntryDone) -> None:
        record = event.record
        # Equal cells are one, so an entry may need fewer than its protocol's arithmetic says.
        done = len(self._cells[event.entry.key])
        if record.status == "complete":
            self.progress.update(self._tasks[event.entry.key], total=done, completed=done)
        self._stage(event.entry, record.status)
        why = f": {record.why}" if record.why else ""
        if self.plain or record.why:
            self.say(f"{event.entry.method.name}: {record.status}{why}")
