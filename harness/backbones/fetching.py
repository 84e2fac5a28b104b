"""Fetching weights' files that are known, each checked by its sha256.

Apart from the rest of the package, because the engine imports that and needs no way into the network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pooch

from harness.backbones.weights import PublishedWeights, sha256_of
from harness.errors import MissingError

#: Told bytes done and bytes in all.
Progress = Callable[[int, int], None]

#: Seconds without an answer after which an address is given up.
TIMEOUT = 30


def download_weights(weights: PublishedWeights, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch a known file into `folder`; what comes with another sha256 is removed and the next address is tried.

    Raises MissingError that names each address and why it failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, unfinished = folder / weights.file, folder / f"{weights.file}.unfinished"
    failures = []
    for address in weights.addresses:
        fetch = pooch.HTTPDownloader(progressbar=_Bar(progress) if progress else False, timeout=TIMEOUT)
        try:
            fetch(address, str(unfinished), None)
            sha256 = sha256_of(unfinished)
            if sha256.startswith(weights.sha256):
                unfinished.replace(file)
                return file
            failures.append(f"{address}: its sha256 is {sha256}, expected {weights.sha256}")
        except OSError as error:  # every fault of the network is one
            failures.append(f"{address}: {error}")
        finally:
            unfinished.unlink(missing_ok=True)
    faults = "".join(f"\n  {failure}" for failure in failures) or "\n  nobody publishes an address"
    raise MissingError(f"{weights.file} could not be fetched{faults}")


class _Bar:
    """pooch's idea of a progress bar, told on to a function."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.total, self.done = progress, 0, 0

    def update(self, size: int) -> None:
        self.done += size
        self.progress(self.done, self.total)

    # pooch rewinds a bar when a fetch is over and then fills it at once.
    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass
