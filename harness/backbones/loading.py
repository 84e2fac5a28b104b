"""A backbone by name, with its weights: the door that the engine uses."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from harness.backbones import bn_inception, timm_models, torchvision_models
from harness.backbones.bn_inception import BNInception
from harness.backbones.convnet import ConvNet
from harness.backbones.timm_models import TimmTrunk
from harness.backbones.torchvision_models import TorchvisionTrunk
from harness.backbones.weights import (
    FROM_SCRATCH,
    IMAGENET,
    InputSpec,
    PublishedWeights,
    fit,
    read_state,
    sha256_of,
)
from harness.errors import RequestError

#: Weights that are handed on by other means than their publisher's, by backbone.
RECOVERED = {
    "mobilenet_v2": PublishedWeights(
        "mobilenet_v2.pth",
        "214e840da751eb0434ebf92596be6ad343eb1dcaa8605b1150718f49a4c1236e",
        InputSpec((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), trained_on=IMAGENET),
    ),
    "timm:mobilenetv2_100,pad_type=same": PublishedWeights(
        "timm_mobilenetv2_100_pad_same.pth",
        "2c228f69514c0a4f7ff0943b64de71cc11a2da337883269a4f063c8b6267b60d",
        InputSpec((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), trained_on=IMAGENET),
    ),
}

#: Side in pixels of the characters that `convnet` is made for.
CONVNET_SIZE = 32


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


def backbone_names() -> list[str]:
    """Every backbone but timm's, of which there are more than a thousand: `timm:NAME`."""
    return ["convnet", "bn_inception", *torchvision_models.names()]


def published_weights(name: str) -> tuple[PublishedWeights, ...]:
    """The known weights of a backbone; the first is what papers mean when they name the backbone alone.

    Raises RequestError for a name that is no backbone.
    """
    recovered = (RECOVERED[name],) if name in RECOVERED else ()
    if name.startswith(timm_models.PREFIX):
        return (*timm_models.published(name), *recovered)
    _check_name(name)
    if name == "convnet":
        return ()
    if name == "bn_inception":
        return bn_inception.PUBLISHED
    return (*torchvision_models.published(name), *recovered)


def input_spec(sha256: str, override: InputSpec | None, known: tuple[PublishedWeights, ...]) -> InputSpec:
    """What weights want to see: `override` if given (`--set input_...`), else what is known of them.

    known: `published_weights` of the backbone. Raises RequestError for weights that nothing is known of.
    """
    if override is not None:
        return override
    for weights in known:
        if sha256.startswith(weights.sha256):
            return weights.input
    raise RequestError(
        f"nothing is known of weights with sha256 {sha256[:16]}...; say what they want to see: "
        "--set input_mean=[0.485,0.456,0.406] --set input_std=[0.229,0.224,0.225] --set input_channels=RGB "
        "--set input_scale=1 --set input_size=224 (these are ImageNet's usual values)"
    )


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
        size = known[0].input.size if known else CONVNET_SIZE
        return LoadedBackbone(_build(name, size), override or replace(FROM_SCRATCH, size=size), "", name)
    sha256 = sha256_of(weights)
    if expected is not None and not sha256.startswith(expected.lower()):
        raise RequestError(f"weights {weights} have sha256 {sha256}; expected {expected}")
    spec = input_spec(sha256, override, known)
    module = _build(name, spec.size)
    fit(read_state(weights), getattr(module, "named", module), _classifier(module), weights)
    return LoadedBackbone(module, spec, sha256, name)


def freeze_batchnorm(module: nn.Module) -> None:
    """Fix the statistics of BatchNorm layers; scale and shift still train. Call after every `.train()`."""
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def _build(name: str, size: int) -> nn.Module:
    own: dict[str, Callable[[], nn.Module]] = {"convnet": ConvNet, "bn_inception": BNInception}
    if name in own:
        return own[name]()
    if name.startswith(timm_models.PREFIX):
        return TimmTrunk(name)
    return TorchvisionTrunk(name, size)


def _classifier(module: nn.Module) -> tuple[str, ...]:
    """Beginnings of the names of parameters that a published file holds and a backbone does not."""
    if isinstance(module, BNInception):
        return bn_inception.CLASSIFIER
    names: tuple[str, ...] = getattr(module, "classifier", ())
    return names


def _check_name(name: str) -> None:
    names = backbone_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else "`list backbones` shows them; timm's are timm:NAME"
        raise RequestError(f"no backbone {name!r}; {hint}")
