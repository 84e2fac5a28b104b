"""Thumbnails: the images that the records of one board show, kept once beside them in `pictures.npz`.

Only of datasets whose terms let their images be passed on. An image is known by its place in the split, so what many
methods show is kept once, and whoever finishes first has written it for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from PIL import Image

from harness.errors import RequestError
from harness.files import read_npz, write_npz

Pixels = npt.NDArray[np.uint8]

#: Side of a kept thumbnail, in pixels.
SIDE = 32
FILE = "pictures.npz"


def picture_id(split: str, role: str, position: int) -> str:
    """The name of an image among the thumbnails: its split's hash, its role (`test`, `gallery`), its position there."""
    return f"{split[:12]}/{role}/{position}"


def thumbnail(image: Pixels, side: int) -> Pixels:
    """An image (H, W, 3) as (side, side, 3): shrunk or grown to fit, on white."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = image if size == (width, height) else np.asarray(Image.fromarray(image).resize(size))
    drawn = np.full((side, side, 3), 255, dtype=np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    drawn[top : top + size[1], left : left + size[0]] = small
    return drawn


def read_thumbnails(folder: Path) -> dict[str, Pixels]:
    """(SIDE, SIDE, 3) thumbnails by `picture_id`, of the records in `folder`; empty where none are kept.

    Raises RequestError naming a file that cannot be read.
    """
    file = folder / FILE
    if not file.exists():
        return {}
    try:
        arrays = read_npz(file)
        if arrays["images"].shape[1:] != (SIDE, SIDE, 3) or arrays["images"].dtype != np.uint8:
            raise ValueError(f"its images are no {SIDE} x {SIDE} pixels")
        return dict(zip(arrays["ids"].tolist(), arrays["images"], strict=True))
    except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
        raise RequestError(f"{file}: cannot be read ({error}); remove it and run an entry again") from None


def add_thumbnails(folder: Path, found: Mapping[str, Pixels], lock: Path) -> None:
    """Add thumbnails to those of `folder`; the file is replaced whole, and only when there is something new.

    A file that a crash has damaged is made anew, without the thumbnails of other entries.
    lock: a file that keeps two commands from writing over each other.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        try:
            kept = read_thumbnails(folder)
        except RequestError:
            kept = {}
        if found.keys() <= kept.keys():
            return
        together = kept | dict(found)
        ids = sorted(together)
        images = np.stack([together[name] for name in ids])
        write_npz(folder / FILE, {"ids": np.array(ids), "images": images})
