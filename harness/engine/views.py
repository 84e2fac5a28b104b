"""What the network sees of stored images: views for training (random) and for evaluation, normalised, on a device.

A batch is a gather from the store and one normalisation; no worker processes. Random parameters come from the
generator alone, so that they are the same on every device.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from harness.backbones.weights import InputSpec
from harness.engine.crops import Crops, Images, draw_crops, resize_batched, resize_each, send, whole_images
from harness.engine.jitter import draw_jitter, move
from harness.protocol import Protocol


def train_batch(
    images: Images,
    index: Tensor,
    protocol: Protocol,
    spec: InputSpec,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """Random views (B, 3, size, size) float of the images at `index` (B,), as `protocol.train_view` says.

    generator: on the CPU; the only source of chance.
    """
    if protocol.train_view == "crop":
        heights, widths = images.heights[index.numpy()], images.widths[index.numpy()]
        crops = draw_crops(heights, widths, protocol.crop_area, protocol.crop_ratio, protocol.flip, generator)
        return normalised(_resized(images, index, crops, protocol.size, device), spec)
    shift, scale, rotation = protocol.jitter_shift, protocol.jitter_scale, protocol.jitter_rotation
    if protocol.train_view == "whole":
        shift, scale, rotation = 0.0, (1.0, 1.0), 0.0
    jitter = draw_jitter(len(index), shift, scale, rotation, protocol.flip, generator)
    squares = _squares(images, index, protocol.size, device)
    if protocol.train_view == "whole":
        flips = send(jitter.flips, device)[:, None, None, None]
        return normalised(torch.where(flips, squares.flip(2), squares), spec)
    return move(normalised(squares, spec), jitter)


def test_batch(
    images: Images, index: Tensor, protocol: Protocol, spec: InputSpec, device: torch.device
) -> Tensor:
    """The one view (B, 3, size, size) float of every image that evaluation uses, as `protocol.test_view` says."""
    if protocol.test_view == "whole":
        return normalised(_squares(images, index, protocol.size, device), spec)
    return normalised(send(_centres(images, index, protocol.size), device), spec)


def normalised(pixels: Tensor, spec: InputSpec) -> Tensor:
    """Grey levels (B, S, S, 3) uint8 RGB as the network wants them: (B, 3, S, S) float, interleaved in memory."""
    if spec.channels == "BGR":
        pixels = pixels.flip(3)
    batch, height, width, _ = pixels.shape
    factor, offset = _affine(spec, width, pixels.device)
    rows = pixels.reshape(batch, height, 3 * width).float()
    torch.addcmul(offset, rows, factor, out=rows)  # in place: fresh memory costs more than the arithmetic
    return rows.view(batch, height, width, 3).permute(0, 3, 1, 2)


# Constants are laid out as long as a row of pixels: an inner loop over three channels is slow on a CPU.
@lru_cache(maxsize=16)
def _affine(spec: InputSpec, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and offset of normalisation, for a row of `width` interleaved pixels."""
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    return (spec.scale / 255 / std).repeat(width).to(device), (-mean / std).repeat(width).to(device)


def _resized(images: Images, index: Tensor, crops: Crops, size: int, device: torch.device) -> Tensor:
    if device.type == "cpu":
        return resize_each(images, index, crops, size)
    return resize_batched(images, index, crops, size, device)


def _squares(images: Images, index: Tensor, size: int, device: torch.device) -> Tensor:
    """The whole images, squeezed to (B, size, size, 3) uint8 on the device."""
    stacked = _stacked(images)
    if stacked is not None and stacked.shape[1:3] == (size, size):
        return send(stacked.index_select(0, index), device)
    crops = whole_images(images.heights[index.numpy()], images.widths[index.numpy()])
    return _resized(images, index, crops, size, device)


def _centres(images: Images, index: Tensor, size: int) -> Tensor:
    """The central squares, (B, size, size, 3) uint8, placed as torchvision's CenterCrop does."""
    stacked = _stacked(images)
    if stacked is not None and stacked.shape[1:3] == (size, size):
        return stacked.index_select(0, index)
    out = np.empty((len(index), size, size, 3), dtype=np.uint8)
    for target, position in zip(out, index.tolist(), strict=True):
        image = images.image(position)
        top, left = (round((side - size) / 2) for side in image.shape[:2])
        target[:] = image[top : top + size, left : left + size]
    return torch.from_numpy(out)


@lru_cache(maxsize=8)
def _stacked(images: Images) -> Tensor | None:
    """The whole store as one (N, H, W, 3) uint8 tensor on its buffer, if all images have one size."""
    height, width = int(images.heights[0]), int(images.widths[0])
    if not images.buffer.size or not ((images.heights == height).all() and (images.widths == width).all()):
        return None
    return torch.from_numpy(images.buffer.reshape(-1, height, width, 3))
