"""What backbones there are, which weights of theirs are known, and what those want to see."""

from __future__ import annotations

import difflib
from dataclasses import replace

from harness.backbones import timm_models, torchvision_models
from harness.backbones.own import own_backbone, own_names
from harness.backbones.weights import FROM_SCRATCH, InputSpec, PublishedWeights
from harness.contamination import IMAGENET
from harness.errors import RequestError

_UNIT = InputSpec((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), trained_on=IMAGENET)

#: Weights that are handed on by other means than their publisher's, by backbone.
RECOVERED = {
    "mobilenet_v2": PublishedWeights(
        "mobilenet_v2.pth", "214e840da751eb0434ebf92596be6ad343eb1dcaa8605b1150718f49a4c1236e", _UNIT
    ),
    "timm:mobilenetv2_100,pad_type=same": PublishedWeights(
        "timm_mobilenetv2_100_pad_same.pth",
        "2c228f69514c0a4f7ff0943b64de71cc11a2da337883269a4f063c8b6267b60d",
        _UNIT,
    ),
}


def backbone_names() -> list[str]:
    """Every backbone but timm's, of which there are more than a thousand: `timm:NAME`."""
    return [*own_names(), *torchvision_models.names()]


def published_weights(name: str) -> tuple[PublishedWeights, ...]:
    """The known weights of a backbone; the first is what papers mean when they name the backbone alone.

    Raises RequestError for a name that is no backbone.
    """
    recovered = (RECOVERED[name],) if name in RECOVERED else ()
    if name.startswith(timm_models.PREFIX):
        return (*timm_models.published(name), *recovered)
    _check_name(name)
    own = own_backbone(name)
    if own is not None:
        return own.published
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
        "--set input_mean=[0.485,0.456,0.406] --set input_std=[0.229,0.224,0.225] (ImageNet's usual values), and "
        "where they differ from RGB, 1 and 224, input_channels=BGR, input_scale=255, input_size"
    )


def usual_input(name: str) -> InputSpec:
    """The input of the weights that papers mean when they name the backbone alone; from scratch where it has none."""
    known = published_weights(name)
    if known:
        return known[0].input
    stated = timm_models.stated_input(name) if name.startswith(timm_models.PREFIX) else None
    own = own_backbone(name)
    return stated or (FROM_SCRATCH if own is None else replace(FROM_SCRATCH, size=own.size))


def _check_name(name: str) -> None:
    names = backbone_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else "`list backbones` shows them; timm's are timm:NAME"
        raise RequestError(f"no backbone {name!r}; {hint}")
