"""What the loaders share: where a dataset may lie, how classes are halved, how a list becomes a set."""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from harness.data.pictures import Files
from harness.dataset import Dataset, ImageSet, Pictures
from harness.errors import MissingError, RequestError

Place = TypeVar("Place")
"""Where one image lies: a path, a member of an archive, a row of an array."""


@dataclass(frozen=True)
class Listed(Generic[Place]):
    """One image as a dataset's lists name it."""

    label: str
    image_id: str
    place: Place


def image_set(
    class_names: Sequence[str],
    images: Iterable[Listed[Place]],
    pictures: Callable[[tuple[Place, ...]], Pictures],
) -> ImageSet:
    """The images of `class_names`, in the order listed. `pictures` makes their source from their places."""
    number = {name: i for i, name in enumerate(class_names)}
    chosen = [image for image in images if image.label in number]
    return ImageSet(
        pictures=pictures(tuple(image.place for image in chosen)),
        labels=np.array([number[image.label] for image in chosen], dtype=np.int64),
        class_names=tuple(class_names),
        image_ids=tuple(image.image_id for image in chosen),
    )


def classes_of(images: Iterable[Listed[Place]]) -> list[str]:
    """The classes that the images are of, sorted."""
    return sorted({image.label for image in images})


def by_hash(class_names: Iterable[str], salt: str = "") -> list[str]:
    """The classes by the sha256 of `salt` and name, so that neighbours (a script, an alphabet) are spread."""
    return sorted(class_names, key=lambda name: hashlib.sha256(f"{salt}{name}".encode()).digest())


def halves(class_names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first half of the classes, rounded down, and the rest."""
    half = len(class_names) // 2
    return list(class_names[:half]), list(class_names[half:])


def find(
    root: Path | None, dataset: str, folders: Sequence[str], marks: Sequence[str], title: str, how: str
) -> Path:
    """The folder that holds a dataset: ROOT, ROOT/<dataset>, ROOT/<official folder> or the latter in the former.

    marks: files or folders of which one must be there. how: where the dataset is to be had, on what terms.
    Raises MissingError when none of the folders is the dataset's, RequestError when two are.
    """
    if root is None:
        raise MissingError(f"{title}: no folder of data is named; use --data DIR or DML_DATA. {how}")
    if not root.is_dir():
        raise MissingError(
            f"{title} is not here: there is no folder {root}{nearest(root)}. {how} "
            "Then name the folder with --data DIR or DML_DATA"
        )
    places = [root, root / dataset, *(base / f for base in (root, root / dataset) for f in folders)]
    hits = {place.resolve(): place for place in places if any((place / mark).exists() for mark in marks)}
    if len(hits) > 1:
        raise RequestError(
            f"{title} is there twice: {' and '.join(map(str, hits.values()))}; name one of them with --data"
        )
    if not hits:
        looked = ", ".join(str(place) for place in dict.fromkeys(places))
        raise MissingError(
            f"{title} is not here: no {' or '.join(marks)} in {looked}. {how} "
            "Then name the folder with --data DIR or DML_DATA"
        )
    return next(iter(hits.values()))


def prepared_root(cache: Path) -> Path:
    """The data root of the datasets that `harness.data.prepare` made ready."""
    return cache / "datasets"


def nearest(path: Path) -> str:
    """The hint for a path that is not there: its nearest neighbour in the same folder, if one is near."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, 1)
    return f"; did you mean {path.parent / near[0]}?" if near else ""


def present(images: Sequence[Listed[Path]]) -> list[Listed[Path]]:
    """Those of the listed images whose files are there."""
    # Each folder is read once, which is faster than asking for every file; so are texts instead of paths.
    places = [os.path.split(image.place) for image in images]
    names = {folder: names_in(Path(folder)) for folder in {folder for folder, _ in places}}
    return [image for image, (folder, name) in zip(images, places, strict=True) if name in names[folder]]


def names_in(folder: Path) -> frozenset[str]:
    """What a folder holds, nothing where there is none. Raises RequestError where it may not be read."""
    try:
        return frozenset(os.listdir(folder))
    except PermissionError as error:
        raise RequestError(f"{folder} cannot be read ({error.strerror})") from error
    except (OSError, ValueError):  # it is not there, or no folder can have this name
        return frozenset()


def demand_inside(root: Path, places: Iterable[Path]) -> None:
    """Refuses images that are not plain files inside `root`: a list or a link from others must not make us read what
    lies elsewhere, and a pipe would be waited for. What is not there is for others to say.
    """
    real = os.path.realpath(root)
    inside: dict[str, bool] = {}
    for place in places:
        folder, name = os.path.split(place)
        try:
            mode = os.lstat(place).st_mode
        except ValueError as error:
            raise RequestError(f"{str(place)!r}: no file can have this name ({error})") from None
        except OSError:
            mode = stat.S_IFREG
        if folder not in inside:
            inside[folder] = _within(real, folder)
        led = stat.S_ISLNK(mode) or name == ".."
        if not inside[folder] or (led and not _within(real, place)):
            raise RequestError(
                f"{place} lies outside {root}, or is a link that leads out of it, and images are read from inside "
                "alone; copy them there, or put what names them into a folder that holds them all"
            )
        if not (led or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise RequestError(f"{place} is a pipe or a device, and no image file; remove it")


def _within(real: str, place: str | Path) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(real)


def whole_or_partial(
    images: Sequence[Listed[Path]], partial: bool, title: str, root: Path
) -> tuple[list[Listed[Path]], bool]:
    """The images that are there, and whether some are absent, which is refused unless `partial`."""
    here = present(images)
    demand_inside(root, [image.place for image in here])
    if absent := len(images) - len(here):
        if not here:
            raise MissingError(
                f"{title}: the lists in {root} are here, but none of their {len(images):,} images"
            )
        if not partial:
            there = {image.image_id for image in here}
            first = next(image.place for image in images if image.image_id not in there)
            raise MissingError(
                f"{title}: {absent:,} of {len(images):,} listed images are absent, the first is {first}. "
                f"Complete the copy in {root}, or accept it as it is with --partial"
            )
    return here, bool(absent)


def official(
    *,
    name: str,
    title: str,
    folder: Path,
    roles: tuple[Sequence[str], Sequence[str]],
    images: Sequence[Listed[Path]],
    expected: tuple[tuple[int, int], tuple[int, int]],
    partial: bool,
    recall_at: tuple[int, ...],
    homepage: str,
    terms: str,
) -> Dataset:
    """A dataset of photographs whose split is published.

    roles: the development and the test classes. expected: the published numbers of classes and of images in each
    role, demanded of a whole copy. In a partial one each class keeps its role, and classes without an image are left
    out.
    """
    here, lacking = whole_or_partial(images, partial, title, folder)
    if not lacking:
        demand(title, roles, here, expected)
    full = {image.label for image in here}
    development, test = (
        image_set([label for label in classes if label in full], here, Files) for classes in roles
    )
    if lacking:
        title += f", partial ({len(full)} classes, {len(here):,} images)"
    return Dataset(
        name=name,
        title=title,
        development=development,
        test=test,
        recall_at=recall_at,
        default_protocol="reality_check",
        partial=lacking,
        homepage=homepage,
        terms=terms,
    )


def demand(
    title: str,
    roles: tuple[Sequence[str], Sequence[str]],
    images: Sequence[Listed[Path]],
    expected: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    """Refuses a copy whose lists do not give the published numbers of classes and images."""
    for role, classes, number, published in zip(("development", "test"), roles, *expected, strict=True):
        members = set(classes)
        found = sum(image.label in members for image in images)
        if (len(members), found) != (number, published):
            raise RequestError(
                f"{title}: the lists name {len(members):,} {role} classes with {found:,} images, published are "
                f"{number:,} and {published:,}; they were changed or cut: fetch them again"
            )
