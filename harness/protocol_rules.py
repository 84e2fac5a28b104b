"""The rules that a protocol's values keep, each fault in words: the field, its value and what was expected."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.protocol import Protocol

#: The metrics that may choose, as people write them.
SELECTIONS = {"map_at_r": "MAP@R", "r_precision": "R-Precision", "recall_at_1": "Recall@1"}

CHOICES = {
    "train_view": ("crop", "jitter", "whole"),
    "test_view": ("centre", "whole"),
    "optimizer": ("rmsprop", "adamw"),
    "batches": ("passes", "draws"),
    "fold_rule": ("contiguous", "hashed", "shuffled"),
    "precision": ("float32", "bfloat16"),
    "compiled": ("no", "default", "reduce-overhead"),
    "class_cut": ("official", "half"),
    "search": ("tpe", "gp", "random"),
    "selection": tuple(SELECTIONS),
}

#: The smallest value that a number may have; rates, which may not be 0, are apart.
LEAST = {
    **dict.fromkeys(("embedding_size", "resize", "size", "batch_size", "images_per_class"), 1),
    **dict.fromkeys(("epoch_steps", "evaluate_every", "epochs", "trials", "searches", "repetitions"), 1),
    "folds": 2,
    **dict.fromkeys(("patience", "published_repetitions", "finalists", "finalist_seeds"), 0),
    **dict.fromkeys(("momentum", "weight_decay", "own_weight_decay", "jitter_shift", "jitter_rotation"), 0),
}


def faults(protocol: Protocol) -> Iterator[str]:
    """What is wrong with a protocol's values, one sentence a fault; nothing where all is well."""
    yield from _wrong_choices(protocol)
    yield from _wrong_numbers(protocol)
    yield from _wrong_pairs(protocol)
    yield from _wrong_together(protocol)


def _wrong_choices(protocol: Protocol) -> Iterator[str]:
    for name, allowed in CHOICES.items():
        if getattr(protocol, name) not in allowed:
            yield f"{name} is {getattr(protocol, name)!r}; expected one of {', '.join(allowed)}"
    weights = protocol.weights
    if weights is not None and not re.fullmatch(r"[0-9a-f]{8,64}", weights):
        yield f"weights is {weights!r}; expected 8 to 64 of the first digits of their file's sha256, in lower case"


def _wrong_numbers(protocol: Protocol) -> Iterator[str]:
    for name, least in LEAST.items():
        value = getattr(protocol, name)
        if not least <= value < math.inf:
            yield f"{name} is {value}; expected {least} or more"
    for name in ("lr", "own_lr"):
        value = getattr(protocol, name)
        if value is not None and not 0 < value < math.inf:
            yield f"{name} is {value}; expected a number above 0"
    if protocol.momentum >= 1:
        yield f"momentum is {protocol.momentum}; expected a number below 1"


def _wrong_pairs(protocol: Protocol) -> Iterator[str]:
    for name in ("crop_area", "crop_ratio", "jitter_scale", "lr_range", "own_lr_range"):
        pair = getattr(protocol, name)
        if pair is not None and not 0 < pair[0] <= pair[1] < math.inf:
            yield f"{name} is {pair}; expected two numbers above 0, the smaller first"
    area, ratio = protocol.crop_area, protocol.crop_ratio
    if area[1] > 1:
        yield f"crop_area is {area}; expected shares of the image's area, at most 1"
    # A crop of area a and ratio r of a square image is sqrt(a r) wide and sqrt(a / r) high.
    if ratio[1] < area[0] or ratio[0] > 1 / area[0]:
        yield f"no crop with crop_area {area} and crop_ratio {ratio} fits into a square image"
    for rate in ("lr", "own_lr"):
        value, within = getattr(protocol, rate), getattr(protocol, f"{rate}_range")
        if value is not None and within is not None and not within[0] <= value <= within[1]:
            yield f"{rate} {value} lies outside {rate}_range {within}, where trial 0 could not try it; change both"


def _wrong_together(protocol: Protocol) -> Iterator[str]:
    if protocol.batch_size % protocol.images_per_class:
        yield (
            f"batch_size {protocol.batch_size} is no multiple of images_per_class {protocol.images_per_class}; "
            "a batch holds whole groups of one class"
        )
    if protocol.resize < protocol.size and protocol.test_view == "centre":
        yield f"size {protocol.size} does not fit into resize {protocol.resize}"
    for one, other in (("own_lr", "own_lr_range"), ("finalists", "finalist_seeds")):
        if (not getattr(protocol, one)) != (not getattr(protocol, other)):
            yield f"{one} and {other} are set together or not at all"
