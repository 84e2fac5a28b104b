"""Any classification network of torchvision as a backbone, by torchvision's name (`resnet50`, `vit_b_16`).

Two rules hold for all of them:

- The final feature is what the last linear layer of the classifier sees, before dropout.
- A stage ends with the last block that puts out maps of its resolution; maps between 1/8 of the image and the
  final resolution are stages, pooled by their mean. A block is a module that the network holds directly or in
  sequences. Networks of one resolution (ViT) have the final feature only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from harness.backbones.weights import HASH, InputSpec, PublishedWeights
from harness.contamination import IMAGENET

#: What the builders of a few networks must be told so that nothing but the trunk is left and nothing warns.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}

#: torchvision applies ImageNet's normalisation to these and undoes it inside: they were trained on [-1, 1].
UNIT_RANGE = ("googlenet", "inception_v3")

#: Parameters of auxiliary classifiers, in the files beside the last linear layer.
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def names() -> list[str]:
    """Every network that ends in a linear classifier (SqueezeNet ends in a convolution)."""
    return [name for name in models.list_models(module=models) if not name.startswith("squeezenet")]


def published(name: str) -> tuple[PublishedWeights, ...]:
    """torchvision's weights of a network; the first is what papers have used longest (IMAGENET1K_V1)."""
    found = []
    for weights in models.get_model_weights(name):
        if weights.name == "IMAGENET1K_FEATURES":  # VGG without its classifier's hidden layers
            continue
        file = weights.url.rsplit("/", 1)[1]
        prefix = HASH.search(file)
        if prefix is None:  # without a hash in its name a file cannot be known by its content
            continue
        found.append(PublishedWeights(file, prefix[1], _input(name, weights), (weights.url,)))
    return tuple(found)


def parameters(name: str) -> int:
    """Number of parameters as torchvision states it, the classifier's included."""
    return int(next(iter(models.get_model_weights(name))).meta["num_params"])


def _input(name: str, weights: Any) -> InputSpec:
    view = weights.transforms()
    mean, std = (tuple(view.mean), tuple(view.std)) if name not in UNIT_RANGE else ((0.5,) * 3, (0.5,) * 3)
    images = f"Instagram photographs by hashtag, then {IMAGENET}" if "SWAG" in weights.name else IMAGENET
    return InputSpec(mean, std, size=view.crop_size[0], trained_on=images)


class TorchvisionTrunk(nn.Module):
    """A torchvision network without its classifier; `classifier` names the parameters that were left out.

    `named` holds the parameters under torchvision's names.
    """

    def __init__(self, name: str, size: int) -> None:
        super().__init__()
        network = models.get_model(name, weights=None, **ARGUMENTS.get(name, {}))
        last = _behead(network)
        stages = _stages(network, size)
        nodes = {unit: unit for unit in stages} | {last: "final"}
        self.named = create_feature_extractor(network, nodes)
        self.classifier = (f"{last}.", *AUXILIARY)
        self._sides = [(1, 2) if channels_last else (2, 3) for _, channels_last in stages.values()]
        self.feature_sizes = (*(channels for channels, _ in stages.values()), _width(network, size))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Pooled stage features (B, F_s) of images (B, 3, H, W), the final one last."""
        *maps, final = self.named(x).values()
        pooled = [m.mean(sides) for m, sides in zip(maps, self._sides, strict=True)]
        return [*pooled, final.flatten(1)]


def _behead(network: nn.Module) -> str:
    """Replace the last linear layer, and a dropout right before it, by nothing; returns the layer's name."""
    modules = list(network.named_modules())
    position = max(i for i, (_, module) in enumerate(modules) if isinstance(module, nn.Linear))
    last: str = modules[position][0]
    before = modules[position - 1]
    network.set_submodule(last, nn.Identity())
    if isinstance(before[1], nn.Dropout):
        network.set_submodule(before[0], nn.Identity())
    return last


def _stages(network: nn.Module, size: int) -> dict[str, tuple[int, bool]]:
    """Last block of every stage but the final one -> its channels, and whether these come last (Swin)."""
    seen: dict[int, tuple[str, int, bool]] = {}

    def watch(name: str) -> Callable[..., None]:
        def note(module: nn.Module, arguments: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4:
                _, a, b, c = output.shape
                channels_last = a == b and b != c
                side, channels = (a, c) if channels_last else (c, a)
                if 1 < side <= size / 6:
                    seen[side] = (name, channels, channels_last)

        return note

    hooks = [module.register_forward_hook(watch(name)) for name, module in _blocks(network)]
    _dry_run(network, size)
    for hook in hooks:
        hook.remove()
    return {name: (channels, last) for name, channels, last in list(seen.values())[:-1]}


def _blocks(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that a network holds directly or in sequences, in order, with their names."""
    for name, module in network.named_children():
        if isinstance(module, nn.Sequential | nn.ModuleList):
            yield from _blocks(module, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", module


def _dry_run(network: nn.Module, size: int) -> Tensor:
    """The network's output for one black image; leaves its mode and statistics as they were."""
    training = network.training
    with torch.no_grad():
        output: Tensor = network.eval()(torch.zeros(1, 3, size, size))
    network.train(training)
    return output


def _width(network: nn.Module, size: int) -> int:
    return _dry_run(network, size).flatten(1).shape[1]
