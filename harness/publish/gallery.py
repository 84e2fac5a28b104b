"""Fixed queries with an entry's nearest neighbours: what it finds, and what it takes for the same."""

from __future__ import annotations

from dataclasses import dataclass

from harness.publish.rows import Board
from harness.publish.shown import Shown
from harness.record import Record


@dataclass(frozen=True)
class Tile:
    """One shown image: its number on the board's sheet, its class, and as a neighbour whether it is right."""

    number: int
    name: str
    right: bool


@dataclass(frozen=True)
class Query:
    """A query and its neighbours, nearest first. words: the same for those who do not see pictures."""

    tile: Tile
    near: tuple[Tile, ...]
    words: str

    @property
    def hit(self) -> bool:
        """Whether the nearest neighbour is right: this query's Recall@1."""
        return bool(self.near) and self.near[0].right


def gallery(board: Board, record: Record, shown: Shown | None) -> list[Query]:
    """An entry's rows of the gallery; [] where its record keeps none."""
    if shown is None or record.method not in shown.near:
        return []
    names = board.first.test_classes
    found = []
    for row, number in enumerate(shown.queries):
        near = tuple(
            Tile(image, names[shown.classes[image]], right)
            for image, right in zip(
                shown.near[record.method][row], shown.right(record.method, row), strict=True
            )
        )
        tile = Tile(number, names[shown.classes[number]], True)
        found.append(Query(tile, near, _words(tile, near)))
    return found


def _words(tile: Tile, near: tuple[Tile, ...]) -> str:
    """`A: 7 of 10 right; wrong: 3 (B), 9 (C)`."""
    wrong = [f"{i} ({other.name})" for i, other in enumerate(near, start=1) if not other.right]
    said = f"{tile.name}: {len(near) - len(wrong)} of {len(near)} neighbours right"
    return f"{said}; wrong: {', '.join(wrong)}" if wrong else said
