"""Files that are either the old one or the new one, whole."""

from __future__ import annotations

import os
from pathlib import Path

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
