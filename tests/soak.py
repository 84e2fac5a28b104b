"""A soak: 2,000 real small cells in one campaign. The memory and the open files of its processes must stay flat.

`make soak` runs it, in about ten minutes on two cores. Every 50 cells it notes the resident memory and the open file
handles of the driver and of its two workers, and the bytes of MLflow's database, of what is attached there and of the
cell store; it prints a table, and the path of a figure. CELLS in the environment says about how many cells.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import psutil
import pytest
from matplotlib.figure import Figure
from tabulate import tabulate

from harness.campaign.events import CellDone, Event, Watchers
from harness.campaign.executors import ProcessExecutor
from harness.campaign.jobs import Workplace
from harness.campaign.tracking import MlflowDiary
from harness.discovery import load_protocol
from tests.small import few_glyphs
from tests.test_campaign import make_rig

CELLS = int(os.environ.get("CELLS", "2000"))
EVERY = 50
WORKERS = 2
#: Cheap methods with something to search; a complete entry of each is 218 cells.
METHODS = (
    "contrastive", "triplet", "nca", "ms", "ntxent", "lifted", "npair", "supcon", "snr_contrastive", "circle",
)  # fmt: skip
ENTRY = 218
#: Growth between the second and the last quarter that is no noise: of memory, and of open files.
GROWTH, HANDLES = 0.03, 2
MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Note:
    """What the processes hold after so many cells; sizes in bytes, workers' in the order of their process ids."""

    cells: int
    seconds: float
    driver: int
    workers: tuple[int, ...]
    handles: tuple[int, ...]
    diary: int
    attached: int
    store: int
    waiting: int


class Notes:
    """A watcher that takes a note every EVERY cells."""

    def __init__(self, work: Path, diary: MlflowDiary) -> None:
        self.work, self.diary = work, diary
        self.cells, self.begun = 0, time.monotonic()
        self.notes: list[Note] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, CellDone) and event.fresh:
            self.cells += 1
            if self.cells % EVERY == 0:
                self.notes.append(self._note())

    def _note(self) -> Note:
        driver = psutil.Process()
        workers = sorted(
            (p for p in driver.children() if "spawn_main" in " ".join(p.cmdline())), key=lambda p: p.pid
        )
        gc.collect()
        return Note(
            self.cells,
            time.monotonic() - self.begun,
            driver.memory_info().rss,
            tuple(p.memory_info().rss for p in workers),
            tuple(p.num_fds() for p in (driver, *workers)),
            size(self.work / "mlflow.db"),
            size(self.work / "mlflow-artifacts"),
            size(self.work / "cells"),
            self.diary.missing,
        )

    def close(self) -> None: ...


def size(place: Path) -> int:
    """Bytes of a file or of all files of a folder; 0 where it is not there yet."""
    files = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files)


def test_memory_and_open_files_stay_flat_over_thousands_of_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protocol = dataclasses.replace(
        load_protocol("smoke"),
        epoch_steps=2,
        epochs=1,
        folds=4,
        trials=50,
        repetitions=2,
        published_repetitions=0,
    )
    methods = METHODS[: max(1, -(-CELLS // ENTRY))]
    rig = make_rig(few_glyphs(), protocol, methods, tmp_path / "results", tmp_path / "cache")
    work = rig.campaign.places.work
    work.mkdir(parents=True)
    diary = MlflowDiary(f"sqlite:///{work / 'mlflow.db'}", work / "mlflow-artifacts")
    notes = Notes(work, diary)
    watchers = Watchers([notes, diary])
    executor = ProcessExecutor(Workplace(rig.bench, rig.campaign.places.cells), WORKERS)
    try:
        records = rig.campaign.run(rig.campaign.entries(), rig.test, executor, watchers)
    finally:
        executor.stop()
        watchers.close()
    assert not watchers.faults and diary.summary == ""
    assert {record.status for record in records} == {"complete"}
    figure = draw(notes.notes, Path(tempfile.mkdtemp(prefix="soak-")) / "soak.svg")
    with capsys.disabled():
        print(f"\n{table(notes.notes)}\n{per_cell(work, notes.cells)}\nfigure: {figure}")
    assert notes.cells >= 0.9 * CELLS
    demand_flat(notes.notes)


def demand_flat(notes: Sequence[Note]) -> None:
    """The last quarter holds no more than the second one: in the first, libraries are loaded and pools are filled."""
    quarter = len(notes) // 4
    early, late = notes[quarter : 2 * quarter], notes[-quarter:]
    assert all(len(note.workers) == WORKERS for note in (*early, *late)), "no worker died"
    for name, memory in series(notes):
        before, after = (statistics.median(memory[note.cells] for note in part) for part in (early, late))
        assert after <= (1 + GROWTH) * before, f"{name}: {before / MIB:.1f} MiB became {after / MIB:.1f}"
    for process in range(1 + WORKERS):
        before, after = (statistics.median(note.handles[process] for note in part) for part in (early, late))
        assert after <= before + HANDLES, f"process {process}: {before} open files became {after}"


def series(notes: Sequence[Note]) -> list[tuple[str, dict[int, int]]]:
    """The memory of each process by the number of cells."""
    workers = [
        (f"worker {i + 1}", {n.cells: n.workers[i] for n in notes if len(n.workers) > i})
        for i in range(WORKERS)
    ]
    return [("driver", {n.cells: n.driver for n in notes}), *workers]


def table(notes: Sequence[Note]) -> str:
    rows = [
        [
            n.cells,
            round(n.seconds),
            *(f"{m / MIB:.1f}" for m in (n.driver, *n.workers)),
            *n.handles,
            *(f"{m / MIB:.2f}" for m in (n.diary, n.attached, n.store)),
            n.waiting,
        ]
        for n in notes
    ]
    workers = [f"worker {i + 1}" for i in range(WORKERS)]
    heads = ["cells", "s", *(f"{name} MiB" for name in ("driver", *workers))]
    heads += [
        *(f"{name} files" for name in ("driver", *workers)),
        "mlflow.db MiB",
        "attached MiB",
        "cells MiB",
    ]
    return tabulate(rows, [*heads, "notes waiting"])


def per_cell(work: Path, cells: int) -> str:
    parts = (("mlflow.db", "mlflow.db"), ("attached to runs", "mlflow-artifacts"), ("cell store", "cells"))
    sizes = ", ".join(f"{name} {size(work / place) / cells:.0f}" for name, place in parts)
    return f"bytes a cell at the end, {cells} cells: {sizes}"


def draw(notes: Sequence[Note], file: Path) -> Path:
    """Memory and open files over cells, as an SVG figure."""
    matplotlib.rcParams["svg.hashsalt"] = "soak"
    figure = Figure(figsize=(7, 6), layout="constrained")
    memory, handles = figure.subplots(2, 1, sharex=True)
    for process, (name, values) in enumerate(series(notes)):
        memory.plot(list(values), [value / MIB for value in values.values()], label=name)
        files = [(n.cells, n.handles[process]) for n in notes if len(n.handles) > process]
        handles.plot(*zip(*files, strict=True), label=name)
    memory.set(ylabel="resident memory, MiB", ylim=(0, None))
    handles.set(ylabel="open files", xlabel="cells done", ylim=(0, None))
    memory.legend()
    figure.savefig(file)
    return file
