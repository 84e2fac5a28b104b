"""Archives unpacked with suspicion: plain files and folders only, inside the target, and no more than is believable."""

from __future__ import annotations

import errno
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from harness.errors import RequestError

#: Told bytes of the archive that are read, and bytes of the archive.
Progress = Callable[[int, int], None]

#: An archive may hold so many times its own size, or GENEROUS bytes: photographs do not shrink, lists shrink tenfold.
EXPANSION = 20
GENEROUS = 2**30
MEMBERS = 1_000_000

_CHUNK = 1 << 20
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    UnicodeError,
)


def is_archive(file: Path) -> bool:
    """Whether a file is a zip or a tar, packed or not, whatever its name says."""
    return zipfile.is_zipfile(file) or tarfile.is_tarfile(file)


def unpack(archive: Path, folder: Path, progress: Progress | None = None) -> None:
    """The members of a zip or tar in `folder`, which is made.

    Raises RequestError: for a member outside the folder, a link or a device; for more bytes or members than an archive
    of its size can honestly hold, before they are written; for a damaged or locked archive; for a full disk. What was
    written until then stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, folder, progress or _silent)
        else:
            _untar(archive, folder, progress or _silent)
    except _BROKEN as error:
        raise RequestError(f"{archive} is damaged or no archive ({error}); fetch it again") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise RequestError(
                f"{folder}: the disk is full while unpacking {archive.name}; make room or name another disk "
                "with --cache DIR"
            ) from error
        raise RequestError(f"{archive}: cannot be unpacked into {folder} ({error})") from error


class _Allowance:
    """How much an archive may still put on the disk."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.archive = archive
        self.bytes = max(EXPANSION * archive.stat().st_size, GENEROUS)
        self.members = MEMBERS
        self.free = shutil.disk_usage(folder).free

    def take(self, size: int) -> None:
        """Room for one more member of `size` bytes."""
        self.bytes -= size
        self.free -= size
        self.members -= 1
        if min(self.bytes, self.members) < 0:
            packed = self.archive.stat().st_size
            raise RequestError(
                f"{self.archive} is refused: {packed:,} bytes that unpack to more than "
                f"{max(EXPANSION * packed, GENEROUS):,} bytes or {MEMBERS:,} files are no dataset of images"
            )
        if self.free < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def _untar(archive: Path, folder: Path, progress: Progress) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise RequestError("unpacking a tar safely needs Python 3.11.4 or newer")
    allowance, size = _Allowance(archive, folder), archive.stat().st_size
    with archive.open("rb") as packed, tarfile.open(fileobj=packed) as members:
        for member in members:
            if not (member.isfile() or member.isdir()):
                raise _refused(archive, member.name, "is a link or a device")
            _check_name(archive, member.name)
            allowance.take(member.size)
            try:
                members.extract(member, folder, set_attrs=False, filter="data")
            except tarfile.FilterError as error:
                raise _refused(archive, member.name, str(error)) from error
            progress(packed.tell(), size)


def _unzip(archive: Path, folder: Path, progress: Progress) -> None:
    allowance, size, done = _Allowance(archive, folder), archive.stat().st_size, 0
    with zipfile.ZipFile(archive) as members:
        for member in members.infolist():
            _check_name(archive, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _refused(archive, member.filename, "is a link")
            if member.flag_bits & 1:
                raise RequestError(
                    f"{archive} is locked with a password; unpack it yourself and name the folder with --data"
                )
            allowance.take(member.file_size)
            target = folder / member.filename
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with members.open(member) as source, target.open("wb") as file:
                _copy(source, file, member.file_size, archive)
            done += member.compress_size
            progress(done, size)


def _copy(source: IO[bytes], target: IO[bytes], size: int, archive: Path) -> None:
    """Not more bytes than the member said it has: that is what it was let in for."""
    while chunk := source.read(_CHUNK):
        size -= len(chunk)
        if size < 0:
            raise RequestError(f"{archive} is refused: a member is larger than it says; fetch it again")
        target.write(chunk)


def _check_name(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts
    # A drive's letter, another system's separator, and the end of a name to C are no parts of honest names.
    if outside or "\\" in name or ":" in name.partition("/")[0] or "\0" in name:
        raise _refused(archive, name, "lies outside the folder that it is unpacked into")


def _refused(archive: Path, name: str, why: str) -> RequestError:
    return RequestError(f"{archive} is refused: its member {name!r} {why}; nobody packs images so")


def _silent(done: int, total: int) -> None:
    pass
