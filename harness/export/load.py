"""Embed images with an exported model. Needs torch and Pillow and nothing else.

python load.py IMAGE [IMAGE ...]      cosine similarity of every image with the first

from load import embed, load          (in the folder of the model)
model, preprocessing = load(".")
embeddings = embed(model, preprocessing, ["a.jpg", "b.jpg"])      # (2, D), unit length
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

Model = Callable[[Tensor], Tensor]


def load(folder: str | Path) -> tuple[Model, Mapping[str, Any]]:
    """The model, (B, 3, size, size) pixels in [0, 1] -> (B, D) embeddings of unit length, and its preprocessing."""
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    return torch.export.load(Path(folder) / "model.pt2").module(), config["preprocessing"]


def prepare(image: Image.Image, preprocessing: Mapping[str, Any]) -> Tensor:
    """An image as the model was trained to see it: (3, size, size) float, RGB in [0, 1]."""
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    resize, size = preprocessing["resize"], preprocessing["size"]
    width, height = image.size
    short = min(width, height)
    squeezed = preprocessing["view"] == "whole"
    target = (resize, resize) if squeezed else (resize * width // short, resize * height // short)
    if target != image.size:
        image = image.resize(target, Image.Resampling.BILINEAR)
    levels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    pixels = levels.reshape(image.height, image.width, 3).permute(2, 0, 1)
    if squeezed and resize != size:
        pixels = torch.nn.functional.interpolate(pixels[None], (size, size), mode="bilinear", antialias=True)[
            0
        ]
    if not squeezed:
        top, left = (round((side - size) / 2) for side in (image.height, image.width))
        pixels = pixels[:, top : top + size, left : left + size]
    return pixels.float() / 255


def embed(model: Model, preprocessing: Mapping[str, Any], files: Sequence[str | Path]) -> Tensor:
    """Embeddings (N, D) of image files, unit length; compare them by their scalar product."""
    return embed_images(model, preprocessing, map(Image.open, files))


@torch.no_grad()
def embed_images(model: Model, preprocessing: Mapping[str, Any], images: Iterable[Image.Image]) -> Tensor:
    """The same of images that are open."""
    return torch.cat([model(prepare(image, preprocessing)[None]) for image in images])


if __name__ == "__main__":
    names = sys.argv[1:]
    if not names:
        sys.exit("python load.py IMAGE [IMAGE ...]")
    embeddings = embed(*load(Path(__file__).parent), names)
    for name, similarity in zip(names, (embeddings @ embeddings[0]).tolist(), strict=True):
        print(f"{similarity:.4f}  {name}")
