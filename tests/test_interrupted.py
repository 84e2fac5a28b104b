"""Killed at any moment, the same command finishes with the same numbers: real processes, real signals."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[1]
METHODS = ("ms", "untrained_head")


def command(results: Path, cache: Path, *more: str) -> list[str]:
    return [
        sys.executable, str(ROOT / "run_benchmark.py"), "--methods", ",".join(METHODS), "--dataset", "glyphs",
        "--protocol", "smoke", "--set", "trials=4", "--results", str(results), "--cache", str(cache), "--workers", "2",
        "--tracker", "none", *more,
    ]  # fmt: skip


def start(results: Path, cache: Path) -> subprocess.Popen[str]:
    # A session of its own, so that a signal reaches the driver alone, as `kill` does.
    return subprocess.Popen(
        command(results, cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(results: Path, cache: Path) -> str:
    done = subprocess.run(command(results, cache), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stderr


def numbers(results: Path) -> dict[str, Any]:
    """Every record's numbers; times and the state of the checkout are not numbers of the method."""
    found = {}
    for path in sorted((results / "records").rglob("*.json")):
        record = json.loads(path.read_text())
        for run in [*record["runs"], *record["published_runs"]]:
            run.pop("seconds")
        for trial in (trial for search in record["searches"] for trial in search["trials"]):
            trial.pop("seconds")
        for name in ("seconds", "environment", "command"):
            record.pop(name)
        found[path.name] = record
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, float]:
    """An uninterrupted run: its numbers, the cache that it filled, and how long its work took."""
    folder = tmp_path_factory.mktemp("whole")
    begun = time.monotonic()
    finish(folder / "results", folder / "cache")
    seconds = time.monotonic() - begun
    records = numbers(folder / "results")
    assert sorted(records) == sorted(f"{m}.json" for m in METHODS)
    assert all(record["status"] == "complete" for record in records.values())
    return records, folder / "cache", seconds


def test_the_second_identical_command_trains_nothing_and_says_so(
    whole: tuple[dict[str, Any], Path, float],
) -> None:
    records, cache, _ = whole
    results = cache.with_name("results")
    cells = sorted((results / ".work" / "cells").rglob("*.json"))
    stamps = [cell.stat().st_mtime_ns for cell in cells]
    assert stamps
    said = finish(results, cache)
    assert said.count("complete already, nothing to train") == len(METHODS)
    # Without the records the cells are enough, and the records come out the same.
    shutil.rmtree(results / "records")
    assert "nothing was trained" in finish(results, cache)
    assert [cell.stat().st_mtime_ns for cell in cells] == stamps
    assert numbers(results) == records


@pytest.mark.parametrize("kind", ["kill the driver", "interrupt the driver", "kill a worker"])
def test_a_killed_command_goes_on_to_the_same_numbers(
    whole: tuple[dict[str, Any], Path, float], tmp_path: Path, kind: str
) -> None:
    records, cache, seconds = whole
    # Other moments every time; the seed is printed with a failure.
    seed = random.randrange(2**31)
    print(f"seed {seed}")
    chance = random.Random(seed)
    moments = [chance.uniform(0.3, 0.95) * seconds for _ in range(1 if kind == "kill a worker" else 2)]
    for moment in moments:
        process = start(tmp_path, cache)
        try:
            process.communicate(timeout=moment)
            continue  # the machine was faster this time
        except subprocess.TimeoutExpired:
            pass
        children = psutil.Process(process.pid).children(recursive=True)
        if kind == "kill a worker":
            _kill_a_worker(children)
            said, _ = process.communicate(timeout=300)
            assert process.returncode == 0, said
        elif kind == "interrupt the driver":
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 130, said
            assert "To go on: python run_benchmark.py" in said
        else:
            process.kill()
            process.communicate()
        psutil.wait_procs(children, timeout=60)
        assert not [child for child in children if child.is_running()], "workers end with their driver"
    finish(tmp_path, cache)
    assert numbers(tmp_path) == records


def _kill_a_worker(children: list[psutil.Process]) -> None:
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    if workers:
        os.kill(workers[0].pid, signal.SIGKILL)
