"""`timm:NAME`: any network of timm as a backbone; timm is an optional extra.

`timm:mobilenetv2_100,pad_type=same` hands settings to timm's builder. Stages as in `torchvision_models`: the
last map of every resolution between 1/8 of the image and the final one; networks of one resolution (ViT, DINOv2)
give the maps after a third and two thirds of their blocks. The final feature is what timm's classifier sees.
"""

from __future__ import annotations

import difflib
import importlib
import json
from typing import Any

from torch import Tensor, nn

from harness.backbones.weights import HASH, InputSpec, PublishedWeights
from harness.contamination import IMAGENET
from harness.errors import RequestError

PREFIX = "timm:"

#: Names of timm's classifiers at the end of its families.
CLASSIFIER = ("fc.", "classifier.", "head.fc.", "head.weight", "head.bias", "head_dist.", "last_linear.")

#: What the tags of timm's weights say of the images behind them, the most telling first.
IMAGES = {
    "lvd": "LVD (curated web images)",
    "openai": "OpenAI's web images and captions",
    "laion": "LAION (web images and captions)",
    "webli": "WebLI (web images and captions)",
    "clip": "web images and captions",
    "jft": "JFT-300M (web images)",
    "ig1b": "Instagram photographs by hashtag",
    "swag": "Instagram photographs by hashtag",
    "seer": "Instagram photographs",
    "yfcc": "YFCC100M (Flickr photographs)",
    "m38m": "a mix of public sets of images",
    "m30m": "a mix of public sets of images",
    "in22k": "ImageNet-22k",
    "in21k": "ImageNet-21k",
    "in12k": "ImageNet-12k",
    "in1k": IMAGENET,
    "mae": IMAGENET,
    "dino": IMAGENET,
}


class TimmTrunk(nn.Module):
    """A timm network without its classifier; `named` holds the parameters under timm's names."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.named = _create(name)
        self.classifier = CLASSIFIER
        self.stages = _stages([info["reduction"] for info in self.named.feature_info])
        widths = [self.named.feature_info[i]["num_chs"] for i in self.stages]
        final = getattr(self.named, "head_hidden_size", None) or self.named.num_features
        self.feature_sizes: tuple[int, ...] = (*widths, int(final))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Pooled stage features (B, F_s) of images (B, 3, H, W), the final one last."""
        last, maps = self.named.forward_intermediates(x, indices=self.stages)
        return [*(m.mean((2, 3)) for m in maps), self.named.forward_head(last, pre_logits=True)]


def published(name: str) -> tuple[PublishedWeights, ...]:
    """The weights that timm would fetch for a network, if they are published with a hash of their content."""
    config = _config(name)
    prefix = HASH.search(config.url or "") if config is not None else None
    if prefix is None:
        return ()
    return (PublishedWeights(config.url.rsplit("/", 1)[1], prefix[1], _input(config), (config.url,)),)


def origin(name: str) -> str | None:
    """Where timm fetches a network's weights, with a hash of their content in the address or without."""
    config = _config(name)
    if config is None:
        return None
    hub = f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else None
    return config.url or hub


def stated_input(name: str) -> InputSpec | None:
    """The input of the weights that timm would fetch for a network; of other weights nothing is known."""
    config = _config(name)
    return None if config is None else _input(config)


def _config(name: str) -> Any:
    """timm's words on a network's weights; None where there are none, or where settings make it another network."""
    timm = _timm(name)
    bare, settings = _split(name)
    return None if settings else timm.get_pretrained_cfg(bare)


def _input(config: Any) -> InputSpec:
    tag = config.tag or ""
    images = next((words for key, words in IMAGES.items() if key in tag), "unknown images")
    mean, std = tuple(config.mean), tuple(config.std)
    return InputSpec(mean, std, size=config.input_size[-1], trained_on=images)


def _create(name: str) -> Any:
    bare, settings = _split(name)
    timm = _timm(name)
    try:
        network = timm.create_model(bare, pretrained=False, num_classes=0, **settings)
    except TypeError as error:
        raise RequestError(f"{name}: timm refuses these settings: {error}") from error
    if not hasattr(network, "forward_intermediates"):
        raise RequestError(f"{name}: timm gives no stage features of this network; choose another")
    return network


def _split(name: str) -> tuple[str, dict[str, Any]]:
    """timm's own name, and the settings that follow it."""
    bare, *settings = name.removeprefix(PREFIX).split(",")
    pairs = [setting.partition("=") for setting in settings]
    return bare, {key: _value(text) for key, _, text in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _timm(name: str) -> Any:
    """The package, once it is known to hold this network."""
    try:
        timm = importlib.import_module("timm")  # an extra: who does not use it need not have it
    except ImportError as error:
        raise RequestError(
            f"{name} needs timm, which is not installed: pip install 'dml-benchmark[timm]'"
        ) from error
    bare = _split(name)[0]
    if not timm.is_model(bare):
        near = difflib.get_close_matches(bare, timm.list_models(), 3)
        raise RequestError(f"{PREFIX}{bare}: timm has no such network; near it: {', '.join(near) or 'none'}")
    return timm


def _stages(reductions: list[int]) -> list[int]:
    """Positions of the stages' last maps, without the final one's."""
    if len(set(reductions)) == 1:
        return [len(reductions) // 3 - 1, 2 * len(reductions) // 3 - 1]
    last = {reduction: position for position, reduction in enumerate(reductions)}
    return [position for reduction, position in list(last.items())[:-1] if reduction >= 8]
