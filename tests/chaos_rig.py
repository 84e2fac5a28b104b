"""What the chaos tests share: a small campaign on two datasets, the blows it gets, and disks and files that fail."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[1]
METHODS = "ms,nca"
#: Seconds after which a command hangs.
PATIENCE = 900
DONE, FAILED, INTERRUPTED = 0, 1, 130
#: The user's servers and caches are not for chaos.
USERS = ("MLFLOW_TRACKING_URI", "DML_CACHE", "DML_DATA", "RAY_ADDRESS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in USERS} | {
    "OMP_NUM_THREADS": "1"
}


DATASETS = ("discs", "bars")


def draw_images(folder: Path, shape: str) -> Path:
    """A small dataset: eight classes of coloured shapes, twelve images each."""
    for label in range(8):
        colours = random.Random(f"{shape} {label}")
        chance = random.Random(label)
        for number in range(12):
            image = Image.new("RGB", (40, 32), tuple(colours.randrange(200) for _ in range(3)))
            x, y, size = chance.randrange(16), chance.randrange(12), 6 + 2 * label
            box = (x, y, x + size, y + (size if shape == "discs" else 3))
            draw = ImageDraw.Draw(image)
            (draw.ellipse if shape == "discs" else draw.rectangle)(box, fill="white")
            (folder / f"class{label}").mkdir(parents=True, exist_ok=True)
            image.save(folder / f"class{label}" / f"{number}.png")
    return folder


@dataclass(frozen=True)
class Place:
    """One results folder, the cache and the images."""

    results: Path
    cache: Path
    images: Path

    def command(self, *more: str) -> list[str]:
        return [
            sys.executable, str(ROOT / "run_benchmark.py"), "--methods", METHODS, "--dataset", f"folder:{self.images}",
            "--protocol", "smoke", "--set", "trials=4", "--results", str(self.results), "--cache", str(self.cache),
            "--workers", "2", "--tracker", "none", *more,
        ]  # fmt: skip

    def start(self, *more: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
        # A session of its own, so that a signal reaches whom it is meant for.
        return subprocess.Popen(
            [*before, *self.command(*more)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, env=ENVIRONMENT,
        )  # fmt: skip

    def finish(self, *more: str, before: Sequence[str] = ()) -> str:
        """Run the command to its end, which must be a good one; what it said."""
        process = self.start(*more, before=before)
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == DONE, said
        return said


def numbers(results: Path) -> dict[str, Any]:
    """Every record's numbers and arrays; times and the state of the checkout are not numbers of a method."""
    found: dict[str, Any] = {}
    for path in sorted((results / "records").rglob("*.json")):
        record = json.loads(path.read_text())
        for part in (
            *record["runs"],
            *record["published_runs"],
            *(t for s in record["searches"] for t in s["trials"]),
        ):
            part.pop("seconds")
        for name in ("seconds", "environment", "command"):
            record.pop(name)
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            record["arrays"] = {name: arrays[name].tolist() for name in arrays.files}
        found[str(path.relative_to(results))] = json.loads(json.dumps(record).replace("NaN", '"nan"'))
    return found


@dataclass(frozen=True)
class Whole:
    """An uninterrupted campaign on one dataset: its place, its records' numbers and how long it took."""

    place: Place
    records: dict[str, Any]
    seconds: float

    def beside(self, folder: Path, fresh_cache: bool = False) -> Place:
        return Place(
            folder / "results", folder / "cache" if fresh_cache else self.place.cache, self.place.images
        )


def make_whole(folder: Path, shape: str) -> Whole:
    place = Place(folder / "results", folder / "cache", draw_images(folder / shape, shape))
    place.finish()
    shutil.rmtree(place.results)
    # Timed with a warm cache, as the runs that are cut will be.
    begun = time.monotonic()
    place.finish()
    seconds = time.monotonic() - begun
    records = numbers(place.results)
    assert len(records) == 2 and all(record["status"] == "complete" for record in records.values())
    return Whole(place, records, seconds)


# -- blows -------------------------------------------------------------------------------------------------------------


def strike(process: subprocess.Popen[str], kind: str, chance: random.Random) -> bool:
    """One blow to a running command; returns when it has ended, as such a blow should end it, whether there was
    anything to hit."""
    workers = wait_for_workers(process, chance) if kind == "kill a worker" else []
    children = [] if process.poll() is not None else psutil.Process(process.pid).children(recursive=True)
    if kind == "kill a worker":
        for worker in workers[:1]:
            worker.kill()
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == DONE, said
    elif kind == "interrupt the driver":
        # A terminal's Ctrl-C reaches the workers too; `kill -INT` does not.
        if chance.random() < 0.5:
            process.send_signal(signal.SIGINT)
        else:
            os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=120)
        # It may have been about to end, or not yet have come so far as to hear.
        assert process.returncode in (INTERRUPTED, DONE, -signal.SIGINT), said
        assert process.returncode != INTERRUPTED or "To go on: python run_benchmark.py" in said
    else:
        process.kill()
        process.communicate()
    # Ray's agents take their time.
    _, alive = psutil.wait_procs(children, timeout=240)
    assert not alive, f"workers end with their driver: {alive}"
    return kind != "kill a worker" or bool(workers)


def wait_for_workers(process: subprocess.Popen[str], chance: random.Random) -> list[psutil.Process]:
    """The worker processes of a command in random order, a random while after they began; none where it ends first."""
    waits = chance.uniform(0.0, 8.0)
    while process.poll() is None:
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in children if "spawn_main" in words(child)]
        if workers and waits <= 0:
            return chance.sample(workers, len(workers))
        waits -= 0.1 if workers else 0.0
        time.sleep(0.1)
    return []


def words(process: psutil.Process) -> str:
    """A process's command line; nothing where it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


# -- disks and files ---------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[], None]]:
    """A disk of that size at `folder`; what is yielded makes it large. Skips where mounting is not allowed."""
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs rights that are not here")

    def enlarge() -> None:
        subprocess.run(["mount", "-o", "remount,size=256m", str(folder)], check=True)

    try:
        yield enlarge
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def damage(path: Path, chance: random.Random) -> str:
    """Truncate a file, fill it or a part of it with zeros, or remove it; what was done."""
    content = path.read_bytes()
    at = chance.randrange(len(content) + 1)
    what = chance.choice(["truncated", "zeroed", "zeroed from", "removed"])
    if what == "removed":
        path.unlink()
    else:
        kept = 0 if what == "zeroed" else at
        path.write_bytes(content[:kept] + bytes(0 if what == "truncated" else len(content) - kept))
    return f"{path.name} {what} at {at} of {len(content)}"
