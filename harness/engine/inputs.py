"""Images of one role as the network sees them: views of stored images, or features that were computed once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Protocol as Interface

import torch
from safetensors.torch import load_file
from torch import Tensor

from harness.backbones import InputSpec
from harness.data.decoded import DecodedImages
from harness.data.store import ImageStore
from harness.engine.crops import Images
from harness.engine.views import test_batch, train_batch
from harness.protocol import Protocol

#: Images embedded at once; the numbers do not depend on it beyond rounding, so it stays fixed.
EVALUATION_BATCH = 64

Batch = Tensor | list[Tensor]


class Inputs(Interface):
    """What the engine asks of a role's images; `index` (B,) int64 are positions in the role."""

    def train_batch(self, index: Tensor, generator: torch.Generator) -> Batch: ...

    def test_batches(self, index: Tensor) -> Iterator[Batch]: ...


class ImageInputs:
    """Views of the images in a store."""

    def __init__(self, store: Images, protocol: Protocol, spec: InputSpec, device: torch.device) -> None:
        self.store, self.protocol, self.spec, self.device = store, protocol, spec, device

    def train_batch(self, index: Tensor, generator: torch.Generator) -> Tensor:
        return train_batch(self.store, index, self.protocol, self.spec, generator, self.device)

    def test_batches(self, index: Tensor) -> Iterator[Tensor]:
        for part in torch.split(index, EVALUATION_BATCH):
            yield test_batch(self.store, part, self.protocol, self.spec, self.device)


class FeatureInputs:
    """Stage features, each (N, F_s) float32, held on the device."""

    def __init__(self, features: list[Tensor], device: torch.device) -> None:
        self.features = [f.to(device) for f in features]
        self.device = device

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        return tuple(f.shape[1] for f in self.features)

    def train_batch(self, index: Tensor, generator: torch.Generator) -> list[Tensor]:
        chosen = index.to(self.device)
        return [f.index_select(0, chosen) for f in self.features]

    def test_batches(self, index: Tensor) -> Iterator[list[Tensor]]:
        for part in torch.split(index, 16 * EVALUATION_BATCH):
            chosen = part.to(self.device)
            yield [f.index_select(0, chosen) for f in self.features]


@lru_cache(maxsize=8)
def open_features(file: Path, device: torch.device) -> FeatureInputs:
    """The features that `harness.engine.features` wrote to `file`, in the order of the stages."""
    stages = load_file(file)
    return FeatureInputs([stages[f"stage{i}"] for i in range(len(stages))], device)


@lru_cache(maxsize=8)
def open_store(file: Path | DecodedImages) -> Images:
    """A store, opened once a process; images that are kept nowhere are their own."""
    return ImageStore.open(file) if isinstance(file, Path) else file
