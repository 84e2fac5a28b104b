"""Fetching weights' files that are known, each checked by its sha256.

Apart from the rest of the package, because the engine imports that and needs no way into the network.
"""

from __future__ import annotations

from pathlib import Path

from harness.backbones.weights import PublishedWeights
from harness.dataset import Archive
from harness.download import Progress, download


def download_weights(weights: PublishedWeights, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch a known file into `folder`; what comes with another sha256 is removed and the next address is tried.

    Raises MissingError that names each address and why it failed.
    """
    wanted = Archive(weights.file, weights.addresses, (f"sha256:{weights.sha256}",))
    return download(wanted, folder, progress)
