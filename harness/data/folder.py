"""Anybody's own images: `folder:PATH`, one folder a class, the first half of the classes for development.

`folder:PATH#seed=3` shuffles the classes before they are halved.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from harness.data.layout import Listed, demand_inside, image_set, nearest
from harness.data.own import alone, named, place_and_seed, two_halves
from harness.data.pictures import Files
from harness.dataset import Dataset, DatasetSource
from harness.errors import MissingError, RequestError

TITLE = "A folder of your own images, one folder a class"
ENDINGS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".jp2", ".avif",
})  # fmt: skip


def load(root: Path | None, partial: bool) -> Dataset:
    """The images of a folder. Its classes are halved by name or by a seed; nothing can be partial about it.

    Files are images by their endings, in any case; others and hidden ones are left out. A class with one image stays:
    nothing can be found for it, but it stands in the way of the others.
    """
    if root is None:
        raise RequestError("folder: say which, as folder:PATH")
    root, seed = place_and_seed(root)
    if root.is_file():
        raise RequestError(f"folder:{root} is a file; expected a folder with one folder a class")
    if not root.is_dir():
        raise MissingError(f"folder:{root}: there is no such folder{nearest(root)}")
    classes = _classes(root)
    images = [image for label in classes for image in _images(root, label)]
    demand_inside(root, [image.place for image in images])
    development, test = two_halves(classes, seed)
    name = root.resolve().name
    single = alone(Counter(image.label for image in images).values())
    dataset = Dataset(
        name="folder",
        title=f"{name} ({len(classes)} classes{single}, {len(images):,} images)",
        development=image_set(development, images, Files),
        test=image_set(test, images, Files),
        recall_at=(1, 2, 4, 8),
        default_protocol="reality_check",
    )
    return named("folder", name, dataset, f"folder:{root}")


def _classes(root: Path) -> list[str]:
    entries = _entries(root)
    classes = [entry.name for entry in entries if entry.is_dir()]
    if len(classes) < 2:
        loose = any(is_image(entry) for entry in entries)
        hint = "; the images lie in it directly" if loose else ""
        raise RequestError(f"folder:{root}: {len(classes)} folders in it, expected one a class{hint}")
    return classes


def _images(root: Path, label: str) -> list[Listed[Path]]:
    entries = _entries(root / label)
    if inner := [entry.name for entry in entries if entry.is_dir()]:
        raise RequestError(
            f"folder:{root}: class {label!r} holds a folder, {inner[0]!r}; expected images only. "
            "For a split of your own write a table (table:FILE.csv)"
        )
    images = [entry for entry in entries if is_image(entry)]
    if not images:
        raise RequestError(f"folder:{root}: class {label!r} has no image; remove the folder or fill it")
    return [Listed(label, f"{label}/{image.name}", image) for image in images]


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, hidden things left out, by name. Names become ids in records, so each must be text."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.name[0] != ".")
    except OSError as error:
        raise RequestError(f"{folder} cannot be read ({error.strerror})") from error
    for entry in entries:
        try:
            entry.name.encode()
        except UnicodeEncodeError as error:
            raise RequestError(
                f"{folder}: the name {os.fsencode(entry.name)!r} is not UTF-8; rename it"
            ) from error
    return entries


def is_image(path: Path) -> bool:
    """Whether a file's ending is one of an image."""
    return path.suffix.lower() in ENDINGS


SOURCE = DatasetSource(title=TITLE, load=load, own_place=True)
