"""Cells from strangers: nothing of a foreign file is believed before every field of it has been checked.

Links that lead out of the folder are not followed, nothing is unpickled or unpacked, and a cell whose key is not the
sha256 of what it says it is has no place here.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.functional_validators import AfterValidator

from harness.cell import Cell, CellResult, Measurement, MeasurementResult, Training, TrainingResult
from harness.errors import RequestError
from harness.record import Fraction

#: Bytes of the largest files that are read. Curves take kilobytes; embeddings of 60,000 images at 2,048 columns 0.5 GB.
LARGEST_JSON, LARGEST_ARRAYS = 2**26, 2**32


def _printable(text: str) -> str:
    """Text that may be shown on a terminal: no line breaks, no escape sequences."""
    if not text.isprintable():
        raise ValueError("has characters that cannot be shown")
    return text


Line = Annotated[str, Field(max_length=500), AfterValidator(_printable)]
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Status = Literal["ok", "nan", "failed"]


class _Facts(BaseModel):
    """Base of all that a cell's file says: unknown fields are errors, numbers are finite, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Training(_Facts):
    protocol: Line
    protocol_digest: Sha
    dataset: Line
    split: Sha
    content: Sha
    recall_at: list[Count]
    weights: Sha | Literal[""]
    method: Line
    source: Sha
    values: dict[Line, bool | int | float | Line | None]
    fold: Count
    seed: int
    threads: Annotated[int, Field(ge=1)]


class _Measurement(_Facts):
    trainings: Annotated[list[Sha], Field(min_length=1)]
    role: Line


class _TrainingSeconds(_Facts):
    training: Seconds
    evaluation: Seconds
    total: Seconds


class _TrainingResult(_Facts):
    status: Status
    curve: list[tuple[Count, Fraction]]
    losses: list[tuple[Count, float]]
    best_epoch: Count
    score: Fraction
    validation: dict[Line, Fraction]
    steps: Count
    ended: Line
    seconds: _TrainingSeconds
    device: Line
    error: Line
    traceback: Annotated[str, Field(max_length=100_000)]


class _MeasurementResult(_Facts):
    status: Status
    metrics: dict[Line, Fraction]
    queries: Count
    excluded: Count
    seconds: dict[Line, Seconds]
    error: Line


class _TrainingFile(_Facts):
    kind: Literal["Training"]
    cell: _Training
    result: _TrainingResult


class _MeasurementFile(_Facts):
    kind: Literal["Measurement"]
    cell: _Measurement
    result: _MeasurementResult


_File = Annotated[_TrainingFile | _MeasurementFile, Field(discriminator="kind")]
_FILE: TypeAdapter[_TrainingFile | _MeasurementFile] = TypeAdapter(_File)


def cell_files(results: Path) -> list[Path]:
    """The files of the finished cells under a results folder, in order; whether they are good is not said.

    Raises RequestError where there are none.
    """
    cells = results / ".work" / "cells"
    files = [path for path in sorted(cells.glob("??/*.json")) if not path.name.startswith(".")]
    if not files:
        raise RequestError(
            f"{results}: no finished cells ({cells} holds none); give a results folder that a run has worked in, "
            "with its .work"
        )
    return files


def read_cell(path: Path, results: Path) -> tuple[Cell, CellResult]:
    """The cell in a file under `results` and its result, arrays included.

    Raises RequestError, naming the file and what is wrong with it.
    """
    try:
        content = _FILE.validate_json(_read(path, results, LARGEST_JSON))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RequestError(f"{path}: {where}: {first['msg']}") from None
    cell = _cell(content)
    if path.stem != cell.key or path.parent.name != cell.key[:2]:
        raise RequestError(
            f"{path}: is not what its name says; it was changed, moved, or made by another version of the engine"
        )
    facts = content.result.model_dump()
    if isinstance(content, _TrainingFile):
        facts["curve"], facts["losses"] = tuple(facts["curve"]), tuple(facts["losses"])
        return cell, TrainingResult(**facts)
    arrays = _arrays(path.with_suffix(".npz"), results) if facts["status"] == "ok" else {}
    result = MeasurementResult(arrays=arrays, **facts)
    assert isinstance(cell, Measurement)
    if fault := _fault(cell, result):
        raise RequestError(f"{path}: {fault}")
    return cell, result


def _cell(content: _TrainingFile | _MeasurementFile) -> Cell:
    facts = content.cell.model_dump()
    if isinstance(content, _TrainingFile):
        return Training(**{**facts, "recall_at": tuple(facts["recall_at"])})
    return Measurement(**{**facts, "trainings": tuple(facts["trainings"])})


def _read(path: Path, results: Path, largest: int) -> bytes:
    """A plain file's content; none that lies elsewhere, is no file (a pipe would be waited for), or is too large."""
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(results.resolve()):
            raise RequestError(f"{path}: is a link that leads out of {results}")
        if not real.is_file() or real.stat().st_size > largest:
            raise RequestError(f"{path}: is not a file of at most {largest} bytes")
        return real.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead to each other
        raise RequestError(f"{path}: cannot be read: {error}") from None


def _arrays(path: Path, results: Path) -> dict[str, npt.NDArray[Any]]:
    packed = io.BytesIO(_read(path, results, LARGEST_ARRAYS))
    try:
        with zipfile.ZipFile(packed) as archive:
            # What we write is not compressed; what is could be a thousand times larger than its file.
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise RequestError(f"{path}: is compressed, and cells are not")
        with np.load(packed, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except RequestError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
        raise RequestError(f"{path}: cannot be read ({error})") from None
    if any(not isinstance(a, np.ndarray) or a.dtype.kind not in "fiu" for a in found.values()):
        raise RequestError(f"{path}: holds something else than arrays of numbers")
    return found


def _fault(cell: Measurement, result: MeasurementResult) -> str:
    """What does not fit together in a measurement that ended well; "" where all does."""
    arrays = result.arrays
    if result.status != "ok":
        return ""
    if "total" not in result.seconds or not result.metrics:
        return "says nothing of its time or its metrics"
    for name in ("query", *result.metrics):
        if name not in arrays or arrays[name].shape != (result.queries,):
            return f"{name} is not {result.queries} numbers, one a query"
    query = arrays["query"]
    if query.dtype.kind not in "iu" or (query.size and query.min() < 0):
        return "query holds something else than positions"
    if len(cell.trainings) > 1:
        return ""
    embeddings = arrays.get("embeddings")
    if embeddings is None or embeddings.ndim != 2 or embeddings.dtype != np.float32:
        return "embeddings are not float32 of shape (N, D)"
    return "query lies outside the embeddings" if query.size and query.max() >= len(embeddings) else ""
