"""Where pixels come from: image files, members of zip archives, rows of an array. Values, safe to pickle."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from harness.data.contents import Stamped
from harness.dataset import Pictures
from harness.errors import RequestError

#: What Pillow's decoders raise on a file that is no image, is cut short or claims an absurd size.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class Files:
    """Image files of any format and colour mode that Pillow reads."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> npt.NDArray[np.uint8]:
        """One image, (H, W, 3) uint8 RGB, turned upright. Raises RequestError naming a broken file."""
        return decode(self.paths[index], str(self.paths[index]))

    def content(self, index: int) -> str:
        """sha256 of the file's bytes."""
        try:
            return hashlib.sha256(self.paths[index].read_bytes()).hexdigest()
        except OSError as error:
            raise RequestError(f"{self.paths[index]}: cannot be read ({error.strerror})") from error

    def stamp(self, index: int) -> str:
        """Place, size and time of change of the file."""
        return _stamp(self.paths[index])


@dataclass(frozen=True)
class Boxes:
    """Parts of image files: left, top, right and bottom in pixels of the upright image; None takes the whole."""

    files: Files
    boxes: tuple[tuple[int, int, int, int] | None, ...]

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> npt.NDArray[np.uint8]:
        """One part, (H, W, 3) uint8 RGB. Raises RequestError naming a broken file, or a box that is not inside it."""
        image, box = self.files.read(index), self.boxes[index]
        if box is None:
            return image
        left, top, right, bottom = box
        height, width = image.shape[:2]
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise RequestError(
                f"{self.files.paths[index]}: no box {box} in an image of {width} x {height} pixels; "
                "mend its row in the table"
            )
        return image[top:bottom, left:right]

    def content(self, index: int) -> str:
        """sha256 of the file's own sha256 and the box."""
        content, box = self.files.content(index), self.boxes[index]
        return content if box is None else hashlib.sha256(f"{content} {box}".encode()).hexdigest()

    def stamp(self, index: int) -> str:
        """Place, size and time of change of the file, and the box."""
        return f"{self.files.stamp(index)}\t{self.boxes[index]}"


@dataclass(frozen=True)
class ZipMembers:
    """Image files inside zip archives, as (archive, name of the member); nothing is unpacked."""

    members: tuple[tuple[Path, str], ...]

    def __len__(self) -> int:
        return len(self.members)

    def read(self, index: int) -> npt.NDArray[np.uint8]:
        """One image, (H, W, 3) uint8 RGB. Raises RequestError naming archive and member when it is broken."""
        archive, name = self.members[index]
        return decode(io.BytesIO(self._bytes(index)), f"{archive}: {name}")

    def content(self, index: int) -> str:
        """sha256 of the member's bytes."""
        return hashlib.sha256(self._bytes(index)).hexdigest()

    def stamp(self, index: int) -> str:
        """Place, size and time of change of the archive, and the member's name."""
        archive, name = self.members[index]
        return f"{_stamp(archive)}\t{name}"

    def _bytes(self, index: int) -> bytes:
        archive, name = self.members[index]
        try:
            return _archive(archive, os.getpid()).read(name)
        except Exception as error:  # zipfile raises more than it says on a damaged archive
            raise RequestError(
                f"{archive}: {name} cannot be read ({error}); fetch the archive again"
            ) from error


# One handle a process: after a fork, two processes on one handle would move each other's place in the file.
@lru_cache(maxsize=8)
def _archive(path: Path, process: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class ArrayPictures:
    """Rows of a (N, H, W) uint8 array of grey levels in an .npz file."""

    file: Path
    key: str
    rows: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> npt.NDArray[np.uint8]:
        """One image, (H, W, 3) uint8 with three equal channels."""
        grey = _array(self.file, self.key)[self.rows[index]]
        return np.repeat(grey[:, :, None], 3, axis=2)

    def content(self, index: int) -> str:
        """sha256 of the row's bytes."""
        return hashlib.sha256(_array(self.file, self.key)[self.rows[index]].tobytes()).hexdigest()


@lru_cache(maxsize=4)
def _array(file: Path, key: str) -> npt.NDArray[np.uint8]:
    with np.load(file, allow_pickle=False) as arrays:
        values: npt.NDArray[np.uint8] = arrays[key]
    return values


@dataclass(frozen=True)
class Selected:
    """Images out of several sources, as (number of the source, index in it)."""

    sources: tuple[Pictures, ...]
    chosen: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.chosen)

    def read(self, index: int) -> npt.NDArray[np.uint8]:
        """One image, (H, W, 3) uint8 RGB, as its source reads it."""
        source, inner = self.chosen[index]
        return self.sources[source].read(inner)

    def content(self, index: int) -> str:
        """sha256 of the image as its source stores it."""
        source, inner = self.chosen[index]
        return self.sources[source].content(inner)

    def stamp(self, index: int) -> str:
        """What the source says of change; a source that says nothing is asked for the content itself."""
        source, inner = self.chosen[index]
        pictures = self.sources[source]
        return pictures.stamp(inner) if isinstance(pictures, Stamped) else pictures.content(inner)


def _stamp(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError:
        return f"{path.absolute()}\tabsent"
    return f"{path.absolute()}\t{facts.st_size}\t{facts.st_mtime_ns}"


def decode(source: Path | BinaryIO, name: str) -> npt.NDArray[np.uint8]:
    """An image file as (H, W, 3) uint8 RGB.

    The camera's orientation (EXIF) is applied. Grey, palette and CMYK images become RGB; transparent parts
    become white; 16-bit grey keeps its upper 8 bits. Raises RequestError that begins with `name`.
    """
    try:
        with Image.open(source) as image:
            image.load()
            return np.asarray(_rgb(ImageOps.exif_transpose(image)))
    except _BROKEN as error:
        raise RequestError(f"{name}: not a readable image ({_reason(source, error)})") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.uint16) >> 8
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    return image.convert("RGB")


def _reason(source: Path | BinaryIO, error: BaseException) -> str:
    if isinstance(source, Path):
        if not source.exists():
            return "no such file"
        if source.stat().st_size == 0:
            return "the file is empty"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "unknown format" if isinstance(error, UnidentifiedImageError) else str(error)
