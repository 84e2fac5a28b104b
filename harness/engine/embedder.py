"""The embedder: a backbone that gives pooled stage features, and a head that turns them into the embedding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from harness.backbones import freeze_batchnorm


class LinearHead(nn.Module):
    """The head of every method that does not bring its own: one linear layer on the last stage's pooled features."""

    def __init__(self, feature_sizes: Sequence[int], embedding_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(feature_sizes[-1], embedding_size)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Stage features, each (B, F_s), to embeddings (B, D)."""
        return self.linear(features[-1])  # type: ignore[no-any-return]


class StoredFeatures(nn.Module):
    """The backbone of a protocol that trains none: its features were computed once and come in as they are."""

    def __init__(self, feature_sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.feature_sizes = feature_sizes

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        return features


class Embedder(nn.Module):
    """backbone(x) -> stage features -> head -> (B, D), or more columns in training where the head says so."""

    def __init__(
        self,
        backbone: nn.Module,
        embedding_size: int,
        head: Callable[[Sequence[int], int], nn.Module] | None,
        frozen_batchnorm: bool,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        sizes: tuple[int, ...] = backbone.feature_sizes  # type: ignore[assignment]
        self.head = (head or LinearHead)(sizes, embedding_size)
        self.frozen_batchnorm = frozen_batchnorm
        self.precision = precision
        #: How many leading columns are the embedding; a head may keep more than D (a trunk's own features).
        self.columns = int(getattr(self.head, "columns", embedding_size))

    def forward(self, x: Tensor | list[Tensor]) -> Tensor:
        if self.precision == "float32":
            return self.head(self.backbone(x))  # type: ignore[no-any-return]
        device = (x if isinstance(x, Tensor) else x[0]).device
        with torch.autocast(device.type, getattr(torch, self.precision)):
            return self.head(self.backbone(x)).float()  # type: ignore[no-any-return]

    def train(self, mode: bool = True) -> Embedder:
        super().train(mode)
        if mode and self.frozen_batchnorm:
            freeze_batchnorm(self.backbone)
        return self

    @torch.no_grad()
    def embed(self, batches: Iterable[Tensor | list[Tensor]]) -> Tensor:
        """Embeddings (N, columns) float32, on the device of the batches, in evaluation mode."""
        self.eval()
        return torch.cat([self(x)[:, : self.columns].float() for x in batches])
