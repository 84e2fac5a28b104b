"""Weights' files on this machine: finding them, and saying what is missing and where to get it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from harness.backbones import timm_models, torchvision_models
from harness.backbones.catalogue import published_weights, usual_input
from harness.backbones.own import own_backbone
from harness.backbones.weights import PublishedWeights, sha256_of
from harness.contamination import contamination
from harness.errors import MissingError


def find_weights(name: str, expected: str | None, folders: Sequence[Path]) -> Path:
    """The file of a backbone's weights, under its published name in one of `folders` or in torch's own cache.

    expected: sha256 of the file or its leading digits; None: the first of the backbone's known weights.
    Raises RequestError for an unknown backbone, MissingError that says what to get, from where, and where to put it.
    """
    wanted = wanted_weights(name, expected)
    places = [*folders, Path(torch.hub.get_dir()) / "checkpoints"]
    others = []
    for place in places:
        file = place / wanted.file
        if file.is_file():
            sha256 = sha256_of(file)
            if sha256.startswith(wanted.sha256):
                return file
            others.append(f"\n  {file} is another file: its sha256 is {sha256}")
    raise MissingError(_missing(name, wanted, places) + "".join(others) + _at_hand(name, wanted, places))


def describe(name: str, folders: Sequence[Path]) -> dict[str, Any]:
    """One row of `list backbones`: size, input, its default weights, where they come from, whether they or others are
    here, and what they have seen.

    Parameters of torchvision's networks include the classifier, as torchvision counts them.
    """
    known = published_weights(name)
    spec = usual_input(name)
    return {
        "name": name,
        "parameters": _parameters(name),
        "size": spec.size,
        "input": f"{spec.channels} 0-{spec.scale:g}, mean {_numbers(spec.mean)}, std {_numbers(spec.std)}",
        "weights": known[0].file if known else None,
        "address": _address(name, known),
        "here": _here(name, folders),
        "others_here": [file.name for file in _others(name, known[:1], folders)],
        "trained_on": spec.trained_on,
        "note": contamination(spec.trained_on),
    }


def wanted_weights(name: str, expected: str | None) -> PublishedWeights:
    """The known weights of a backbone with that sha256 (or its leading digits); the first ones where it is None.

    Raises RequestError for an unknown backbone, MissingError where no such weights are known.
    """
    known = published_weights(name)
    wanted = [w for w in known if expected is None or _agree(w.sha256, expected.lower())]
    if wanted:
        return wanted[0]
    asked = "weights" if expected is None else f"weights with sha256 {expected}"
    files = ", ".join(f"{w.file} ({w.sha256[:12]})" for w in known) or "none"
    raise MissingError(
        f"backbone {name}: no {asked} are known (known: {files}); name the file with --weights FILE"
    )


def _agree(known: str, expected: str) -> bool:
    """Whether two hashes, either of them perhaps cut short, can be of one file."""
    return known.startswith(expected) or expected.startswith(known)


def _missing(name: str, wanted: PublishedWeights, places: Sequence[Path]) -> str:
    source = " or ".join(wanted.addresses) or "whoever handed it on"
    return (
        f"backbone {name}: its weights are not here\n"
        f"  file: {wanted.file}, sha256 {wanted.sha256}\n"
        f"  looked in: {', '.join(map(str, places))}\n"
        f"  get it from {source}; put it into one of these folders or name it with --weights FILE"
    )


def _at_hand(name: str, wanted: PublishedWeights, places: Sequence[Path]) -> str:
    files = _others(name, (wanted,), places)
    return "".join(f"\n  other weights of it are here: --weights {file}" for file in files)


def _others(name: str, wanted: Sequence[PublishedWeights], places: Sequence[Path]) -> list[Path]:
    """The other weights of a backbone that are here: never taken unasked, since they give other numbers."""
    files = [place / w.file for w in published_weights(name) if w not in wanted for place in places]
    return [file for file in files if file.is_file()]


def _address(name: str, known: Sequence[PublishedWeights]) -> str | None:
    """Where the weights come from that papers mean when they name the backbone alone."""
    if known and known[0].addresses:
        return known[0].addresses[0]
    return timm_models.origin(name) if name.startswith(timm_models.PREFIX) else None


def _here(name: str, folders: Sequence[Path]) -> bool:
    """Whether the backbone can be used now; one that has no published weights starts without any."""
    own = own_backbone(name)
    if own is not None and not own.published:
        return True
    try:
        find_weights(name, None, folders)
    except MissingError:
        return False
    return True


def _parameters(name: str) -> int:
    own = own_backbone(name)
    if own is None and not name.startswith(timm_models.PREFIX):
        return torchvision_models.parameters(name)
    with torch.device("meta"):  # shapes without memory
        module = own.build() if own is not None else timm_models.TimmTrunk(name)
        return sum(p.numel() for p in module.parameters())


def _numbers(values: Sequence[float]) -> str:
    return "/".join(f"{value:g}" for value in values)
