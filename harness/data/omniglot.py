"""Omniglot (Lake et al. 2015): characters of 50 alphabets, each drawn by 20 people; 105 x 105, black on white.

The archives share characters: classes are merged by alphabet and character, so that none is in both roles.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from harness.data.layout import Listed, by_hash, find, halves, image_set
from harness.data.pictures import ZipMembers
from harness.dataset import Archive, Dataset, DatasetSource
from harness.errors import MissingError, RequestError

TITLE = "Omniglot"
HOMEPAGE = "https://github.com/brendenlake/omniglot"
TERMS = "MIT licence"
WHOLE = ("images_background.zip", "images_evaluation.zip")
PARTS = ("images_background_small1.zip", "images_background_small2.zip")
HOW = (
    f"`data prepare omniglot` fetches it ({TERMS}); or get {' and '.join(WHOLE)} from {HOMEPAGE}; they are read as "
    "they are."
)
PLACES = (
    "https://github.com/brendenlake/omniglot/raw/master/python",
    "https://raw.githubusercontent.com/brendenlake/omniglot/master/python",
)
ARCHIVES = (
    Archive(
        file=WHOLE[0],
        addresses=tuple(f"{place}/{WHOLE[0]}" for place in PLACES),
        checksums=("sha256:ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",),
        size=9_464_212,
        unpack=False,
    ),
    Archive(
        file=WHOLE[1],
        addresses=tuple(f"{place}/{WHOLE[1]}" for place in PLACES),
        checksums=("sha256:1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",),
        size=6_462_886,
        unpack=False,
    ),
)
CHARACTERS = 1_623
DRAWINGS = 32_460

_MEMBER = re.compile(r"[^/]+/(?P<alphabet>[^/]+)/(?P<character>character\d+)/(?P<drawing>\d+_\d+\.png)")


def load(root: Path | None, partial: bool) -> Dataset:
    """The dataset from its official archives; any of them, the small ones too, are enough when `partial`.

    The classes are ordered by the sha256 of their names and halved, so that neither half is a few alphabets.
    """
    folder = find(root, "omniglot", (), (*WHOLE, *PARTS), TITLE, HOW)
    archives = [folder / name for name in (*WHOLE, *PARTS) if (folder / name).exists()]
    absent = [name for name in WHOLE if not (folder / name).exists()]
    if absent and not partial:
        raise MissingError(
            f"{TITLE}: {' and '.join(absent)} not in {folder}. {HOW} "
            "Or accept the characters that are there with --partial"
        )
    images = _listed(archives)
    classes = {image.label for image in images}
    if not absent and (len(classes), len(images)) != (CHARACTERS, DRAWINGS):
        raise RequestError(
            f"{TITLE}: {len(classes):,} characters with {len(images):,} drawings in {folder}, published are "
            f"{CHARACTERS:,} and {DRAWINGS:,}; fetch the archives again"
        )
    development, test = halves(by_hash(classes))
    return Dataset(
        name="omniglot",
        title=f"{TITLE}, partial ({len(classes)} characters)" if absent else TITLE,
        development=image_set(development, images, ZipMembers),
        test=image_set(test, images, ZipMembers),
        recall_at=(1, 2, 4, 8),
        default_protocol="omniglot_small",
        partial=bool(absent),
        shareable=True,
        homepage=HOMEPAGE,
        terms=TERMS,
    )


def _listed(archives: list[Path]) -> list[Listed[tuple[Path, str]]]:
    """The drawings of all archives, each once, sorted by alphabet, character and drawing."""
    found: dict[str, Listed[tuple[Path, str]]] = {}
    for archive in archives:
        for name in _names(archive):
            if match := _MEMBER.fullmatch(name):
                label = f"{match['alphabet']}/{match['character']}"
                image_id = f"{label}/{match['drawing']}"
                found.setdefault(image_id, Listed(label, image_id, (archive, name)))
    if not found:
        raise RequestError(
            f"{TITLE}: no drawing in {', '.join(map(str, archives))}; fetch the archives again"
        )
    return [found[image_id] for image_id in sorted(found)]


def _names(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as members:
            return members.namelist()
    except Exception as error:  # zipfile raises more than it says on a damaged archive
        raise RequestError(
            f"{archive}: not a zip archive that can be read ({error}); fetch it again"
        ) from error


SOURCE = DatasetSource(title=TITLE, load=load, homepage=HOMEPAGE, terms=TERMS, archives=ARCHIVES)
