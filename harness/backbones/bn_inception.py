"""BN-Inception (Ioffe & Szegedy, ICML 2015, arXiv 1502.03167), the trunk of the Reality Check, MS and XBM.

The names of its parameters are those of the Caffe port that the field uses, `bn_inception-52deb4733.pth`:
images in BGR, 0-255, minus a mean; every convolution has a bias and is followed by BatchNorm and ReLU.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.backbones.own import Backbone
from harness.backbones.weights import InputSpec, PublishedWeights
from harness.contamination import IMAGENET

FILE = "bn_inception-52deb4733.pth"
ADDRESS = f"https://data.lip6.fr/cadene/pretrainedmodels/{FILE}"
PUBLISHED = (
    PublishedWeights(
        file=FILE,
        sha256="52deb4733",
        input=InputSpec((104.0, 117.0, 128.0), (1.0, 1.0, 1.0), "BGR", 255.0, 224, IMAGENET),
        addresses=(ADDRESS, f"https://web.archive.org/web/2019id_/{ADDRESS}"),
    ),
)
CLASSIFIER = ("last_linear.",)


class Block(NamedTuple):
    """One Inception block: output channels of its branches (0: no such branch), how it pools, and its stride.

    The branches: 1x1; 1x1 then 3x3; 1x1 then two 3x3; pooling then 1x1. A block of stride 2 strides in the
    last convolution of its branches, and its pooled branch passes unprojected.
    """

    one: int
    three: tuple[int, int]
    double: tuple[int, int]
    projected: int
    pool: str = "mean"
    stride: int = 1


#: Table 1 of the paper, as the Caffe model has it.
BLOCKS = {
    "3a": Block(64, (64, 64), (64, 96), 32),
    "3b": Block(64, (64, 96), (64, 96), 64),
    "3c": Block(0, (128, 160), (64, 96), 0, "max", stride=2),
    "4a": Block(224, (64, 96), (96, 128), 128),
    "4b": Block(192, (96, 128), (96, 128), 128),
    "4c": Block(160, (128, 160), (128, 160), 128),
    "4d": Block(96, (128, 192), (160, 192), 128),
    "4e": Block(0, (128, 192), (192, 256), 0, "max", stride=2),
    "5a": Block(352, (192, 320), (160, 224), 128),
    "5b": Block(352, (192, 320), (192, 224), 128, "max"),
}

#: The last block of each resolution; its pooled output is a stage feature.
STAGES = ("3b", "4d", "5b")


class BNInception(nn.Module):
    """The network up to its global average pooling; stage features of 320, 608 and 1024 dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self._add("conv1_7x7_s2", 3, 64, 7, stride=2)
        self._add("conv2_3x3_reduce", 64, 64, 1)
        self._add("conv2_3x3", 64, 192, 3)
        channels, sizes = 192, {}
        for name, block in BLOCKS.items():
            channels = sizes[name] = self._add_block(f"inception_{name}", channels, block)
        self.feature_sizes = tuple(sizes[name] for name in STAGES)
        self.classifier = CLASSIFIER

    def _add(self, name: str, before: int, after: int, kernel: int, stride: int = 1) -> None:
        self.add_module(name, nn.Conv2d(before, after, kernel, stride, padding=kernel // 2))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(after))

    def _add_block(self, name: str, channels: int, block: Block) -> int:
        """Add a block's layers; returns the number of channels that it puts out."""
        if block.one:
            self._add(f"{name}_1x1", channels, block.one, 1)
        reduced, three = block.three
        self._add(f"{name}_3x3_reduce", channels, reduced, 1)
        self._add(f"{name}_3x3", reduced, three, 3, block.stride)
        reduced, double = block.double
        self._add(f"{name}_double_3x3_reduce", channels, reduced, 1)
        self._add(f"{name}_double_3x3_1", reduced, double, 3)
        self._add(f"{name}_double_3x3_2", double, double, 3, block.stride)
        if block.projected:
            self._add(f"{name}_pool_proj", channels, block.projected, 1)
        return block.one + three + double + (block.projected or channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Pooled features (B, 320), (B, 608), (B, 1024) of images (B, 3, H, W)."""
        x = _shrink(self._apply_layers(x, "conv1_7x7_s2"))
        x = _shrink(self._apply_layers(x, "conv2_3x3_reduce", "conv2_3x3"))
        pooled = []
        for name, block in BLOCKS.items():
            x = self._apply_block(x, f"inception_{name}", block)
            if name in STAGES:
                pooled.append(x.mean((2, 3)))
        return pooled

    def _apply_layers(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            convolution, norm = self.get_submodule(name), self.get_submodule(f"{name}_bn")
            x = F.relu(norm(convolution(x)), inplace=True)
        return x

    def _apply_block(self, x: Tensor, name: str, block: Block) -> Tensor:
        double = (f"{name}_double_3x3_reduce", f"{name}_double_3x3_1", f"{name}_double_3x3_2")
        branches = [
            self._apply_layers(x, f"{name}_3x3_reduce", f"{name}_3x3"),
            self._apply_layers(x, *double),
            self._pool_branch(x, name, block),
        ]
        if block.one:
            branches.insert(0, self._apply_layers(x, f"{name}_1x1"))
        return torch.cat(branches, 1)

    def _pool_branch(self, x: Tensor, name: str, block: Block) -> Tensor:
        if block.stride == 2:
            return _shrink(x)
        x = F.avg_pool2d(x, 3, 1, 1) if block.pool == "mean" else F.max_pool2d(x, 3, 1, 1)
        return self._apply_layers(x, f"{name}_pool_proj")


def _shrink(x: Tensor) -> Tensor:
    """Caffe's halving: windows of 3 with stride 2, the last one reaching over the edge (ceil)."""
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


BACKBONE = Backbone(BNInception, published=PUBLISHED)
