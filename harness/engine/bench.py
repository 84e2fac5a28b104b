"""What a worker is given to run cells with: paths and values that pickle, and nothing that is open.

A tuning job carries the development role alone. The test roles are handed over by the final stage only, so a worker
that tunes has no path to a test image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from harness.backbones import InputSpec
from harness.data.decoded import DecodedImages
from harness.engine.inputs import ImageInputs, Inputs, open_features, open_store
from harness.protocol import Protocol


@dataclass(frozen=True, eq=False)
class Role:
    """Images of one role: their labels, the names of their classes, and where their pixels or features are: the file
    that holds them, or the images themselves where nothing does."""

    file: Path | DecodedImages
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TestRoles:
    """The test classes: queries, and a gallery where it is a separate one."""

    __test__ = False  # not a pytest class

    queries: Role
    gallery: Role | None
    recall_at: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Bench:
    """Everything equal between the methods on one dataset, ready to run.

    protocol: as it holds on this dataset.
    weights: file of the backbone's weights; None trains it from scratch.
    features: whether the roles' files hold features of the backbone instead of images.
    device: `cpu`, `cuda`, `cuda:1`; threads: of the arithmetic on a CPU.
    """

    protocol: Protocol
    development: Role
    recall_at: tuple[int, ...]
    weights: Path | None
    input: InputSpec
    features: bool
    device: str = "cpu"
    threads: int = 1
    plugins: tuple[Path, ...] = ()

    def inputs(self, role: Role) -> Inputs:
        """The role's images as this protocol's network sees them."""
        device = torch.device(self.device)
        if self.features:
            assert isinstance(role.file, Path)
            return open_features(role.file, device)
        return ImageInputs(open_store(role.file), self.protocol, self.input, device)
