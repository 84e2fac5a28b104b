"""One file from the network: begun where it was cut, checked by its checksum, from the next address when one fails.

Every fetch of ours goes through here. pooch, the field's library for it, begins anew whenever a connection is cut,
which for archives of gigabytes is no way to arrive; so this asks for the rest of a file (HTTP Range) itself.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import requests

from harness.dataset import Archive
from harness.errors import MissingError, RequestError

#: Told bytes done and bytes in all (0: nobody said).
Progress = Callable[[int, int], None]

#: Seconds without an answer after which an address is given up.
TIMEOUT = 30

#: How often one address may cut the connection without having sent a byte more.
PATIENCE = 3

#: Bytes of the largest file whose size nobody publishes; the largest that is known of these has 2 GB.
LARGEST = 2**33

#: Bytes that a cut connection may cost.
_CHUNK = 1 << 16
_PARTIAL = 206


def download(wanted: Archive, folder: Path, progress: Progress | None = None) -> Path:
    """The wanted file in `folder`, fetched unless a right one is there already.

    A fetch that was cut goes on where it was, in this call and in the next. What comes with a wrong checksum is removed
    and the next address is tried. No more is written than the published size, or `LARGEST` bytes. Raises MissingError
    that names each address and why it failed, RequestError when the disk is full.
    """
    file, unfinished = folder / wanted.file, folder / f"{wanted.file}.unfinished"
    if file.is_file() and wrong(file, wanted.checksums) is None:
        return file
    folder.mkdir(parents=True, exist_ok=True)
    if not wanted.checksums:
        unfinished.unlink(missing_ok=True)  # nothing would tell that its other half is of the same file
    failures = []
    for address in wanted.addresses:
        try:
            _demand_space(wanted, folder, unfinished)
            failure = _from(address, wanted, unfinished, progress)
        except OSError as error:  # the network's faults are told apart in `_from`
            raise _disk(error, folder) from error
        if failure is None:
            unfinished.replace(file)
            return file
        failures.append(f"\n  {address}: {failure}")
    faults = "".join(failures) or "\n  nobody publishes an address"
    raise MissingError(f"{wanted.file} could not be fetched{faults}")


def wrong(file: Path, checksums: Sequence[str]) -> str | None:
    """What is wrong with a file: None when one of the checksums fits, or when there are none."""
    faults = []
    for checksum in checksums:
        name, _, digits = checksum.partition(":")
        found = _digest(file, name)
        if found.startswith(digits):
            return None
        faults.append(f"its {name} is {found}, expected {digits}")
    return "; ".join(faults) or None


def _digest(file: Path, name: str) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, name).hexdigest()


def _from(address: str, wanted: Archive, unfinished: Path, progress: Progress | None) -> str | None:
    """Why this address does not give the file, or None when it did."""
    resumed = unfinished.exists()
    failure = _patiently(address, wanted, unfinished, progress)
    if failure is not None:
        return failure
    if (fault := wrong(unfinished, wanted.checksums)) is None:
        return None
    unfinished.unlink()
    # The parts may be of two different files: only a file in one piece condemns its address.
    return _from(address, wanted, unfinished, progress) if resumed else fault


def _patiently(address: str, wanted: Archive, unfinished: Path, progress: Progress | None) -> str | None:
    idle = 0
    while True:
        before = _size(unfinished)
        try:
            return _ask(address, wanted, unfinished, progress)
        except requests.HTTPError as error:
            return str(error)
        except requests.RequestException as error:
            idle = 0 if _size(unfinished) > before else idle + 1
            if idle == PATIENCE:
                return str(error)


def _ask(address: str, wanted: Archive, unfinished: Path, progress: Progress | None) -> str | None:
    """One request for what is still lacking, written behind what is there."""
    have = _size(unfinished)
    if have and have == wanted.size:
        return None
    # Bytes as they lie on the server: a Range counts those, and an archive must not be unpacked on the way.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return None  # nothing is lacking; the checksum says whether that is so
        answer.raise_for_status()
        if address.startswith("https:") and not answer.url.startswith("https:"):
            return f"it leads on to {answer.url}, which is not https"
        goes_on = answer.status_code == _PARTIAL
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else wanted.size or 0
        if wanted.size and total != wanted.size:
            return f"it has {total:,} bytes, expected {wanted.size:,}"
        if not wanted.size and total > LARGEST:
            return (
                f"it has {total:,} bytes, at most {LARGEST:,} are fetched of a file without a published size"
            )
        with unfinished.open("ab" if goes_on else "wb") as file:
            have = _written(answer.iter_content(_CHUNK), file, have, total, progress)
    if have > (total or LARGEST):
        unfinished.unlink()
        return f"it sends more than {total or LARGEST:,} bytes"
    if have < total:
        raise requests.ConnectionError(f"the connection was cut after {have:,} of {total:,} bytes")
    return None


def _written(
    chunks: Iterable[bytes], file: BinaryIO, have: int, total: int, progress: Progress | None
) -> int:
    """Bytes that are there when the server has sent all, or more than it may, which is not written."""
    for chunk in chunks:
        have += len(chunk)
        if have > (total or LARGEST):
            break
        file.write(chunk)
        if progress is not None:
            progress(have, total)
    return have


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _demand_space(wanted: Archive, folder: Path, unfinished: Path) -> None:
    lacking = (wanted.size or 0) - _size(unfinished)
    free = shutil.disk_usage(folder).free
    if lacking > free:
        raise RequestError(
            f"{folder}: {wanted.file} needs {lacking / 1e9:.2f} GB more, {free / 1e9:.2f} GB are free; make room or "
            "name another disk with --cache DIR"
        )


def _disk(error: OSError, folder: Path) -> RequestError:
    if error.errno == errno.ENOSPC:
        return RequestError(
            f"{folder}: the disk is full. Make room, and the same command goes on where it was; or name another disk "
            "with --cache DIR"
        )
    return RequestError(f"{folder} cannot be written ({error.strerror}); name another place with --cache DIR")
