"""Chaos in short: damaged files, cut journals, a disk that fills up, two drivers at once. `make chaos` is in full."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.dataset import Dataset
from harness.discovery import load_protocol
from harness.errors import BenchmarkError
from harness.thumbnails import read_thumbnails
from tests.chaos import cut_journals, damage_some
from tests.small import few_glyphs
from tests.test_campaign import Rig, make_rig, numbers


@pytest.fixture(scope="module")
def glyphs() -> Dataset:
    return few_glyphs()


@pytest.fixture(scope="module")
def whole(glyphs: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    """The numbers of an uninterrupted campaign, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return [numbers(record) for record in rig_in(glyphs, folder / "results", folder / "cache").run()], folder


def rig_in(glyphs: Dataset, results: Path, cache: Path) -> Rig:
    protocol = dataclasses.replace(load_protocol("smoke"), epoch_steps=4, epochs=2, trials=4)
    return make_rig(glyphs, protocol, ("ms", "untrained_head"), results, cache)


@pytest.fixture
def chance() -> random.Random:
    """Other damage every time; the seed is printed with a failure."""
    seed = random.randrange(2**31)
    print(f"seed {seed}")
    return random.Random(seed)


def run_until_done(rig: Rig) -> list[dict[str, Any]]:
    """What is found damaged late leaves its entry incomplete; the same command goes on."""
    for _ in range(8):
        records = rig.run()
        if all(record.status == "complete" for record in records):
            return [numbers(record) for record in records]
        assert all("the same command makes it again" in r.why for r in records if r.status != "complete")
    raise AssertionError(records)


@pytest.mark.parametrize("time", range(3))
def test_damaged_files_are_made_again(
    whole: tuple[list[dict[str, Any]], Path],
    glyphs: Dataset,
    tmp_path: Path,
    chance: random.Random,
    time: int,
) -> None:
    records, folder = whole
    shutil.copytree(folder / "results", tmp_path / "results")
    assert damage_some(tmp_path / "results", chance)
    assert run_until_done(rig_in(glyphs, tmp_path / "results", folder / "cache")) == records


def test_a_damaged_file_of_thumbnails_is_made_again(
    whole: tuple[list[dict[str, Any]], Path], glyphs: Dataset, tmp_path: Path
) -> None:
    """All entries of a folder share it, so one entry's crash must not stop the others."""
    records, folder = whole
    shutil.copytree(folder / "results", tmp_path / "results")
    (file,) = (tmp_path / "results" / "records").rglob("pictures.npz")
    pictures = read_thumbnails(file.parent)
    os.truncate(file, file.stat().st_size // 2)
    for record in (tmp_path / "results" / "records").rglob("*.json"):
        record.unlink()
    assert run_until_done(rig_in(glyphs, tmp_path / "results", folder / "cache")) == records
    assert read_thumbnails(file.parent).keys() == pictures.keys()


@pytest.mark.parametrize("time", range(2))
def test_a_journal_cut_in_mid_line_is_gone_on_with(
    whole: tuple[list[dict[str, Any]], Path],
    glyphs: Dataset,
    tmp_path: Path,
    chance: random.Random,
    time: int,
) -> None:
    records, folder = whole
    shutil.copytree(folder / "results", tmp_path / "results")
    cut_journals(tmp_path / "results", chance)
    assert run_until_done(rig_in(glyphs, tmp_path / "results", folder / "cache")) == records


def test_a_disk_that_fills_up_loses_nothing(
    whole: tuple[list[dict[str, Any]], Path], glyphs: Dataset, tmp_path: Path, chance: random.Random,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Each time the disk has room for a few more files, then is full; what was written stays."""
    records, folder = whole
    room: Iterator[int]
    sync = os.fsync

    def full(descriptor: int) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    rig = rig_in(glyphs, tmp_path / "results", folder / "cache")
    for _ in range(3):
        room = iter(range(chance.randrange(9)))
        monkeypatch.setattr("harness.files.os.fsync", full)
        with pytest.raises((BenchmarkError, OSError), match="No space left on device"):
            rig.run()
        monkeypatch.undo()
        assert not list((tmp_path / "results").rglob("*.tmp")), "a file half written is taken away"
    assert run_until_done(rig) == records


def test_two_drivers_at_once_run_nothing_twice(
    whole: tuple[list[dict[str, Any]], Path], glyphs: Dataset, tmp_path: Path
) -> None:
    """Threads here, processes in `make chaos`; the locks are the same."""
    records, folder = whole
    rigs = [rig_in(glyphs, tmp_path / "results", folder / "cache") for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(Rig.run, rigs))
    assert [[numbers(record) for record in made] for made in both] == [records, records]
    assert sorted(rig.fresh > 0 for rig in rigs) == [False, True], "one of them found everything done"
