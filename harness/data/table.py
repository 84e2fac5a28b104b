"""Anybody's own images by a list: `table:FILE.csv` with columns path, label[, split][, role].

The tables of open-metric-learning are read too: is_query and is_gallery say the role there.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.data.folder import own_name
from harness.data.layout import Listed, halves, image_set, nearest
from harness.data.pictures import Files
from harness.dataset import Dataset, DatasetSource, ImageSet
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
BOXES = ("x_1", "x_2", "y_1", "y_2")


@dataclass(frozen=True)
class _Row:
    image: Listed[Path]
    split: str
    roles: frozenset[str]


def load(root: Path | None, partial: bool) -> Dataset:
    """The images of a table. Paths are relative to its folder, or absolute.

    split: development (train) or test (validation), one a class; without the column the classes are sorted by name
        and halved. role: of test images, query, gallery or both; without it every test image is both.
    """
    if root is None:
        raise RequestError("table: say which, as table:FILE.csv")
    rows = _rows(root)
    development, test = _classes(rows, root)
    images = [row.image for row in rows]
    queries, gallery = _test(root, rows, test)
    dataset = Dataset(
        name="table",
        title=f"{root.stem} ({len(development) + len(test)} classes, {len(images):,} images)",
        development=image_set(development, [row.image for row in rows if row.split != "test"], Files),
        test=queries,
        gallery=gallery,
        recall_at=(1, 2, 4, 8),
        default_protocol="reality_check",
    )
    return replace(dataset, name=own_name("table", root.stem, dataset.split))


def _classes(rows: list[_Row], table: Path) -> tuple[list[str], list[str]]:
    if all(not row.split for row in rows):
        return halves(sorted({row.image.label for row in rows}))
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
        return image_set(classes, [row.image for row in chosen], Files), None
    if kinds != {ROLES["query"], ROLES["gallery"]}:
        raise RequestError(
            f"table:{table}: a test image must be query or gallery, or else every test image must be both; "
            "a gallery that shares some of the queries is not supported"
        )
    queries, gallery = ([row.image for row in chosen if role in row.roles] for role in ("query", "gallery"))
    return image_set(classes, queries, Files), image_set(classes, gallery, Files)


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
        raise RequestError(f"table:{table}: no rows")
    seen: set[str] = set()
    for row in rows:
        if row.image.image_id in seen:
            raise RequestError(f"table:{table}: {row.image.image_id} stands in it twice")
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
    if any((fields.get(box) or "").strip() for box in BOXES):
        raise refuse("boxes (x_1, ...) are not applied; cut the images and drop those columns")
    split = (fields.get("split") or "").strip().lower()
    if split and split not in SPLITS:
        raise refuse(f"split {split!r}, expected development (train) or test (validation)")
    split = SPLITS.get(split, "")
    roles = ROLES["both"] if split == "development" else _roles(fields)
    if roles is None:
        raise refuse("role must be query, gallery or both (or is_query, is_gallery true or false)")
    return _Row(Listed(label, path, table.parent / path), split, roles)


def _roles(fields: Mapping[str, str | None]) -> frozenset[str] | None:
    """What a test image serves as; None when the words are not known."""
    flags = {role: (fields.get(f"is_{role}") or "").strip().lower() for role in ("query", "gallery")}
    if any(flags.values()):
        if set(flags.values()) <= {"true", "false", "1", "0"} and {"true", "1"} & set(flags.values()):
            return frozenset(role for role, flag in flags.items() if flag in ("true", "1"))
        return None
    return ROLES.get((fields.get("role") or "").strip().lower())


SOURCE = DatasetSource(title=TITLE, load=load, own_place=True)
