"""Anybody's own images by a list: `table:FILE.csv` with columns path, label[, split][, role].

The tables of open-metric-learning are read too: is_query and is_gallery say the role there, and x_1, x_2, y_1, y_2 cut
the image. `table:FILE.csv#seed=3` shuffles the classes before they are halved, where the table has no split.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.data.layout import Listed, demand_inside, image_set, nearest
from harness.data.own import alone, named, place_and_seed, two_halves
from harness.data.pictures import Boxes, Files
from harness.dataset import Dataset, DatasetSource, ImageSet, Pictures
from harness.errors import MissingError, RequestError

TITLE = "A table of your own images (path, label, optional split and role)"
SPLITS = {
    "development": "development", "dev": "development", "train": "development", "trainval": "development",
    "test": "test", "validation": "test", "val": "test",
}  # fmt: skip
ROLES = {
    "query": frozenset({"query"}),
    "gallery": frozenset({"gallery"}),
    "both": frozenset({"query", "gallery"}),
    "": frozenset({"query", "gallery"}),
}
BOX = ("x_1", "y_1", "x_2", "y_2")

#: How tables say yes and no; a column of them with gaps is written as numbers.
YES, NO = frozenset({"true", "1", "1.0"}), frozenset({"false", "0", "0.0", ""})

#: Where an image lies, and its part if it is not whole.
Place = tuple[Path, tuple[int, int, int, int] | None]


@dataclass(frozen=True)
class _Row:
    image: Listed[Place]
    split: str
    roles: frozenset[str]


def load(root: Path | None, partial: bool) -> Dataset:
    """The images of a table. Paths are relative to its folder or absolute, and lie inside it.

    split: development (train) or test (validation), one a class; without the column the classes are halved by name or
        by a seed. role: of test images, query, gallery or both; without it every test image is both. A class with one
        image stays: nothing can be found for it, but it stands in the way of the others.
    """
    if root is None:
        raise RequestError("table: say which, as table:FILE.csv")
    root, seed = place_and_seed(root)
    rows = _rows(root)
    development, test = _classes(rows, root, seed)
    images = [row.image for row in rows]
    demand_inside(root.parent, [image.place[0] for image in images])
    single = alone(Counter(image.label for image in images).values())
    queries, gallery = _test(root, rows, test)
    dataset = Dataset(
        name="table",
        title=f"{root.stem} ({len(development) + len(test)} classes{single}, {len(images):,} images)",
        development=image_set(development, [row.image for row in rows if row.split != "test"], _pictures),
        test=queries,
        gallery=gallery,
        recall_at=(1, 2, 4, 8),
        default_protocol="reality_check",
    )
    return named("table", root.stem, dataset, f"table:{root}")


def _pictures(places: tuple[Place, ...]) -> Pictures:
    files = Files(tuple(path for path, _ in places))
    boxes = tuple(box for _, box in places)
    return Boxes(files, boxes) if any(boxes) else files


def _classes(rows: list[_Row], table: Path, seed: int | None) -> tuple[list[str], list[str]]:
    if all(not row.split for row in rows):
        return two_halves({row.image.label for row in rows}, seed)
    if seed is not None:
        raise RequestError(
            f"table:{table} says itself how it is split; leave out #seed={seed}, or the column split"
        )
    development, test = (
        sorted({r.image.label for r in rows if r.split == s}) for s in ("development", "test")
    )
    if shared := sorted(set(development) & set(test)):
        raise RequestError(
            f"table:{table}: {len(shared)} of {len(test)} test classes are development classes too "
            f"({', '.join(shared[:3])}, ...): scores on them would say nothing about new classes. "
            "Split by class, or leave the column out"
        )
    return development, test


def _test(table: Path, rows: list[_Row], classes: list[str]) -> tuple[ImageSet, ImageSet | None]:
    """The queries, and the gallery where it is apart from them."""
    chosen = [row for row in rows if row.image.label in set(classes)]
    kinds = {row.roles for row in chosen}
    if kinds <= {ROLES["both"]}:
        return image_set(classes, [row.image for row in chosen], _pictures), None
    if kinds != {ROLES["query"], ROLES["gallery"]}:
        raise RequestError(
            f"table:{table}: a test image must be query or gallery, or else every test image must be both; "
            "a gallery that shares some of the queries is not supported"
        )
    queries, gallery = ([row.image for row in chosen if role in row.roles] for role in ("query", "gallery"))
    return image_set(classes, queries, _pictures), image_set(classes, gallery, _pictures)


def _rows(table: Path) -> list[_Row]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            if lacking := {"path", "label"} - set(columns):
                raise RequestError(
                    f"table:{table}: no column {' or '.join(sorted(lacking))}; expected path,label[,split][,role], "
                    f"there are {', '.join(columns)}"
                )
            rows = [_row(table, number, fields) for number, fields in enumerate(reader, start=2)]
    except FileNotFoundError as error:
        raise MissingError(f"table:{table}: there is no such file{nearest(table)}") from error
    except IsADirectoryError as error:
        raise RequestError(f"table:{table} is a folder; did you mean folder:{table}?") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"table:{table} cannot be read as CSV in UTF-8: {error}") from error
    _check(table, rows)
    return rows


def _check(table: Path, rows: list[_Row]) -> None:
    if not rows:
        raise RequestError(
            f"table:{table}: no rows; expected one an image below the line path,label[,split][,role]"
        )
    seen: set[str] = set()
    for row in rows:
        if row.image.image_id in seen:
            raise RequestError(
                f"table:{table}: {row.image.image_id} stands in it twice; remove one of the rows"
            )
        seen.add(row.image.image_id)
    if len({bool(row.split) for row in rows}) > 1:
        raise RequestError(
            f"table:{table}: some rows have a split and some have none; fill or drop the column"
        )


def _row(table: Path, number: int, fields: Mapping[str, str | None]) -> _Row:
    def refuse(what: str) -> RequestError:
        return RequestError(f"table:{table}, line {number}: {what}")

    path, label = (fields["path"] or "").strip(), (fields["label"] or "").strip()
    if not path or not label:
        raise refuse("path or label is empty")
    try:
        box = _box(fields)
    except (ValueError, OverflowError):
        raise refuse(f"a box needs four whole numbers {', '.join(BOX)}, or none of them") from None
    split = (fields.get("split") or "").strip().lower()
    if split and split not in SPLITS:
        raise refuse(f"split {split!r}, expected development (train) or test (validation)")
    split = SPLITS.get(split, "")
    roles = ROLES["both"] if split == "development" else _roles(fields)
    if roles is None:
        raise refuse("role must be query, gallery or both (or is_query, is_gallery true or false)")
    image_id = path if box is None else f"{path}[{','.join(map(str, box))}]"
    return _Row(Listed(label, image_id, (table.parent / path, box)), split, roles)


def _box(fields: Mapping[str, str | None]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom. Raises ValueError and OverflowError where they are no whole numbers."""
    texts = [(fields.get(name) or "").strip() for name in BOX]
    if not any(texts):
        return None
    left, top, right, bottom = (int(float(text)) for text in texts)
    return left, top, right, bottom


def _roles(fields: Mapping[str, str | None]) -> frozenset[str] | None:
    """What a test image serves as; None when the words are not known."""
    flags = {role: (fields.get(f"is_{role}") or "").strip().lower() for role in ("query", "gallery")}
    if any(flags.values()):
        if set(flags.values()) <= YES | NO and YES & set(flags.values()):
            return frozenset(role for role, flag in flags.items() if flag in YES)
        return None
    return ROLES.get((fields.get("role") or "").strip().lower())


SOURCE = DatasetSource(title=TITLE, load=load, own_place=True)
