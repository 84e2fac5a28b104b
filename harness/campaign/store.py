"""The cell store: finished cells by key, on disk. The truth from which an interrupted campaign goes on.

`<root>/<ab>/<key>.json` says how the cell ended; arrays lie beside it as `.npz`, kept weights as `.safetensors`. The
JSON is written last and replaced whole, so a cell is either there or not.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.cell import STATUSES, Cell, CellResult, MeasurementResult, Training, TrainingResult
from harness.errors import DamagedError
from harness.files import read_npz, replace_file


@dataclasses.dataclass(frozen=True)
class CellStore:
    """The cells under one folder. Many processes may read and write it: equal keys hold equal numbers."""

    root: Path

    def path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.json"

    def put(self, cell: Cell, result: CellResult) -> None:
        """Write a finished cell. A `lost` one is never written: it is not finished."""
        if result.status == "lost":
            raise ValueError("a lost cell is not a result")
        path = self.path(cell.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if f.name != "arrays"}
        if isinstance(result, MeasurementResult) and result.arrays:
            packed = io.BytesIO()
            np.savez(packed, allow_pickle=False, **dict(result.arrays))
            replace_file(path.with_suffix(".npz"), packed.getvalue())
        content = {"kind": type(cell).__name__, "cell": dataclasses.asdict(cell), "result": facts}
        replace_file(path, json.dumps(content).encode())

    def get(self, cell: Cell) -> CellResult | None:
        """The result of a cell, without its arrays; None where it is not finished or its files are damaged."""
        path = self.path(cell.key)
        try:
            result = _result(cell, json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            # Cut off or filled with zeros by a crash of the machine: the cell is run again.
            return None
        if isinstance(result, MeasurementResult) and result.status == "ok":
            # A zip file's end says that it is whole.
            return result if zipfile.is_zipfile(path.with_suffix(".npz")) else None
        return result

    def arrays(self, key: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays of a measurement. Raises DamagedError, and forgets the cell, where they cannot be read."""
        file = self.path(key).with_suffix(".npz")
        try:
            return read_npz(file)
        except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
            self.drop(key)
            raise DamagedError(
                f"{file}: cannot be read ({error}); the cell is forgotten, and the same command makes it again"
            ) from None

    def drop(self, key: str) -> None:
        """Forget a cell."""
        self.path(key).unlink(missing_ok=True)
        self.path(key).with_suffix(".npz").unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """Every finished cell's key, in order."""
        for path in sorted(self.root.glob("??/*.json")):
            if not path.name.startswith("."):
                yield path.stem


def _result(cell: Cell, content: dict[str, Any]) -> CellResult | None:
    """The stored result, or None if the file is another cell's or says what no cell says."""
    facts = content["result"]
    if content["kind"] != type(cell).__name__ or facts["status"] not in STATUSES:
        return None
    if isinstance(cell, Training):
        facts["curve"] = tuple((int(e), float(v)) for e, v in facts["curve"])
        facts["losses"] = tuple((int(e), float(v)) for e, v in facts["losses"])
        return TrainingResult(**facts)
    return MeasurementResult(**facts)
