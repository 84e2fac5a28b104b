"""Work of several machines joined: finished cells of other results folders are taken into one store, by their keys.

Equal keys should hold equal numbers. Where they do not, what is there stays and both values are reported. Searches are
not merged: a study asks the same settings again from the cells it finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.campaign.foreign import cell_files, read_cell
from harness.campaign.store import CellStore
from harness.cell import Cell, CellResult, MeasurementResult, Training
from harness.errors import DamagedError, RequestError


@dataclass(frozen=True)
class Difference:
    """One key, other numbers: `values` holds (what, here, there) for all that differs."""

    key: str
    cell: str
    folder: Path
    values: tuple[tuple[str, str, str], ...]


@dataclass
class Merged:
    """What came of a merge: cells taken, cells that were there with equal numbers, cells that differ, and files that
    were not believed, each with the reason."""

    taken: int = 0
    equal: int = 0
    differing: list[Difference] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def merge(folders: Sequence[Path], store: CellStore) -> Merged:
    """Take the cells of other results folders into `store`; nothing that is there is overwritten.

    Raises RequestError where a folder holds no cells, before anything is taken.
    """
    files = [(folder, path) for folder in folders for path in cell_files(folder)]
    merged = Merged()
    for folder, path in files:
        try:
            cell, result = read_cell(path, folder)
        except RequestError as error:
            merged.refused.append(str(error))
            continue
        here = _held(store, cell)
        if here is None:
            store.put(cell, result)
            merged.taken += 1
        elif values := _differing(here, result):
            merged.differing.append(Difference(cell.key, _words(cell), folder, values))
        else:
            merged.equal += 1
    return merged


def _held(store: CellStore, cell: Cell) -> CellResult | None:
    """The store's own result of a cell with its arrays; None where it has none that can be read."""
    result = store.get(cell)
    if not isinstance(result, MeasurementResult) or result.status != "ok":
        return result
    try:
        return replace(result, arrays=store.arrays(cell.key))
    except DamagedError:
        return None


def _differing(here: CellResult, there: CellResult) -> tuple[tuple[str, str, str], ...]:
    """(what, here, there) of every number that differs; of an array the first one."""
    a, b = _numbers(here), _numbers(there)
    found = [(name, str(a.get(name)), str(b.get(name))) for name in {**a, **b} if a.get(name) != b.get(name)]
    c, d = _arrays(here), _arrays(there)
    return (
        *found,
        *(differs for name in sorted(c.keys() & d.keys()) if (differs := _first(name, c[name], d[name]))),
    )


def _numbers(result: CellResult) -> dict[str, Any]:
    """What two makings of one cell must agree on: everything but times, the machine and the words of an error."""
    aside = ("seconds", "device", "error", "traceback", "arrays")
    flat: dict[str, Any] = {}
    for name in (f.name for f in fields(result) if f.name not in aside):
        value = getattr(result, name)
        if isinstance(value, tuple):
            value = dict(value)
        flat |= {f"{name}[{k}]": v for k, v in value.items()} if isinstance(value, Mapping) else {name: value}
    return flat | {f"shape of {name}": array.shape for name, array in _arrays(result).items()}


def _arrays(result: CellResult) -> Mapping[str, npt.NDArray[Any]]:
    return result.arrays if isinstance(result, MeasurementResult) else {}


def _first(name: str, here: npt.NDArray[Any], there: npt.NDArray[Any]) -> tuple[str, str, str] | None:
    """The first place where two arrays of one shape differ; None where they do not."""
    if here.shape != there.shape or np.array_equal(here, there, equal_nan=True):
        return None
    first = np.argwhere((here != there) & ~(np.isnan(here) & np.isnan(there)))[0]
    place = tuple(int(i) for i in first)
    return f"{name}{list(place)}", str(here[place]), str(there[place])


def _words(cell: Cell) -> str:
    if isinstance(cell, Training):
        return f"training of {cell.method} on {cell.dataset} under {cell.protocol}, fold {cell.fold}, seed {cell.seed}"
    return f"{cell.role} measurement of training {', '.join(key[:12] for key in cell.trainings)}"
