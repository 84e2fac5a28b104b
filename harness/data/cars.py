"""Cars196 (Krause et al. 2013): 16,185 photographs of 196 models of cars, the first 98 models for development."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat

from harness.data.by_class import find_by_class
from harness.data.layout import Listed, find, official
from harness.dataset import Archive, Dataset, DatasetSource
from harness.download import wrong
from harness.errors import MissingError, RequestError

TITLE = "Cars196"
HOMEPAGE = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
TERMS = "for non-commercial research; the photographs belong to their makers"
HOW = (
    f"`data prepare cars` fetches it ({TERMS}). It was published at {HOMEPAGE}: car_ims/ with cars_annos.mat, or "
    "cars_train/, cars_test/ and devkit/."
)
FOLDERS = ("cars196", "stanford_cars", "CARS196", "Cars196")
# The publisher's own addresses have been dead since 2023. A mirror's archive may have been packed again, so its own
# checksum stands beside the publisher's; the annotations are the publisher's to the byte.
MIRROR = "https://huggingface.co/datasets/XiN0919/FGVC/resolve/921e8dce38536cd5982739d85d5e9235d2cb2a76"
PUBLISHER = "https://ai.stanford.edu/~jkrause/car196"
ARCHIVES = (
    Archive(
        file="car_ims.tgz",
        addresses=(f"{MIRROR}/car_ims.tgz", f"{PUBLISHER}/car_ims.tgz"),
        checksums=(
            "sha256:4d96e3e3e892c6b7e4a71959325c7de4804037d27ba5aaf1c756100fd94a5342",
            "md5:d5c8f0aa497503f355e17dc7886c3f14",
        ),
    ),
    Archive(
        file="cars_annos.mat",
        addresses=(f"{MIRROR}/cars_annos.mat", f"{PUBLISHER}/cars_annos.mat"),
        checksums=("md5:b407c6086d669747186bd1d764ff9dbc",),
        size=394_471,
    ),
)
CLASSES = (98, 98)
IMAGES = (8_054, 8_131)


def load(root: Path | None, partial: bool) -> Dataset:
    """The dataset in either official form: `car_ims/` with `cars_annos.mat`, or `cars_train/` and `cars_test/` with
    `devkit/` and `cars_test_annos_withlabels.mat`; or from a copy with one folder a class. The official roles of the
    images play no part, only the classes.
    """
    title = TITLE
    try:
        folder = find(root, "cars", FOLDERS, ("cars_annos.mat", "devkit/cars_meta.mat"), TITLE, HOW)
    except MissingError:
        if (copy := find_by_class(root, ("cars", *FOLDERS), sum(CLASSES))) is None:
            raise
        folder, classes, images = copy.folder, copy.classes, copy.images
        title += " (one folder a class)"
    else:
        joined = (folder / "cars_annos.mat").exists() and (folder / "car_ims").is_dir()
        classes, images = _joined_form(folder) if joined else _devkit_form(folder, partial)
    return official(
        name="cars",
        title=title,
        folder=folder,
        roles=(classes[: CLASSES[0]], classes[CLASSES[0] :]),
        images=images,
        expected=(CLASSES, IMAGES),
        partial=partial,
        recall_at=(1, 2, 4, 8, 16, 32),
        homepage=HOMEPAGE,
        terms=TERMS,
    )


def _joined_form(folder: Path) -> tuple[list[str], list[Listed[Path]]]:
    table = folder / "cars_annos.mat"
    classes = _class_names(table)
    return classes, [
        Listed(label, path, folder / path)
        for path, label in _paths_and_classes(table, "relative_im_path", classes)
    ]


def _devkit_form(folder: Path, partial: bool) -> tuple[list[str], list[Listed[Path]]]:
    classes = _class_names(folder / "devkit" / "cars_meta.mat")
    labels = [("cars_train", folder / "devkit" / "cars_train_annos.mat")]
    test = "cars_test_annos_withlabels.mat"
    found = [place for place in (folder / test, folder / "devkit" / test) if place.exists()]
    if found:
        labels.append(("cars_test", found[0]))
    elif not partial:
        raise MissingError(
            f"{TITLE}: {folder / test} is missing, without which cars_test/ has no labels. {HOW}"
        )
    return classes, [
        Listed(label, f"{part}/{file}", folder / part / file)
        for part, annotations in labels
        for file, label in _paths_and_classes(annotations, "fname", classes)
    ]


def _paths_and_classes(table: Path, column: str, classes: list[str]) -> Iterator[tuple[str, str]]:
    """The path and the class of every row of a table of annotations, which count classes from 1."""
    rows = _matlab(table, "annotations", (column, "class"))
    for path, number in zip(rows[column].ravel(), rows["class"].ravel(), strict=True):
        if not isinstance(path, str) or np.ndim(number) or number not in range(1, len(classes) + 1):
            raise RequestError(f"{table}: a row of annotations names no image or no class; fetch it again")
        yield path, classes[int(number) - 1]


# The number comes first: names alone would not sort in the official order.
def _class_names(file: Path) -> list[str]:
    names = _matlab(file, "class_names").ravel().tolist()
    if not all(isinstance(name, str) for name in names):
        raise RequestError(f"{file}: class_names holds something else than names; fetch it again")
    return [f"{number:03d} {name}" for number, name in enumerate(names, start=1)]


def _matlab(file: Path, variable: str, columns: tuple[str, ...] = ()) -> npt.NDArray[Any]:
    """A variable of a MATLAB file, which must have these columns if it is a table."""
    if not file.exists():
        raise MissingError(f"{TITLE}: {file} is missing. {HOW}")
    try:
        content = _read(file, variable) if _is_published(file) else _read_apart(file, variable)
    except BrokenProcessPool:
        raise RequestError(f"{file}: no MATLAB file: its reader crashed; fetch it again") from None
    except Exception as error:  # scipy, zlib and numpy each raise their own on a damaged file
        raise RequestError(f"{file}: not a MATLAB file that can be read ({error}); fetch it again") from error
    values = content.get(variable)
    if not isinstance(values, np.ndarray) or not set(columns) <= set(values.dtype.names or ()):
        raise RequestError(
            f"{file}: no {variable} with {', '.join(columns) or 'names'} in it; fetch it again"
        )
    return values


def _is_published(file: Path) -> bool:
    published = next(archive.checksums for archive in ARCHIVES if archive.file == "cars_annos.mat")
    return wrong(file, published) is None


def _read_apart(file: Path, variable: str) -> dict[str, Any]:
    """`_read` in a process of its own: scipy's reader of damaged files may end it without a word."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_read, file, variable).result()


def _read(file: Path, variable: str) -> dict[str, Any]:
    return loadmat(file, squeeze_me=True, variable_names=[variable])  # type: ignore[no-any-return]


SOURCE = DatasetSource(title=TITLE, load=load, homepage=HOMEPAGE, terms=TERMS, archives=ARCHIVES)
