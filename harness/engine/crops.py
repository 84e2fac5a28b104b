"""Random crops resized to one square: their parameters, and two ways to cut them, one for CPUs and one for GPUs.

Both ways give torchvision's RandomResizedCrop with antialiasing, to within rounding of a grey level.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

#: Attempts to fit a drawn area and ratio into the image before the fallback, as in torchvision.
TRIES = 10

#: Uniform numbers drawn for one image: area and ratio of every attempt, two of place, one of flip.
DRAWS = 2 * TRIES + 3


class Images(Interface):
    """What the engine needs of an image store: sizes in pixels, and (H, W, 3) uint8 RGB views of one flat buffer."""

    @property
    def buffer(self) -> npt.NDArray[np.uint8]: ...

    @property
    def heights(self) -> npt.NDArray[np.int64]: ...

    @property
    def widths(self) -> npt.NDArray[np.int64]: ...

    def image(self, index: int) -> npt.NDArray[np.uint8]: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Crops:
    """One rectangle an image, in pixels, and whether it is mirrored; arrays of (B,)."""

    tops: npt.NDArray[np.int64]
    lefts: npt.NDArray[np.int64]
    heights: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int64]
    flips: npt.NDArray[np.bool_]


def draw_crops(
    heights: npt.NDArray[np.int64],
    widths: npt.NDArray[np.int64],
    area: tuple[float, float],
    ratio: tuple[float, float],
    flip: bool,
    generator: torch.Generator,
) -> Crops:
    """Random crops of images of these sizes, distributed as torchvision's RandomResizedCrop draws them.

    area: share of the image's area, uniform. ratio: width / height, log-uniform. The first of ten draws that fits
    into the image is taken; if none does, the largest central crop whose ratio is allowed.
    """
    draws = torch.rand(len(heights), DRAWS, generator=generator, dtype=torch.float64).numpy()
    areas = (heights * widths)[:, None] * _between(area, draws[:, :TRIES])
    ratios = np.exp(_between((math.log(ratio[0]), math.log(ratio[1])), draws[:, TRIES : 2 * TRIES]))
    tried_widths = np.rint(np.sqrt(areas * ratios)).astype(np.int64)
    tried_heights = np.rint(np.sqrt(areas / ratios)).astype(np.int64)
    fits = (tried_widths <= widths[:, None]) & (tried_heights <= heights[:, None])
    fits &= (tried_widths > 0) & (tried_heights > 0)

    rows, first = np.arange(len(heights)), fits.argmax(1)
    found = fits[rows, first]
    clamped_heights, clamped_widths = _clamped(heights, widths, ratio)
    crop_heights = np.where(found, tried_heights[rows, first], clamped_heights)
    crop_widths = np.where(found, tried_widths[rows, first], clamped_widths)
    down, right = draws[:, 2 * TRIES], draws[:, 2 * TRIES + 1]
    return Crops(
        tops=_place(heights - crop_heights, down, found),
        lefts=_place(widths - crop_widths, right, found),
        heights=crop_heights,
        widths=crop_widths,
        flips=(draws[:, -1] < 0.5) & flip,
    )


def whole_images(heights: npt.NDArray[np.int64], widths: npt.NDArray[np.int64]) -> Crops:
    """Crops that keep everything."""
    zeros = np.zeros_like(heights)
    return Crops(zeros, zeros, heights, widths, zeros.astype(bool))


def resize_each(images: Images, index: Tensor, crops: Crops, size: int) -> Tensor:
    """Cut and resize one image after another, in uint8; (B, size, size, 3) uint8.

    The way for a CPU: a crop is a view of the buffer, and PyTorch's uint8 kernel on interleaved channels is faster
    than any batched form.
    """
    out = torch.empty(len(index), size, size, 3, dtype=torch.uint8)
    for row, crop in enumerate(_cut(images, index, crops)):
        source = torch.from_numpy(crop).permute(2, 0, 1)[None]
        resized = F.interpolate(source, (size, size), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
        out[row] = resized.flip(1) if crops.flips[row] else resized
    return out


def resize_batched(images: Images, index: Tensor, crops: Crops, size: int, device: torch.device) -> Tensor:
    """Cut all images and resize them in two batched matrix products; (B, size, size, 3) uint8 on `device`.

    The way for a GPU. Rows and columns of a crop are weighted by the same triangles as in `resize_each`.
    """
    tall, wide = int(crops.heights.max()), int(crops.widths.max())
    padded = np.zeros((len(index), tall, wide, 3), dtype=np.uint8)
    for target, crop in zip(padded, _cut(images, index, crops), strict=True):
        target[: crop.shape[0], : crop.shape[1]] = crop
    pixels = send(torch.from_numpy(padded), device).permute(0, 3, 1, 2).float()
    down = _weights(crops.heights, tall, size, device)
    along = _weights(crops.widths, wide, size, device)
    flips = send(torch.from_numpy(crops.flips), device)[:, None, None]
    along = torch.where(flips, along.flip(1), along)
    levels = down[:, None] @ pixels @ along[:, None].mT
    return levels.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def send(batch: Tensor, device: torch.device) -> Tensor:
    """A batch on the device; to a GPU it goes from pinned memory while the CPU goes on."""
    return batch.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else batch.to(device)


def _cut(images: Images, index: Tensor, crops: Crops) -> Iterable[npt.NDArray[np.uint8]]:
    """The crops, (h, w, 3) views of the buffer."""
    bounds = zip(
        index.tolist(),
        crops.tops.tolist(),
        crops.lefts.tolist(),
        crops.heights.tolist(),
        crops.widths.tolist(),
        strict=True,
    )
    for position, top, left, height, width in bounds:
        yield images.image(position)[top : top + height, left : left + width]


def _weights(lengths: npt.NDArray[np.int64], longest: int, size: int, device: torch.device) -> Tensor:
    """(B, size, longest): how much each of the first `lengths` pixels counts for each of `size` resized ones.

    A triangle around the resized pixel's centre, as wide as its footprint and never narrower than one pixel, its
    weights scaled to sum to 1 within the crop.
    """
    length = send(torch.from_numpy(lengths), device).float()[:, None, None]
    step = length / size
    centres = (torch.arange(size, device=device).float()[:, None] + 0.5) * step
    pixels = torch.arange(longest, device=device).float()
    distances = (pixels + 0.5 - centres) / step.clamp(min=1.0)
    weights = (1.0 - distances.abs()).clamp(min=0.0) * (pixels < length)
    return weights / weights.sum(2, keepdim=True)


def _clamped(
    heights: npt.NDArray[np.int64], widths: npt.NDArray[np.int64], ratio: tuple[float, float]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Heights and widths of the largest crops whose ratio is allowed."""
    allowed_heights = np.rint(widths / ratio[0]).astype(np.int64)
    allowed_widths = np.rint(heights * ratio[1]).astype(np.int64)
    ratios = widths / heights
    return (
        np.where(ratios < ratio[0], allowed_heights, heights),
        np.where(ratios > ratio[1], allowed_widths, widths),
    )


def _place(
    room: npt.NDArray[np.int64], draws: npt.NDArray[np.float64], drawn: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Where a crop begins: anywhere in 0..room alike, or in the middle when it was not drawn."""
    return np.where(drawn, (draws * (room + 1)).astype(np.int64), room // 2)


def _between(bounds: tuple[float, float], draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return bounds[0] + (bounds[1] - bounds[0]) * draws
