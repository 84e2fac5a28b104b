"""Small shifts, scalings and rotations of a batch of squares: the augmentation of characters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Jitter:
    """One movement a picture; tensors of (B,).

    right, down: shift in pixels. scale: above 1 enlarges. turn: radians, counter-clockwise as it is seen.
    """

    right: Tensor
    down: Tensor
    scale: Tensor
    turn: Tensor
    flips: Tensor


def draw_jitter(
    batch: int,
    shift: float,
    scale: tuple[float, float],
    rotation: float,
    flip: bool,
    generator: torch.Generator,
) -> Jitter:
    """Random movements, each part uniform: shift in pixels and rotation in degrees either way."""
    draws = torch.rand(batch, 5, generator=generator, dtype=torch.float64)
    right, down, size, turn = (draws[:, i] for i in range(4))
    return Jitter(
        right=shift * (2 * right - 1),
        down=shift * (2 * down - 1),
        scale=scale[0] + (scale[1] - scale[0]) * size,
        turn=math.radians(rotation) * (2 * turn - 1),
        flips=(draws[:, 4] < 0.5) & flip,
    )


def move(pixels: Tensor, jitter: Jitter) -> Tensor:
    """Pictures (B, 3, S, S) float: mirrored, enlarged and turned about the centre, then shifted.

    What comes in from outside continues the border.
    """
    # grid_sample asks where each pixel comes from: the inverse movement, in units of half a side.
    side = pixels.shape[-1]
    right, down = 2 * jitter.right / side, 2 * jitter.down / side
    cosine, sine = torch.cos(jitter.turn) / jitter.scale, torch.sin(jitter.turn) / jitter.scale
    mirror = torch.where(jitter.flips, -1.0, 1.0)
    from_x = mirror[:, None] * torch.stack((cosine, -sine, sine * down - cosine * right), 1)
    from_y = torch.stack((sine, cosine, -sine * right - cosine * down), 1)
    theta = torch.stack((from_x, from_y), 1).to(pixels.dtype).to(pixels.device)
    return F.grid_sample(
        pixels, _grid(theta, side), mode="bilinear", padding_mode="border", align_corners=False
    )


def _grid(theta: Tensor, side: int) -> Tensor:
    """What `F.affine_grid` gives for squares, (B, S, S, 2): the same sums to the digit in a tenth of its time."""
    centres = torch.linspace(-1, 1, side, dtype=theta.dtype, device=theta.device) * (side - 1) / side
    along, down, shift = theta[:, :, :, None, None].unbind(2)
    return (along * centres + down * centres[:, None] + shift).permute(0, 2, 3, 1)
