"""convnet: a small network for characters and demonstrations, trained from scratch in seconds on a CPU."""

from __future__ import annotations

from torch import Tensor, nn

#: Groups of GroupNorm: it knows no batch, so batches of 8 x 4 and of 32 x 1 give every loss the same network.
GROUPS = 8


class ConvNet(nn.Module):
    """Three stages of a strided 3x3 convolution, GroupNorm and ReLU; each stage halves the image.

    Striding in the convolution itself keeps a step at about 3 ms on one core (batches of 32 at 32 x 32);
    pooling after a full-size convolution takes three times as long.
    """

    def __init__(self, channels: tuple[int, ...] = (16, 32, 64)) -> None:
        super().__init__()
        self.feature_sizes = channels
        self.stages = nn.ModuleList(
            _stage(before, after) for before, after in zip((3, *channels[:-1]), channels, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Pooled features (B, 16), (B, 32), (B, 64) of images (B, 3, H, W)."""
        pooled = []
        for stage in self.stages:
            x = stage(x)
            pooled.append(x.mean((2, 3)))
        return pooled


def _stage(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
        nn.GroupNorm(GROUPS, after),
        nn.ReLU(inplace=True),
    )
