"""Weights' files and what they demand of their input: normalisation belongs to weights, not to protocols."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from harness.contamination import NOTHING
from harness.errors import MissingError, RequestError


@dataclass(frozen=True)
class InputSpec:
    """What a network wants to see: `(scale * pixel - mean) / std` of pixels in [0, 1], in the order `channels`.

    mean, std: one number a channel, in the order of `channels` and in units of `scale`.
    channels: "RGB" or "BGR".
    scale: 1, or 255 for weights that were trained on grey levels.
    size: side in pixels of the square that the weights were trained on.
    trained_on: the images behind the weights; they may hold test classes.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: str = "RGB"
    scale: float = 1.0
    size: int = 224
    trained_on: str = ""

    def __post_init__(self) -> None:
        if self.channels not in ("RGB", "BGR"):
            raise RequestError(f"input channels are {self.channels!r}; expected RGB or BGR")
        if not min(self.std) > 0 or self.size < 1 or not self.scale > 0:
            raise RequestError(
                f"input std {self.std}, size {self.size}, scale {self.scale}: all must be above 0"
            )


@dataclass(frozen=True)
class PublishedWeights:
    """A weights' file that is known: the name it was published under, where, and the input it wants.

    sha256: of the file, or its leading digits where only those were published.
    addresses: in the order to try them; empty when the file is handed on by other means.
    """

    file: str
    sha256: str
    input: InputSpec
    addresses: tuple[str, ...] = ()


#: At the end of a file's name, as torchvision and timm publish it: the leading digits of its sha256.
HASH = re.compile(r"-([0-9a-f]{8,})\.pth$")
#: Every network trained from nothing sees RGB in [-1, 1].
FROM_SCRATCH = InputSpec((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), trained_on=NOTHING)


def sha256_of(file: Path) -> str:
    """sha256 of a file in hexadecimal. Raises MissingError when there is no such file."""
    if not file.is_file():
        raise MissingError(f"weights {file}: no such file; name the one that you have with --weights FILE")
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_state(file: Path) -> dict[str, Tensor]:
    """The parameters in a weights' file (.safetensors, or PyTorch's own format read as tensors only).

    Raises RequestError when the file is something else.
    """
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # on a damaged file pickle, zipfile, torch and safetensors each raise their own
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise RequestError(
            f"weights {file} cannot be read as plain tensors ({reason}); expected .safetensors, or a state dict as "
            "torch.save writes it"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise RequestError(
            f"weights {file} hold no state dict; expected a table of names and tensors, such as "
            "torch.save(network.state_dict(), FILE) writes"
        )
    return dict(state)


def fit(state: Mapping[str, Tensor], module: torch.nn.Module, dropped: tuple[str, ...], file: Path) -> None:
    """Load a file's parameters into `module`, without those whose names begin with one of `dropped`.

    A leading dimension of 1 that the module lacks is dropped: Caffe's ports store normalisation as (1, C).
    Raises RequestError that names what does not fit.
    """
    wanted = module.state_dict()
    kept = {name: value for name, value in state.items() if not name.startswith(dropped)}
    for name in kept.keys() & wanted.keys():
        if kept[name].shape == (1, *wanted[name].shape):
            kept[name] = kept[name].squeeze(0)
    missing = [name for name in wanted if name not in kept and not name.endswith("num_batches_tracked")]
    surplus = [name for name in kept if name not in wanted]
    shapes = [
        f"{name} {tuple(kept[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in kept and kept[name].shape != wanted[name].shape
    ]
    faults = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unknown", surplus), ("of another shape", shapes))
        if names
    ]
    if faults:
        raise RequestError(
            f"weights {file} do not fit this backbone: {'; '.join(faults)}. Are they another network's? --backbone "
            "names the network, --weights its file"
        )
    module.load_state_dict(kept, strict=False)
