"""A dataset made ready in the cache: fetched or taken from the user's archives, unpacked, and checked by its loader.

Prepared datasets lie in one folder that is laid out as a data root is, so loaders find them as they find any copy.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from filelock import FileLock

from harness.data.layout import prepared_root
from harness.data.unpacking import is_archive, unpack
from harness.dataset import DatasetSource
from harness.discovery import load_dataset_source
from harness.download import download, wrong
from harness.errors import MissingError, RequestError

#: Told what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


def preparable(name: str) -> DatasetSource:
    """The source of a dataset that comes in archives. Raises RequestError for the others, which need no preparing."""
    source = load_dataset_source(name.partition(":")[0])
    if source.embedded or source.own_place:
        why = "is part of the program" if source.embedded else "reads your own images where they are"
        raise RequestError(f"{name} {why}; there is nothing to prepare")
    if ":" in name:
        raise RequestError(f"{name}: prepared data lie in the cache; write {name.partition(':')[0]}")
    return source


def prepare(name: str, cache: Path, by_hand: Sequence[Path], progress: Progress) -> Path:
    """The dataset's folder in the cache, made from its published archives, or from those that the user has `by_hand`.

    Published archives are checked by their checksums; by whatever way it came, the loader then demands the published
    numbers of classes and images. What it refuses is removed again. Raises MissingError and RequestError.
    """
    source = preparable(name)
    folder = prepared_root(cache) / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if by_hand:
            _make(source, folder, [_checked(file) for file in by_hand], progress)
        elif not folder.is_dir():
            archives = _fetched(name, source, cache / "downloads", progress)
            _make(source, folder, archives, progress)
            for file in archives:
                file.unlink(missing_ok=True)
    return folder


def changed(source: DatasetSource, file: Path) -> str | None:
    """What tells a file of the user's from the published one of that name; None where nothing does."""
    published = {archive.file: archive for archive in source.archives}
    return wrong(file, published[file.name].checksums) if file.name in published else None


def _checked(file: Path) -> Path:
    if not file.is_file():
        raise MissingError(f"--from {file}: there is no such file")
    return file


def _fetched(name: str, source: DatasetSource, folder: Path, progress: Progress) -> list[Path]:
    if not source.archives:
        raise MissingError(
            f"{source.title}: nobody may hand it on, so there is nothing to fetch. Ask for it at {source.homepage} "
            f"({source.terms}), and then `data prepare {name} --from FILE` with every file of it"
        )
    try:
        return [
            download(archive, folder, partial(progress, f"fetching {archive.file}"))
            for archive in source.archives
        ]
    except MissingError as error:
        raise MissingError(
            f"{error}\n  get it by other means ({source.homepage}), then `data prepare {name} --from FILE` with every "
            "file of it"
        ) from None


def _make(source: DatasetSource, folder: Path, files: Sequence[Path], progress: Progress) -> None:
    """Everything happens beside the final place; a folder of the final name is whole."""
    root = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(root, ignore_errors=True)  # of a command that was killed
    inside = root / folder.name
    inside.mkdir(parents=True)
    kept = {archive.file for archive in source.archives if not archive.unpack}
    try:
        for file in files:
            if is_archive(file) and file.name not in kept:
                unpack(file, inside, partial(progress, f"unpacking {file.name}"))
            else:
                _copy(file, inside)
        _take_off_wrapping(inside)
        _demand(source, root, files)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(inside, folder)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _take_off_wrapping(folder: Path) -> None:
    """An archive's outermost folder may have any name: what is in it moves up."""
    while len(inner := [entry for entry in folder.iterdir() if entry.name != "__MACOSX"]) == 1:
        if not inner[0].is_dir():
            return
        aside = folder.with_name("aside")
        inner[0].rename(aside)
        shutil.rmtree(folder)
        aside.rename(folder)


def _demand(source: DatasetSource, root: Path, files: Sequence[Path]) -> None:
    try:
        source.load(root, False)
    except (MissingError, RequestError) as error:
        names = " and ".join(file.name for file in files)
        raise type(error)(f"{source.title} cannot be made of {names}: {error}") from None


def _copy(file: Path, folder: Path) -> None:
    try:
        shutil.copyfile(file, folder / file.name)
    except OSError as error:
        raise RequestError(
            f"{file} cannot be copied into {folder} ({error.strerror}); make room or name another disk with --cache DIR"
        ) from error
