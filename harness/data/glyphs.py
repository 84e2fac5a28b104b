"""Glyphs: letters and digits of five scripts in up to 22 typefaces; embedded, nothing to download.

A class is a character, its images are the character in different faces. `draw_glyphs.py` drew the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.data.layout import Listed, by_hash, halves, image_set
from harness.data.pictures import ArrayPictures
from harness.dataset import Dataset, DatasetSource

TITLE = "Glyphs"
TERMS = "drawn from DejaVu, STIX and Computer Modern typefaces; free to use and to pass on"
FILE = Path(__file__).with_name("glyphs.npz")


def load(root: Path | None, partial: bool) -> Dataset:
    """The dataset. It is part of the program: `root` is not read, and no copy is partial.

    The classes are ordered by the sha256 of their names and halved, so that neither half is one script.
    """
    images = _listed()
    development, test = halves(by_hash({image.label for image in images}))
    return Dataset(
        name="glyphs",
        title=TITLE,
        development=image_set(development, images, _pictures),
        test=image_set(test, images, _pictures),
        recall_at=(1, 2, 4, 8),
        default_protocol="quick",
        shareable=True,
        terms=TERMS,
    )


def _listed() -> list[Listed[int]]:
    with np.load(FILE, allow_pickle=False) as arrays:
        names, typefaces = arrays["names"].tolist(), arrays["typefaces"].tolist()
        drawn = zip(arrays["labels"].tolist(), arrays["faces"].tolist(), strict=True)
        return [
            Listed(names[label], f"{names[label].split()[0]}/{typefaces[face]}", row)
            for row, (label, face) in enumerate(drawn)
        ]


def _pictures(rows: tuple[int, ...]) -> ArrayPictures:
    return ArrayPictures(FILE, "images", rows)


SOURCE = DatasetSource(title=TITLE, load=load, terms=TERMS, embedded=True)
