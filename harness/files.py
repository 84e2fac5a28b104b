"""Files that are either the old one or the new one, whole; and arrays from files that may not be whole."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import BenchmarkError


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that at any moment it is either the old one or the new one, whole, even after a crash."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BenchmarkError(
            f"{path} cannot be written: {error.strerror}. Make room or choose another place with --results or "
            "--cache; what was finished is kept, and the same command goes on"
        ) from error


def write_npz(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays by name, compressed, the file replaced whole. Raises ValueError where one needs to be pickled."""
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    replace_file(path, packed.getvalue())


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Every array of a file; nothing is unpickled. On a damaged one zipfile, zlib and numpy each raise their own."""
    # Opened here, because numpy leaves a damaged file open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    for name, array in found.items():
        if not isinstance(array, np.ndarray):  # numpy hands on what is no array as bytes
            raise ValueError(f"{name} is no array")
    return found
