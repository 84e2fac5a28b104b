"""Whether a folder can be written to, asked before anything is started."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from harness.errors import BenchmarkError, RequestError

#: Faults of a disk or of its permissions, rather than of the program.
DISK = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOTDIR,
)


def demand_writable(flag: str, folder: Path) -> None:
    """Raises RequestError, naming the flag, where `folder` is not and cannot become a folder of ours.

    Leaves nothing behind: what is tried is a file without a name, in the folder or in the nearest one that is there.
    """
    place = Path(os.path.abspath(folder))
    while not os.path.lexists(place):
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        at = "" if place == Path(os.path.abspath(folder)) else f" ({place})"
        raise RequestError(
            f"{flag} {folder}: cannot be written to{at}: {error.strerror}; choose another folder with {flag}"
        ) from None


def disk_fault(error: OSError) -> BenchmarkError | None:
    """The error in words where a disk is full or forbids what was tried; None for a fault of another kind."""
    if error.errno not in DISK:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return BenchmarkError(
        f"{where}{error.strerror}. Make room, give access, or choose another place with --results or --cache; what "
        "was finished is kept, and the same command goes on"
    )
