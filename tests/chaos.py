"""Chaos: a small campaign killed, starved, cut and doubled at random moments comes to an uninterrupted one's records.

`make chaos` runs it in full; `tests/test_chaos.py` holds a short form. MOMENTS in the environment says how many moments
of each kind are tried. Every campaign has a seed, printed with a failure; every kind says at its end what was tried.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.chaos_rig import (
    DATASETS,
    DONE,
    FAILED,
    PATIENCE,
    Place,
    Whole,
    damage,
    make_whole,
    numbers,
    small_disk,
    strike,
)

MOMENTS = int(os.environ.get("MOMENTS", "30"))
#: Blows to one results folder before its command is left alone to finish.
BLOWS = 3


@pytest.fixture(scope="session")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> list[Whole]:
    """One uninterrupted campaign a dataset."""
    return [make_whole(tmp_path_factory.mktemp(dataset), dataset) for dataset in DATASETS]


# -- signals -----------------------------------------------------------------------------------------------------------


def survive(whole: Whole, folder: Path, kind: str, chance: random.Random, more: Sequence[str] = ()) -> int:
    """Blows to one results folder at random moments, then the command alone: its records must be the whole ones.

    Returns how many blows hit a running command.
    """
    place = whole.beside(folder, fresh_cache=chance.random() < 0.3)
    hits = 0
    for _ in range(BLOWS):
        process = place.start(*more)
        try:
            # The blow to a worker waits for workers itself.
            rest = 0.0 if kind == "kill a worker" else chance.uniform(0.15, 1.0) * whole.seconds
            process.communicate(timeout=rest)
        except subprocess.TimeoutExpired:
            hits += strike(process, kind, chance)
        if process.returncode == DONE:
            break
    place.finish()
    assert numbers(place.results) == whole.records
    shutil.rmtree(folder)
    return hits


def survive_many(wholes: Sequence[Whole], folder: Path, kind: str, moments: int, *more: str) -> None:
    hits = campaigns = 0
    while hits < moments:
        seed = random.randrange(2**31)
        print(f"{kind}: seed {seed}")
        chance = random.Random(seed)
        hits += survive(chance.choice(wholes), folder / str(seed), kind, chance, more)
        campaigns += 1
    print(f"{kind} {' '.join(more)}: {hits} moments in {campaigns} campaigns, no failure")


@pytest.mark.parametrize("kind", ["kill the driver", "kill a worker", "interrupt the driver"])
def test_killed_at_any_moment(wholes: Sequence[Whole], tmp_path: Path, kind: str) -> None:
    survive_many(wholes, tmp_path, kind, MOMENTS)


def test_killed_on_ray(wholes: Sequence[Whole], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install -e '.[ray]'")
    survive_many(wholes, tmp_path, "kill the driver", max(2, MOMENTS // 5), "--executor", "ray")


# -- disks and files ---------------------------------------------------------------------------------------------------


def fill_the_disk(whole: Whole, folder: Path, kilobytes: int) -> bool:
    """A campaign on a disk of that size, which is then made larger. Returns whether the disk was too small."""
    with small_disk(folder, kilobytes) as enlarge:
        place = whole.beside(folder)
        process = place.start()
        said, _ = process.communicate(timeout=PATIENCE)
        if process.returncode != DONE:
            assert process.returncode in (1, 2), said
            assert "Traceback" not in said, said
            assert "No space left on device" in said and "--results" in said, said
        enlarge()
        place.finish()
        assert numbers(place.results) == whole.records
    return process.returncode != DONE


def test_a_full_disk(wholes: Sequence[Whole], tmp_path: Path) -> None:
    sizes = np.geomspace(16, 2500, max(MOMENTS // 2, 4)).astype(int)
    full = [fill_the_disk(wholes[n % 2], tmp_path / str(n), int(size)) for n, size in enumerate(sizes)]
    print(f"disks of {sizes[0]} to {sizes[-1]} kB: {sum(full)} of {len(sizes)} were full, no failure")
    assert any(full)


def damage_some(results: Path, chance: random.Random) -> int:
    """Damage one to three files of every kind, as a crash of the machine may leave them. Returns how many.

    Without their records entries are worked off again from cells and journals, so most of those go.
    """
    files = sorted(
        path
        for folder in (results / ".work", results / "records")
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_size
    )
    kinds: dict[str, list[Path]] = {}
    for path in files:
        kinds.setdefault(path.suffix, []).append(path)
    chosen = [p for some in kinds.values() for p in chance.sample(some, min(len(some), chance.randint(1, 3)))]
    for path in chosen:
        print("  ", damage(path, chance))
    for record in sorted((results / "records").rglob("*.json")):
        if chance.random() < 0.7:
            record.unlink()
    return len(chosen)


def damage_and_finish(whole: Whole, folder: Path, chance: random.Random) -> int:
    """Damage files of finished work; the command makes them again. Returns how many."""
    place = whole.beside(folder)
    shutil.copytree(whole.place.results, place.results)
    damaged = damage_some(place.results, chance)
    finish_damaged(place)
    assert numbers(place.results) == whole.records
    shutil.rmtree(folder)
    return damaged


def finish_damaged(place: Place) -> None:
    """Until it is done: what is found damaged late leaves its entry incomplete, and the same command goes on."""
    for _ in range(8):
        process = place.start()
        said, _ = process.communicate(timeout=PATIENCE)
        if process.returncode == DONE:
            return
        assert process.returncode == FAILED and "Traceback" not in said, said
        assert "the same command makes it again" in said, said
    raise AssertionError(said)


def test_damaged_files(wholes: Sequence[Whole], tmp_path: Path) -> None:
    """Cells, arrays, journals, records, remembered commands: truncated, filled with zeros, or gone."""
    damaged = 0
    for number in range(MOMENTS):
        seed = random.randrange(2**31)
        print(f"damage: seed {seed}")
        damaged += damage_and_finish(wholes[number % 2], tmp_path / str(seed), random.Random(seed))
    print(f"{damaged} files damaged in {MOMENTS} campaigns, no failure")


def cut_journals(results: Path, chance: random.Random) -> None:
    """Studies' journals cut anywhere and the last cells gone, as if the machine had crashed in the search."""
    shutil.rmtree(results / "records")
    journals = sorted((results / ".work" / "studies").glob("*.journal"))
    assert journals
    for journal in journals:
        os.truncate(journal, chance.randrange(journal.stat().st_size))
    cells = sorted((results / ".work" / "cells").rglob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    for cell in cells[chance.randrange(len(cells)) :]:
        cell.unlink()


def cut_and_finish(whole: Whole, folder: Path, chance: random.Random) -> None:
    place = whole.beside(folder)
    shutil.copytree(whole.place.results, place.results)
    cut_journals(place.results, chance)
    assert "Traceback" not in place.finish()
    assert numbers(place.results) == whole.records
    shutil.rmtree(folder)


def test_a_journal_cut_anywhere(wholes: Sequence[Whole], tmp_path: Path) -> None:
    for number in range(MOMENTS):
        seed = random.randrange(2**31)
        print(f"journal: seed {seed}")
        cut_and_finish(wholes[number % 2], tmp_path / str(seed), random.Random(seed))
    print(f"journals cut in {MOMENTS} campaigns, no failure")


# -- company -----------------------------------------------------------------------------------------------------------


def run_twice_at_once(whole: Whole, folder: Path, chance: random.Random) -> None:
    """Two identical commands, the first perhaps killed: nothing runs twice, nothing is lost."""
    place = whole.beside(folder)
    first = place.start()
    killed = chance.random() < 0.5
    with contextlib.suppress(subprocess.TimeoutExpired):
        first.communicate(timeout=chance.uniform(0.0, 0.3) * whole.seconds)
    second = place.start()
    if killed:
        try:
            first.communicate(timeout=chance.uniform(0.3, 0.9) * whole.seconds)
        except subprocess.TimeoutExpired:
            first.kill()
    said = [process.communicate(timeout=PATIENCE)[0] for process in (first, second)]
    assert second.returncode == DONE, said
    assert numbers(place.results) == whole.records
    if not killed:
        assert first.returncode == DONE, said
        idle = [text.count("nothing to train") == 2 or "nothing was trained" in text for text in said]
        assert sorted(idle) == [False, True], said
    shutil.rmtree(folder)


def test_two_commands_at_once(wholes: Sequence[Whole], tmp_path: Path) -> None:
    for number in range(MOMENTS):
        seed = random.randrange(2**31)
        print(f"two at once: seed {seed}")
        run_twice_at_once(wholes[number % 2], tmp_path / str(seed), random.Random(seed))
    print(f"two commands at once, {MOMENTS} times, no failure")


def test_the_clock_set_back(wholes: Sequence[Whole], tmp_path: Path) -> None:
    """Killed, and gone on with a clock that says two days ago: nothing here trusts the clock."""
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed (Debian's package of that name)")
    for number in range(max(2, MOMENTS // 5)):
        whole = wholes[number % 2]
        place = whole.beside(tmp_path / str(number))
        process = place.start()
        try:
            process.communicate(timeout=random.uniform(0.4, 0.9) * whole.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        place.finish(before=("faketime", "-m", "-f", "-2d"))
        assert numbers(place.results) == whole.records
