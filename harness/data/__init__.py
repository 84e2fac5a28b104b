"""Datasets, by the name that a user gives: `cub`, `glyphs`, `folder:PATH`, `table:FILE.csv`."""

from __future__ import annotations

from pathlib import Path

from harness.data.cut import half
from harness.dataset import Dataset
from harness.discovery import dataset_names, load_dataset_source
from harness.errors import RequestError


def load_dataset(name: str, root: Path | None, partial: bool, class_cut: str = "official") -> Dataset:
    """The dataset called `name`.

    name: a dataset, or a dataset and its own place: what follows the first colon stands for `root`.
    root: the data root, or None when the user named none.
    partial: whether a copy that lacks some of the listed images is accepted.
    class_cut: `official`, or `half` for the first half of all classes (`harness.data.cut`).
    Raises RequestError for an unknown name, MissingError for data that are not there.
    """
    kind, colon, place = name.partition(":")
    if colon and not place:
        raise RequestError(f"{name} names no place; write {kind}:PATH")
    # A path alone is what people type first.
    if not colon and kind not in dataset_names() and Path(name).expanduser().exists():
        own = "folder" if Path(name).expanduser().is_dir() else "table"
        raise RequestError(f"{name} is a path, not the name of a dataset; did you mean {own}:{name}?")
    source = load_dataset_source(kind)
    dataset = source.load(Path(place).expanduser() if colon else root, partial)
    return half(dataset) if class_cut == "half" else dataset
