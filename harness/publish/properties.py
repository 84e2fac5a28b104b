"""Properties of the embeddings beside their scores: geometry, verification of pairs, what compression costs."""

from __future__ import annotations

from collections.abc import Sequence

from harness.publish import words
from harness.publish.rows import Board
from harness.publish.scores import TUNED, Arrays
from harness.publish.tables import Cell, Column, Row, Table, record_title

#: What `harness.campaign.properties` measures: name on the page, whether it is a share shown in percent, and in words.
GEOMETRY = {
    "effective_dimensions": (
        "effective dimensions",
        False,
        "exp of the entropy of the principal components' shares",
    ),
    "spectral_decay": ("spectral decay", False, "0: all directions are used evenly; higher: few are"),
    "density": ("density", False, "distance within classes over distance between class centres"),
    "uniformity": ("uniformity", False, "lower: spread more evenly over the sphere"),
    "auroc": ("pair AUROC", True, "a pair of one class is more alike than a pair of two"),
    "tar": (
        "TAR at FAR 0.1 %",
        True,
        "pairs of one class found where one in a thousand others is let through",
    ),
}


def property_table(board: Board) -> Table | None:
    """One row an entry; None where no record keeps properties."""
    told = [record for record in board.records if "geometry" in board.arrays[record.method]]
    if not told:
        return None
    forms = list(dict.fromkeys(n for r in told for n in _names(board.arrays[r.method], "deployment_names")))
    columns = (
        Column("Method", number=False),
        *(Column(GEOMETRY[name][0], "geometry") for name in list(GEOMETRY)[:4]),
        *(Column(GEOMETRY[name][0], "pairs") for name in list(GEOMETRY)[4:]),
        *(Column(form, "MAP@R as kept in an index", alone=f"MAP@R, {form}") for form in forms),
    )
    rows = tuple(
        Row(r.method, TUNED, (Cell(record_title(r)), *_cells(board.arrays[r.method], forms))) for r in told
    )
    return Table(board.title, columns, rows, property_note(board, board.arrays[told[0].method]))


def _names(arrays: Arrays, name: str) -> list[str]:
    return [str(value) for value in arrays[name]]


def _cells(arrays: Arrays, forms: Sequence[str]) -> list[Cell]:
    geometry = dict(zip(_names(arrays, "geometry_names"), arrays["geometry"].tolist(), strict=True))
    kept = dict(zip(_names(arrays, "deployment_names"), arrays["deployment"][:, 1].tolist(), strict=True))
    cells = []
    for name, (_, share, _) in GEOMETRY.items():
        value = geometry.get(name)
        text = words.percent(value) if share else words.NONE if value is None else f"{value:.2f}"
        cells.append(Cell(text, key=value))
    return cells + [Cell(words.percent(kept.get(form)), key=kept.get(form)) for form in forms]


def property_note(board: Board, arrays: Arrays) -> str:
    """What the numbers are of, and what they compare with."""
    images = int(arrays["deployment_images"])
    meanings = "; ".join(f"{title}: {meaning}" for title, _, meaning in GEOMETRY.values())
    return (
        f"Of one model (first repetition, first fold) on {images} of {board.first.test.images} test images, whole "
        "classes and the same for every method; the smaller gallery makes scores higher than the board's, so compare "
        f"them within this table alone. {meanings}. Components are fitted on those images without labels; int8 and "
        "binary keep 8 and 1 bit a dimension. No interval: one model is no sample."
    )


def property_list(arrays: Arrays) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of one entry's properties; [] where none are kept."""
    if "geometry" not in arrays:
        return []
    forms = _names(arrays, "deployment_names")
    cells = _cells(arrays, forms)
    meanings = [*GEOMETRY.values(), *((f"MAP@R, {form}", True, "the same images") for form in forms)]
    return [(title, cell.text, meaning) for cell, (title, _, meaning) in zip(cells, meanings, strict=True)]
