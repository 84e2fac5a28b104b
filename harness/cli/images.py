"""The images that boards show, from the datasets on this machine: for a site of one's own, not for passing on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.data import load_dataset
from harness.dataset import Dataset
from harness.errors import BenchmarkError
from harness.publish.rows import Board
from harness.publish.shown import shown_of
from harness.record import Record
from harness.thumbnails import Pixels, picture_id, thumbnail

#: Side of a photograph on the site, in pixels.
SIDE = 96


def local_pictures(
    data: Path | None, cache: Path, say: Callable[[str], None]
) -> Callable[[Board], Mapping[str, Pixels]]:
    """Pictures of what a board shows, by `picture_id`; {} with a word of why where its images are not here."""

    def pictures(board: Board) -> Mapping[str, Pixels]:
        shown = shown_of(board)
        if shown is None or all(_name(board, place) in board.thumbnails for place in shown.places):
            return {}
        try:
            dataset = _dataset(board.first, data, cache)
        except BenchmarkError as error:
            say(f"{board.title}: no pictures, its images are not here: {error}")
            return {}
        if dataset.split != board.first.split:
            say(f"{board.title}: no pictures, the images here are not those of the records (another split)")
            return {}
        roles = dataset.roles
        return {
            _name(board, (role, position)): thumbnail(roles[role].pictures.read(position), SIDE)
            for role, position in shown.places
        }

    return pictures


def _name(board: Board, place: tuple[str, int]) -> str:
    return picture_id(board.first.split, *place)


def _dataset(record: Record, data: Path | None, cache: Path) -> Dataset:
    """The dataset of a record, whose command says where the user's own images lie."""
    words = shlex.split(record.command)
    name = words[words.index("--dataset") + 1] if "--dataset" in words[:-1] else record.dataset_name
    cut = str(record.settings.get("class_cut", "official"))
    return load_dataset(name, data, record.partial, cut, cache)
