"""The image store: every image decoded and resized once, in one memory-mapped buffer that processes share.

A store is a folder in the cache, named by the contents of its images and by their geometry: what was decoded
once is found again wherever the files moved to, and never confused with other files of the same names.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from PIL import Image

from harness.data.contents import Progress, content_hashes, each
from harness.dataset import Pictures
from harness.errors import RequestError

#: Raised by hand when decoding or resizing changes, so that stores of the old kind are not opened.
STORE_VERSION = 1

#: Bytes of a store that a process keeps mapped in.
RESIDENT = 2**28

#: Bytes that Linux maps in around those that were asked for.
AROUND = 2**16

#: What to do where there is no room.
OTHERWISE = "name another disk with --cache DIR, or keep no decoded images with --cache none, which is slower"

PIXELS, INDEX, FACTS = "pixels.u8", "index.npz", "store.json"


class Pages:
    """A file mapped copy-on-write. What was looked at is given back now and then: it stays in the system's cache for as
    long as there is room, but is no memory of this process any more.
    """

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self.map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
        self.resident = 0

    def touched(self, size: int) -> None:
        """So many bytes are about to be looked at. What views see does not change."""
        self.resident += size + AROUND
        if self.resident > RESIDENT and hasattr(mmap, "MADV_DONTNEED"):
            self.map.madvise(mmap.MADV_DONTNEED)
            self.resident = size + AROUND


@dataclass(frozen=True, eq=False)
class ImageStore:
    """N images, decoded. It pickles as its path: a worker maps the same pages.

    buffer: (bytes,) uint8, all images one after another, each (height, width, 3) RGB in C order. Mapped
        copy-on-write: never written to by us, but writable, as torch.from_numpy demands.
    offsets: (N,) int64, where each image begins. heights, widths: (N,) int64, in pixels.
    digest: sha256 of geometry and pixels.
    """

    path: Path
    digest: str
    buffer: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    heights: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int64]
    pages: Pages

    @classmethod
    def open(cls, path: Path) -> ImageStore:
        """The store in a folder that `build_store` made, in milliseconds; pixels are read when used."""
        facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
        with np.load(path / INDEX, allow_pickle=False) as index:
            heights, widths = index["heights"], index["widths"]
        sizes = heights * widths * 3
        pages = Pages(path / PIXELS)
        return cls(
            path=path,
            digest=facts["digest"],
            buffer=np.frombuffer(pages.map, dtype=np.uint8),
            offsets=np.cumsum(sizes) - sizes,
            heights=heights,
            widths=widths,
            pages=pages,
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return ImageStore.open, (self.path,)

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """One image, a (H, W, 3) uint8 RGB view of the buffer."""
        height, width, start = int(self.heights[index]), int(self.widths[index]), int(self.offsets[index])
        self.pages.touched(3 * height * width)
        return self.buffer[start : start + 3 * height * width].reshape(height, width, 3)


def build_store(
    pictures: Pictures,
    resize: int,
    cache: Path,
    progress: Progress | None = None,
    *,
    square: bool = False,
    workers: int | None = None,
) -> ImageStore:
    """The store of these images, built unless it is in the cache already.

    resize: short side in pixels, up or down, aspect kept; with `square` both sides, the image squeezed.
    progress: called with (images done, images in all) while it is built.
    workers: threads that decode; None takes one a core. They do not change the result.
    Raises RequestError that names the images that cannot be decoded, or says that the disk is too small.
    """
    if not len(pictures):
        raise RequestError("no images to store")
    path = cache / "images" / store_key(content_hashes(pictures, cache, workers), resize, square)
    if not (path / FACTS).exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may be building the same one: it is waited for, not repeated.
        with FileLock(f"{path}.lock"):
            if not (path / FACTS).exists():
                _build(pictures, resize, square, path, progress, workers)
    return ImageStore.open(path)


def resized(image: npt.NDArray[np.uint8], resize: int, square: bool) -> npt.NDArray[np.uint8]:
    """An image (H, W, 3) with its short side, or with `square` both sides, exactly `resize` pixels long.

    Pillow's bilinear filter, whose support grows when it shrinks an image (antialiasing); the long side is
    rounded down, as torchvision's Resize does.
    """
    height, width = image.shape[:2]
    short = min(height, width)
    size = (resize, resize) if square else (resize * width // short, resize * height // short)
    if size == (width, height):
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def store_key(contents: list[str], resize: int, square: bool) -> str:
    """What a store is called: the contents of its images, in order, and their geometry."""
    words = (*contents, f"resize {resize}", f"square {square}", f"version {STORE_VERSION}")
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


# Everything is written and fsynced under another name, then renamed: a folder of the final name is whole.
def _build(
    pictures: Pictures, resize: int, square: bool, path: Path, progress: Progress | None, workers: int | None
) -> None:
    unfinished = path.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # a killed build's; we hold the lock
    _demand_space(len(pictures), resize, path.parent)
    unfinished.mkdir()
    images = each(
        lambda index: resized(pictures.read(index), resize, square), len(pictures), workers, progress
    )
    try:
        _write(images, unfinished)
    except OSError as error:
        raise RequestError(
            f"{path.parent}: the image store cannot be written ({error.strerror}); {OTHERWISE}"
        ) from error
    finally:
        if not (unfinished / FACTS).exists():
            shutil.rmtree(unfinished, ignore_errors=True)
    os.replace(unfinished, path)
    _sync_folder(path.parent)


def _write(images: Iterator[npt.NDArray[np.uint8]], folder: Path) -> None:
    digest = hashlib.sha256()
    shapes: list[tuple[int, int]] = []
    with (folder / PIXELS).open("wb") as pixels:
        for image in images:
            data = np.ascontiguousarray(image)
            digest.update(f"{data.shape[0]}x{data.shape[1]}\n".encode())
            digest.update(data.data)
            pixels.write(data.data)
            shapes.append((data.shape[0], data.shape[1]))
        _sync(pixels)
    heights, widths = np.array(shapes, dtype=np.int64).T
    with (folder / INDEX).open("wb") as index:
        np.savez(index, heights=heights, widths=widths)
        _sync(index)
    with (folder / FACTS).open("w", encoding="utf-8") as facts:
        json.dump({"version": STORE_VERSION, "digest": digest.hexdigest(), "images": len(shapes)}, facts)
        _sync(facts)


def _demand_space(images: int, resize: int, folder: Path) -> None:
    # Photographs are about 1.4 times as long as they are short; less cannot be known before decoding.
    expected = int(images * resize * resize * 3 * 1.4)
    free = shutil.disk_usage(folder).free
    if expected > free:
        raise RequestError(
            f"{folder}: {images:,} images of {resize} pixels need about {expected / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free; {OTHERWISE}"
        )


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
