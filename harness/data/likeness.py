"""Near duplicates across roles: images that are not the same to the byte, but the same to the eye or to a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from harness.data.contents import Progress, each
from harness.dataset import Pictures

Vectors = npt.NDArray[np.float32]

#: Side of a thumbnail in pixels.
SIDE = 32

#: Cosine similarities from which on two images count as near duplicates. Measured on CUB at 128 x 128: thumbnails of
#: images saved again as JPEG (quality 20 to 95), brightened or at half the size have 0.986 to 1, the most alike of
#: different ones 0.86 (0.91 on Cars). Features of MobileNetV2 find mirrored images (0.85 to 0.95) and cut ones (a
#: twentieth off each side: 0.86 to 0.95) too; of 2,474 test images 7 have 0.85 to a development image that is another.
THUMBNAIL_THRESHOLD, FEATURE_THRESHOLD = 0.97, 0.87

_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Look:
    """One way to see the images of every role.

    name: `thumbnails of 32 x 32 grey levels`. threshold: cosine similarity that makes two images near duplicates.
    vectors: (N, D) float32 of each role, of length 1 (or 0).
    """

    name: str
    threshold: float
    vectors: Mapping[str, Vectors]


@dataclass(frozen=True)
class Near:
    """An image and the most similar one of another role, by their positions."""

    query: int
    found: int
    similarity: float


def thumbnails(pictures: Pictures, progress: Progress | None = None) -> Vectors:
    """Every image squeezed to SIDE x SIDE grey levels, without its mean and of length 1: (N, SIDE * SIDE).

    Raises RequestError that names the images that cannot be decoded.
    """
    small = each(lambda index: _thumbnail(pictures.read(index)), len(pictures), progress=progress)
    return unit(np.stack(list(small)))


def unit(vectors: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays, so that an image of one colour is like nothing."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def nearest(queries: Vectors, others: Vectors) -> list[Near]:
    """For every query the most similar of the others; blocks, so that no N x N is ever in memory."""
    found: list[Near] = []
    for start in range(0, len(queries), _BLOCK):
        similarity = queries[start : start + _BLOCK] @ others.T
        best = similarity.argmax(axis=1)
        values = similarity[np.arange(len(best)), best]
        found += [
            Near(start + i, int(j), float(s)) for i, (j, s) in enumerate(zip(best, values, strict=True))
        ]
    return found


def near_duplicates(queries: Sequence[Near], threshold: float) -> list[Near]:
    """Those at or above the threshold, the most similar first."""
    return sorted((n for n in queries if n.similarity >= threshold), key=lambda n: (-n.similarity, n.query))


def _thumbnail(image: npt.NDArray[np.uint8]) -> Vectors:
    small = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    grey: Vectors = np.array(small, dtype=np.float32).ravel()
    grey -= grey.mean()
    return grey
