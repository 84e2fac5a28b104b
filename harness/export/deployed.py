"""The embedder as one module that takes pixels and gives unit vectors: nothing is left to be done outside it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from harness.backbones import InputSpec
from harness.engine.bench import Bench
from harness.engine.embedder import Embedder, StoredFeatures
from harness.engine.features import fixed_backbone


class Deployed(nn.Module):
    """pixels (B, 3, size, size) float, RGB in [0, 1] -> embeddings (B, columns), unit length."""

    factor: Tensor
    offset: Tensor

    def __init__(self, backbone: nn.Module, head: nn.Module, columns: int, spec: InputSpec) -> None:
        super().__init__()
        self.backbone, self.head, self.columns = backbone, head, columns
        self.flip = spec.channels == "BGR"
        mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
        self.register_buffer("factor", spec.scale / std, persistent=False)
        self.register_buffer("offset", -mean / std, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        x = pixels.flip(1) if self.flip else pixels
        embeddings: Tensor = self.head(self.backbone(x * self.factor + self.offset))
        return normalize(embeddings[:, : self.columns], dim=1)


def deployed(embedder: Embedder, bench: Bench) -> Deployed:
    """The embedder on the CPU, in evaluation mode, with the backbone whose features it was trained on."""
    backbone = embedder.backbone
    if isinstance(backbone, StoredFeatures):
        backbone = fixed_backbone(bench.protocol, bench.weights, bench.input)
    module = Deployed(backbone, embedder.head, embedder.columns, bench.input)
    # The engine's interleaved channels are no order that files know.
    return module.cpu().eval().to(memory_format=torch.contiguous_format)
