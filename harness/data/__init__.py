"""Datasets, by the name that a user gives: `cub`, `glyphs`, `folder:PATH`, `table:FILE.csv`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.data.cut import half
from harness.data.layout import prepared_root
from harness.dataset import Dataset, DatasetSource
from harness.discovery import dataset_names, load_dataset_source
from harness.errors import MissingError, RequestError


def load_dataset(
    name: str, root: Path | None, partial: bool, class_cut: str = "official", cache: Path | None = None
) -> Dataset:
    """The dataset called `name`.

    name: a dataset, or a dataset and its own place: what follows the first colon stands for `root`.
    root: the data root, or None when the user named none.
    partial: whether a copy that lacks some of the listed images is accepted.
    class_cut: `official`, or `half` for the first half of all classes (`harness.data.cut`). The user's own images
        keep the split that they came with.
    cache: where prepared datasets lie, which are taken when the data root holds none.
    Raises RequestError for an unknown name, MissingError for data that are not there.
    """
    kind, colon, place = name.partition(":")
    if colon and not place:
        raise RequestError(f"{name} names no place; write {kind}:PATH")
    if not colon:
        _refuse_path(name)
    source = load_dataset_source(kind)
    if colon and source.embedded:
        raise RequestError(f"{name}: {kind} is part of the program and has no place; write {kind}")
    if colon:
        root = Path(place).expanduser()
    elif source.own_place:
        root = None
    places = [root] if colon or source.own_place or cache is None else [root, prepared_root(cache)]
    dataset = _first(source, places, partial)
    return half(dataset) if class_cut == "half" and not source.own_place else dataset


def _first(source: DatasetSource, places: Sequence[Path | None], partial: bool) -> Dataset:
    """The dataset from the first place that holds it. What the first says of its absence is what the user reads."""
    errors = []
    for place in places:
        try:
            return source.load(place, partial)
        except MissingError as error:
            errors.append(error)
    raise errors[0]


def _refuse_path(name: str) -> None:
    """A path alone is what people type first for their own images."""
    path = Path(name).expanduser()
    if name not in dataset_names() and path.exists():
        own = "folder" if path.is_dir() else "table"
        raise RequestError(f"{name} is a path, not the name of a dataset; did you mean {own}:{name}?")
