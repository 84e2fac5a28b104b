"""The map of an entry's embedding: test images on its two directions of largest variance, one path a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.publish import words
from harness.publish.curves import COLOURS
from harness.publish.rows import Board
from harness.publish.scales import WIDTH

MARGIN = 8.0


@dataclass(frozen=True)
class Cloud:
    """One class's points as an SVG path of dots. colour: its number in the style sheet, None for grey."""

    name: str
    path: str
    colour: int | None


@dataclass(frozen=True)
class Map:
    """Grey clouds first, so that coloured ones lie on top."""

    height: float
    clouds: tuple[Cloud, ...]
    description: str

    @property
    def legend(self) -> list[Cloud]:
        return [cloud for cloud in self.clouds if cloud.colour is not None]


def embedding_map(board: Board, method: str) -> Map | None:
    """The map of a method's first repetition and fold; None where its record keeps none.

    The coloured classes are spread evenly over the map's, the same for every method of the board.
    """
    arrays = board.arrays[method]
    if "map_xy" not in arrays or not len(arrays["map_xy"]):
        return None
    xy, labels = arrays["map_xy"].astype(np.float64), arrays["map_class"]
    low, high = xy.min(axis=0), xy.max(axis=0)
    # One scale for both axes: a distance looks the same in every direction.
    scale = (WIDTH - 2 * MARGIN) / max(float((high - low).max()), 1e-12)
    x = MARGIN + (xy[:, 0] - low[0]) * scale
    y = MARGIN + (high[1] - xy[:, 1]) * scale
    there = np.unique(labels)
    coloured = {int(there[i * len(there) // COLOURS]): i for i in range(min(COLOURS, len(there)))}
    clouds = [
        Cloud(
            board.first.test_classes[label],
            "".join(
                f"M{a:.1f} {b:.1f}h0" for a, b in zip(x[labels == label], y[labels == label], strict=True)
            ),
            coloured.get(int(label)),
        )
        for label in there
    ]
    first, second = arrays["map_share"].tolist()
    said = (
        f"{len(xy)} test images of {len(there)} whole classes on the first two principal components, which hold "
        f"{words.percent(first, 0)} and {words.percent(second, 0)} % of the variance"
    )
    ordered = sorted(clouds, key=lambda cloud: (cloud.colour is not None, cloud.colour or 0))
    return Map(2 * MARGIN + float(high[1] - low[1]) * scale, tuple(ordered), said)
