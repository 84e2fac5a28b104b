"""What a board's entries show of its test images: fixed queries, their neighbours, and the sheet of pictures.

Every image that some entry shows has one number on its board. Its picture, where there is one, stands at that number
on the board's sheet, so that pages say which image with one integer.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from harness.publish.rows import Board
from harness.publish.scores import Arrays
from harness.thumbnails import Pixels, picture_id

COLUMNS = 32
#: Photographs of the full site are compressed with loss; drawings of the committed one are not.
QUALITY = 85


@dataclass(frozen=True)
class Shown:
    """Images by their numbers.

    places: (role, position in it) of each. classes: its class. names: its name in the dataset, "" where not recorded.
    queries: numbers of the fixed queries. near: by method, for each query the numbers of its neighbours, nearest first.
    """

    places: tuple[tuple[str, int], ...]
    classes: tuple[int, ...]
    names: tuple[str, ...]
    queries: tuple[int, ...]
    near: Mapping[str, tuple[tuple[int, ...], ...]]

    def right(self, method: str, row: int) -> list[bool]:
        """Which neighbours of the row's query are of its class."""
        own = self.classes[self.queries[row]]
        return [self.classes[number] == own for number in self.near[method][row]]


def shown_of(board: Board) -> Shown | None:
    """What the board's complete entries show; None where no record kept it."""
    told = {
        record.method: board.arrays[record.method]
        for record in board.complete
        if "shown_query" in board.arrays[record.method]
    }
    if not told:
        return None
    queries = next(iter(told.values()))["shown_query"]
    told = {
        method: arrays for method, arrays in told.items() if np.array_equal(arrays["shown_query"], queries)
    }
    known: dict[tuple[str, int], tuple[int, str]] = {}
    gallery = str(next(iter(told.values()))["shown_role"])
    for arrays in told.values():
        known |= _images(arrays, gallery)
    places = sorted(known)
    number = {place: i for i, place in enumerate(places)}
    near = {
        method: tuple(tuple(number[gallery, int(i)] for i in row) for row in arrays["shown_neighbours"])
        for method, arrays in told.items()
    }
    return Shown(
        places=tuple(places),
        classes=tuple(known[place][0] for place in places),
        names=tuple(known[place][1] for place in places),
        queries=tuple(number["test", int(i)] for i in queries),
        near=near,
    )


def _images(arrays: Arrays, gallery: str) -> dict[tuple[str, int], tuple[int, str]]:
    """(class, name) of every image that one entry shows, by its place."""
    found = {}
    for role, positions, classes, names in (
        ("test", "shown_query", "shown_query_class", "shown_query_id"),
        (gallery, "shown_neighbours", "shown_class", "shown_id"),
    ):
        index, labels = arrays[positions].ravel(), arrays[classes].ravel()
        said = arrays[names].ravel() if names in arrays else np.full(len(index), "")
        for position, label, name in zip(index, labels, said, strict=True):
            found[role, int(position)] = (int(label), str(name))
    return found


def sheet(board: Board, shown: Shown) -> tuple[str, bytes] | None:
    """The board's pictures on one sheet, as (file name, content); None where one of them is not at hand."""
    names = [picture_id(board.first.split, *place) for place in shown.places]
    if not all(name in board.thumbnails for name in names):
        return None
    drawn = _grid([board.thumbnails[name] for name in names])
    grey = bool((drawn[..., :1] == drawn).all())
    content = io.BytesIO()
    if grey:
        Image.fromarray(drawn[..., 0]).save(content, "PNG", optimize=True)
    else:
        Image.fromarray(drawn).save(content, "JPEG", quality=QUALITY)
    return ("pictures.png" if grey else "pictures.jpg"), content.getvalue()


def _grid(pictures: Sequence[Pixels]) -> Pixels:
    """Pictures in rows of COLUMNS; the last row is filled up with white."""
    side = pictures[0].shape[0]
    rows = math.ceil(len(pictures) / COLUMNS)
    drawn = np.full((rows * COLUMNS, side, side, 3), 255, dtype=np.uint8)
    drawn[: len(pictures)] = np.stack(pictures)
    return drawn.reshape(rows, COLUMNS, side, side, 3).swapaxes(1, 2).reshape(rows * side, COLUMNS * side, 3)


def same_picture(one: bytes, other: bytes) -> bool:
    """Whether two image files show the same: compressors differ between machines, pixels do not."""
    if one == other:
        return True
    try:
        with Image.open(io.BytesIO(one)) as a, Image.open(io.BytesIO(other)) as b:
            return a.mode == b.mode and a.size == b.size and a.tobytes() == b.tobytes()
    except OSError:
        return False
