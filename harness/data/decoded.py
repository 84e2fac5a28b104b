"""Images decoded whenever they are looked at: for a disk that cannot hold them decoded (`--cache none`)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.contents import Progress, content_hashes, each
from harness.data.store import resized, store_key
from harness.dataset import Pictures
from harness.errors import RequestError
from harness.files import replace_file


@dataclass(frozen=True, eq=False)
class DecodedImages:
    """N images as an `ImageStore` would hold them, pixel for pixel, but held nowhere. A value that can be pickled.

    resize, square: as for `build_store`. heights, widths: (N,) int64, in pixels, after resizing.
    digest: sha256 of geometry and contents.
    """

    pictures: Pictures
    resize: int
    square: bool
    heights: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int64]
    digest: str

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def buffer(self) -> npt.NDArray[np.uint8]:
        """Nothing: there is no memory that holds all images one after another."""
        return np.empty(0, dtype=np.uint8)

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """One image, (H, W, 3) uint8 RGB. Raises RequestError when its file was broken or taken away meanwhile."""
        image = resized(self.pictures.read(index), self.resize, self.square)
        return np.require(image, requirements="W")  # as torch.from_numpy demands


def decode_when_seen(
    pictures: Pictures,
    resize: int,
    cache: Path,
    progress: Progress | None = None,
    *,
    square: bool = False,
    workers: int | None = None,
) -> DecodedImages:
    """These images for a disk that is too small for `build_store`, whose arguments these are.

    All are decoded once to learn their sizes, and so that a broken one is named before the first training; the sizes
    are remembered in the cache (16 bytes an image).
    """
    if not len(pictures):
        raise RequestError("no images to look at")
    key = store_key(content_hashes(pictures, cache, workers), resize, square)
    file = cache / "sizes" / f"{key}.npz"
    if not file.exists():
        shapes = each(
            lambda index: resized(pictures.read(index), resize, square).shape[:2],
            len(pictures),
            workers,
            progress,
        )
        sizes = np.array(list(shapes), dtype=np.int64)
        file.parent.mkdir(parents=True, exist_ok=True)
        packed = io.BytesIO()
        np.savez(packed, sizes=sizes)
        replace_file(file, packed.getvalue())
    with np.load(file, allow_pickle=False) as known:
        heights, widths = known["sizes"].T
    return DecodedImages(pictures, resize, square, heights, widths, f"decoded-{key}")
