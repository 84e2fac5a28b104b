"""A backbone by name, with its weights: the door that the engine uses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from harness.backbones import timm_models
from harness.backbones.catalogue import input_spec, published_weights, usual_input
from harness.backbones.own import own_backbone
from harness.backbones.timm_models import TimmTrunk
from harness.backbones.torchvision_models import TorchvisionTrunk
from harness.backbones.weights import FROM_SCRATCH, InputSpec, fit, read_state, sha256_of
from harness.errors import RequestError


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A backbone ready for use.

    module: `forward(x (B, 3, H, W) float) -> list of pooled stage features (B, F_s)`, the final one last;
        `feature_sizes` are the F_s.
    input: what it wants to see.
    weights_sha256: "" from scratch.
    """

    module: nn.Module
    input: InputSpec
    weights_sha256: str
    name: str


def load_backbone(
    name: str, weights: Path | None, expected: str | None = None, override: InputSpec | None = None
) -> LoadedBackbone:
    """The backbone `name` with the parameters in a weights' file, or from scratch (torch's global generator).

    expected: sha256 of the file, or its leading digits.
    override: the input of weights that are not known.
    Raises RequestError (no such backbone, weights that do not fit or are others than expected), MissingError.
    """
    known = published_weights(name)
    if weights is None:
        size = usual_input(name).size
        return LoadedBackbone(_build(name, size), override or replace(FROM_SCRATCH, size=size), "", name)
    sha256 = sha256_of(weights)
    if expected is not None and not sha256.startswith(expected.lower()):
        raise RequestError(
            f"weights {weights} have sha256 {sha256}; expected {expected}: name that file with --weights, or ask for "
            f"these with --set weights={sha256[:16]}"
        )
    spec = input_spec(sha256, override, known)
    module = _build(name, spec.size)
    fit(read_state(weights), getattr(module, "named", module), getattr(module, "classifier", ()), weights)
    return LoadedBackbone(module, spec, sha256, name)


def freeze_batchnorm(module: nn.Module) -> None:
    """Fix the statistics of BatchNorm layers; scale and shift still train. Call after every `.train()`."""
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def _build(name: str, size: int) -> nn.Module:
    own = own_backbone(name)
    if own is not None:
        module = own.build()
    elif name.startswith(timm_models.PREFIX):
        module = TimmTrunk(name)
    else:
        module = TorchvisionTrunk(name, size)
    # Interleaved channels, as views come: on a CPU MobileNetV2 embeds 1.8 times as many images a second.
    return module.to(memory_format=torch.channels_last)
