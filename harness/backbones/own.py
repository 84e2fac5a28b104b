"""Networks that are a file of this folder: one value BACKBONE, found by the file's name."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import nn

from harness.backbones.weights import PublishedWeights
from harness.errors import RequestError


@dataclass(frozen=True)
class Backbone:
    """A network of ours.

    build: makes the network, from torch's global generator. Its `forward` takes images (B, 3, H, W) and gives a list of
        pooled stage features, each (B, F_s), the last stage last; `feature_sizes` are the F_s. A `classifier` of its
        names the beginnings of parameters that a weights' file holds and the network does not.
    size: side in pixels of the images that it is made for.
    published: the weights that are known of it, the usual ones first; empty for a network that starts from nothing.
    """

    build: Callable[[], nn.Module]
    size: int = 224
    published: tuple[PublishedWeights, ...] = ()


def own_names() -> list[str]:
    """Names of the files of this package that define BACKBONE, sorted."""
    defines = re.compile(r"^BACKBONE\b", re.MULTILINE)
    files = (file for folder in sys.modules[__package__].__path__ for file in Path(folder).glob("*.py"))
    return sorted(file.stem for file in files if defines.search(file.read_text(encoding="utf-8")))


@cache
def own_backbone(name: str) -> Backbone | None:
    """The network of that name, or None where no file has it. Raises RequestError when its value is another thing."""
    if name not in own_names():
        return None
    module = importlib.import_module(f"harness.backbones.{name}")
    value = module.BACKBONE
    if not isinstance(value, Backbone):
        raise RequestError(
            f"{module.__file__}: BACKBONE is a {type(value).__name__}; expected Backbone(build, size=..., ...)"
        )
    return value
