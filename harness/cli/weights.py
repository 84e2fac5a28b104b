"""The weights of a request: which backbone and which file, found here or fetched."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from harness.backbones import InputSpec, backbone_names, find_weights, published_weights
from harness.backbones.fetching import download_weights
from harness.backbones.finding import wanted_weights
from harness.backbones.weights import sha256_of
from harness.campaign.prepare import Trunk, settle_trunk
from harness.cli.changes import read_changes
from harness.cli.settings import Settings
from harness.cli.steps import step_bars
from harness.errors import MissingError, RequestError
from harness.protocol import Protocol

#: What stands for a network that is trained from scratch.
SCRATCH = "none"


def check_backbone(name: str) -> None:
    """Raises RequestError for a name that is no backbone, with the nearest one."""
    names = backbone_names()
    if name not in names and not name.startswith("timm:"):
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else "`list backbones` shows them"
        raise RequestError(f"no backbone {name!r}; {hint}")


def with_weights(pairs: Sequence[str], weights: str | None) -> list[str]:
    """The `--set` pairs, with the weights of a backbone that they change where they do not name any.

    weights: what `--weights` says. Without it a backbone's first known weights are meant, as papers mean them when
    they name the backbone alone. Raises RequestError where none are known: nothing is trained from scratch unasked.
    """
    values = read_changes(pairs).values
    backbone = values.get("backbone")
    if backbone is None or "weights" in values:
        return list(pairs)
    if weights is not None:
        meant = SCRATCH if weights.lower() == SCRATCH else sha256_of(Path(weights))
        return [*pairs, f"weights={meant}"]
    check_backbone(backbone)
    known = published_weights(backbone)
    if not known:
        raise RequestError(
            f"--set backbone={backbone}: no weights of it are known; say which with --weights FILE, or "
            f"--set weights={SCRATCH} to train it from scratch"
        )
    return [*pairs, f"weights={known[0].sha256}"]


def settle_weights(
    request: argparse.Namespace, protocol: Protocol, override: InputSpec | None, settings: Settings
) -> Trunk:
    """The protocol's trunk with its weights' file found."""
    backbone = request.backbone or protocol.backbone
    if backbone is None:
        raise RequestError(
            f"protocol {protocol.name} leaves the backbone free: name one with --backbone (mobilenet_v2, resnet50, "
            "...; `list backbones` shows them)"
        )
    protocol.with_backbone(backbone, None)  # refuses one that the protocol does not allow
    file = _file(request, backbone, protocol, settings)
    if protocol.backbone is None:
        _check_sha256(file, protocol)
    return settle_trunk(protocol, backbone, file, override)


def _file(request: argparse.Namespace, backbone: str, protocol: Protocol, settings: Settings) -> Path | None:
    """The weights' file; None where the network is trained from scratch."""
    if request.weights is not None:
        return None if request.weights.lower() == SCRATCH else Path(request.weights)
    from_scratch = protocol.weights is None and (
        protocol.backbone is not None or "weights" in protocol.by_hand
    )
    if from_scratch:
        return None
    try:
        return find_weights(backbone, protocol.weights, settings.weights_folders)
    except MissingError as missing:
        # Only training is worth a download; a plan and a diary say what is missing.
        if request.command not in ("run", "place"):
            raise
        return _fetch(backbone, protocol, settings, missing)


def _check_sha256(file: Path | None, protocol: Protocol) -> None:
    """`--set weights=` and `--weights FILE` must mean the same, where the backbone is free too."""
    if file is not None and not sha256_of(file).startswith(protocol.weights or ""):
        raise RequestError(
            f"--weights {file}: its sha256 is {sha256_of(file)[:16]}..., but --set weights={protocol.weights} asks for "
            "others; leave one of the two out"
        )


def _fetch(backbone: str, protocol: Protocol, settings: Settings, missing: MissingError) -> Path:
    wanted = wanted_weights(backbone, protocol.weights)
    if not wanted.addresses:
        raise MissingError(f"{missing}{_nearest_protocols(protocol)}") from None
    try:
        with step_bars(counts_bytes=True) as told:
            fetching = partial(told, f"fetching {wanted.file}")
            fetching(0, 0)  # said before the first answer, which may never come
            return download_weights(wanted, settings.cache / "weights", fetching)
    except MissingError as error:
        raise MissingError(f"{missing}\n{error}{_nearest_protocols(protocol)}") from None


def _nearest_protocols(protocol: Protocol) -> str:
    if protocol.backbone is None:
        return ""
    return (
        f"\n  Without them, protocols near {protocol.name} that can run: --protocol frozen --backbone mobilenet_v2 "
        "(any backbone whose weights are here), or --weights FILE"
    )
