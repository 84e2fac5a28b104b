"""Killed at any moment, the same command finishes with the same numbers: real processes, real signals."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from mlflow.tracking import MlflowClient

from tests.chaos_rig import draw_images

ROOT = Path(__file__).parents[1]
METHODS = ("ms", "untrained_head")
#: Seconds after which a command hangs, on a machine that does much else.
PATIENCE = 400
#: How often a blow may come too late.
TRIES = 3
#: Seconds that a command with nothing to train may take beyond the imports.
AT_ONCE = 10
ENVIRONMENT = {
    k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "DML_CACHE", "RAY_ADDRESS")
}


@dataclass(frozen=True)
class Place:
    """The results, the cache and the images of one command."""

    results: Path
    cache: Path
    images: Path
    tracker: str = "none"

    @property
    def command(self) -> list[str]:
        return [
            sys.executable, str(ROOT / "run_benchmark.py"), "--methods", ",".join(METHODS),
            "--dataset", f"folder:{self.images}", "--protocol", "smoke", "--set", "trials=4",
            "--results", str(self.results), "--cache", str(self.cache), "--workers", "2", "--tracker", self.tracker,
        ]  # fmt: skip

    def start(self) -> subprocess.Popen[str]:
        # A session of its own, so that a signal reaches whom it is meant for.
        return subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env=ENVIRONMENT,
        )  # fmt: skip

    def finish(self) -> str:
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def cells(self) -> list[Path]:
        """The finished ones; what is being written has a name that begins with a dot."""
        return [path for path in (self.results / ".work" / "cells").glob("??/*.json") if path.name[0] != "."]

    def numbers(self) -> dict[str, Any]:
        """Every record with its arrays; times and the state of the checkout are no numbers of a method."""
        found: dict[str, Any] = {}
        for path in sorted((self.results / "records").rglob("*.json")):
            record = json.loads(path.read_text())
            trials = [trial for search in record["searches"] for trial in search["trials"]]
            for part in [*record["runs"], *record["published_runs"], *trials]:
                part.pop("seconds")
            for name in ("seconds", "environment", "command"):
                record.pop(name)
            with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
                assert {"class_sums", "published_class_sums", "class_counts"} <= set(arrays.files)
                held = {name: (str(arrays[name].dtype), arrays[name].tolist()) for name in arrays.files}
            # As text, since a number that is not one equals nothing.
            found[path.name] = json.dumps([record, held], sort_keys=True)
        return found


@dataclass(frozen=True)
class Whole:
    """A run that nothing interrupted: its place, its numbers, and how many cells it made."""

    place: Place
    numbers: dict[str, Any]
    cells: int


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    place = Place(folder / "results", folder / "cache", draw_images(folder / "images", "discs"))
    place.finish()
    numbers = place.numbers()
    assert sorted(numbers) == sorted(f"{m}.json" for m in METHODS)
    assert all('"status": "complete"' in record for record in numbers.values())
    return Whole(place, numbers, len(place.cells()))


def test_the_second_identical_command_trains_nothing_and_says_so_at_once(whole: Whole) -> None:
    cells = sorted(whole.place.cells())
    stamps = [cell.stat().st_mtime_ns for cell in cells]
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import harness.cli.commands.run"], check=True, cwd=ROOT)
    imports = time.monotonic() - begun
    begun = time.monotonic()
    said = whole.place.finish()
    assert time.monotonic() - begun < imports + AT_ONCE
    assert said.count("complete already, nothing to train") == len(METHODS)
    # Without the records the cells are enough, and the records come out the same.
    shutil.rmtree(whole.place.results / "records")
    assert "nothing was trained" in whole.place.finish()
    assert [cell.stat().st_mtime_ns for cell in cells] == stamps
    assert whole.place.numbers() == whole.numbers


@pytest.mark.parametrize(
    "blows",
    [("kill a worker",), ("kill the driver", "interrupt the driver", "interrupt the group")],
    ids=["a worker", "the driver"],
)
def test_a_killed_command_goes_on_to_the_same_numbers(
    whole: Whole, tmp_path: Path, blows: Sequence[str]
) -> None:
    place = dataclasses.replace(whole.place, results=tmp_path)
    # Other moments and another order every time; the seed is printed with a failure.
    seed = random.randrange(2**31)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for left, blow in zip(range(len(blows), 0, -1), chance.sample(blows, len(blows)), strict=True):
        done = len(place.cells())
        # Each time some new cells are finished and enough are missing for the blows to come.
        process = started(place, done + chance.randrange(1, max(2, (whole.cells - done) // (left + 1))))
        for _ in range(TRIES):
            if strike(blow, process):
                break
            # The machine was too slow to strike in time: once more, from nothing.
            shutil.rmtree(tmp_path)
            process = started(place, 1)
        else:
            pytest.fail(f"{blow}: the command ended as if nothing had been, {TRIES} times")
        assert blow == "kill a worker" or len(place.cells()) < whole.cells, "it was struck amid its work"
    if "kill a worker" not in blows:
        place.finish()
    assert place.numbers() == whole.numbers


def test_workers_do_not_hear_an_interrupt_before_they_have_begun(whole: Whole, tmp_path: Path) -> None:
    """A terminal's Ctrl-C reaches them while they import, too; it is the driver's business."""
    place = dataclasses.replace(whole.place, results=tmp_path)
    process = place.start()
    wait_for(process, lambda: workers(process))
    for worker in workers(process):
        worker.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "Traceback" not in said and "lost" not in said, said
    assert place.numbers() == whole.numbers


def test_a_diary_of_a_killed_command_is_whole_in_the_end(whole: Whole, tmp_path: Path) -> None:
    """One run of MLflow a study, trial and repetition, however often the command that told it was killed."""
    place = dataclasses.replace(whole.place, results=tmp_path, tracker="mlflow")
    process = started(place, 1)
    database = tmp_path / ".work" / "mlflow.db"
    # From when the first runs may be written; MLflow takes longer to begin than this work takes to end.
    wait_for(process, database.exists)
    strike("kill the driver", process)
    place.finish()
    assert place.numbers() == whole.numbers
    client = MlflowClient(f"sqlite:///{database}")
    (experiment,) = [e.experiment_id for e in client.search_experiments() if e.name.startswith("dml/")]
    runs = client.search_runs([experiment])
    keys = [run.data.tags["dml.key"] for run in runs]
    assert len(keys) == len(set(keys)), "no run is there twice"
    levels = sorted((run.data.tags["dml.method"], run.data.tags["dml.level"]) for run in runs)
    assert levels == [
        *[("ms", "final")] * 3, ("ms", "study"), *[("ms", "trial")] * 4,
        *[("untrained_head", "final")] * 2, ("untrained_head", "study"),
    ]  # fmt: skip
    assert {run.info.status for run in runs} == {"FINISHED"}


def started(place: Place, cells: int) -> subprocess.Popen[str]:
    """The command, running, with so many cells finished."""
    process = place.start()
    wait_for(process, lambda: len(place.cells()) >= cells)
    return process


def wait_for(process: subprocess.Popen[str], condition: Any) -> None:
    """Until the condition holds; the command must not have ended by then."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.01)
    assert process.poll() is None, "there is nothing left to strike"


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def strike(kind: str, process: subprocess.Popen[str]) -> bool:
    """One blow to a running command; returns when it has ended as such a blow should end it. False: it came
    between two jobs, or when all work was done."""
    children = psutil.Process(process.pid).children(recursive=True)
    if kind == "kill a worker":
        workers(process)[0].kill()
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        if "a cell was lost with its worker" not in said:
            return False
    elif kind == "kill the driver":
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    else:
        # `kill -INT` reaches the driver alone, a terminal's Ctrl-C every process.
        interrupt = os.kill if kind == "interrupt the driver" else os.killpg
        interrupt(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE)
        if process.returncode == 0:
            return False
        assert process.returncode == 130, said
        assert "To go on: python run_benchmark.py" in said and "Traceback" not in said
    psutil.wait_procs(children, timeout=60)
    assert not [child for child in children if child.is_running()], "workers end with their driver"
    return True
