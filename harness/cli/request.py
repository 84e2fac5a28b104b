"""From names to things, all of them checked before the first image is read."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from harness.backbones import InputSpec, backbone_names, find_weights
from harness.backbones.fetching import download_weights
from harness.backbones.finding import wanted_weights
from harness.campaign.campaign import Campaign, Places
from harness.campaign.prepare import Trunk, settle_trunk
from harness.cli.settings import Settings, read_settings
from harness.cli.terminal import bytes_bar
from harness.data import load_dataset
from harness.dataset import Dataset
from harness.discovery import load_protocol, select_methods
from harness.errors import MissingError, RequestError
from harness.protocol import Protocol

#: Prefix of the `--set` keys that describe unknown weights' input rather than the protocol.
INPUT = "input_"


def settle(request: argparse.Namespace) -> tuple[Campaign, Settings]:
    """The campaign that a command line asks for. Raises RequestError and MissingError; reads no image."""
    settings = read_settings(request.data, request.cache, request.results)
    plugins = tuple(_plugin(path) for path in request.plugin)
    methods = select_methods(request.methods, plugins)
    device = settle_device(request.device)
    if request.threads < 1:
        raise RequestError(f"--threads {request.threads}: expected 1 or more")
    changes, override = _settings(request.set)
    protocol = None if request.protocol is None else _protocol(request, changes)
    if request.backbone is not None:
        _check_backbone(request.backbone)
    # Only now the dataset: its own protocol is needed when none was named.
    cut = "official" if protocol is None else protocol.class_cut
    dataset = load_dataset(request.dataset, settings.data, request.partial, cut)
    if protocol is None:
        request.protocol = dataset.default_protocol
        protocol = _protocol(request, changes)
        if protocol.class_cut != cut:
            dataset = load_dataset(request.dataset, settings.data, request.partial, protocol.class_cut)
    trunk = settle_weights(request, protocol, override, settings)
    campaign = Campaign(
        dataset=dataset,
        trunk=trunk,
        methods=methods,
        places=Places(settings.results),
        device=device,
        threads=request.threads,
        workers=settle_workers(request, device),
        plugins=plugins,
        command=_command(request, dataset),
    )
    return campaign, settings


def settle_device(name: str | None) -> str:
    """The device of that name, or the best there is. Raises RequestError where it is not here."""
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RequestError(f"--device {name}: expected cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RequestError(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices")
    return name


def settle_workers(request: argparse.Namespace, device: str) -> int:
    """Trainings at once: as many as cores on a CPU, one on a GPU, unless the user says."""
    workers: int | None = getattr(request, "workers", None)
    if workers is None:
        return (
            (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
            if (device == "cpu")
            else 1
        )
    if workers < 1:
        raise RequestError(f"--workers {workers}: expected 1 or more")
    return workers


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
    if request.weights is not None and request.weights.lower() == "none":
        return settle_trunk(protocol, backbone, None, override)
    if request.weights is not None:
        return settle_trunk(protocol, backbone, Path(request.weights), override)
    if protocol.backbone is not None and protocol.weights is None:
        return settle_trunk(protocol, backbone, None, override)
    folders = [settings.cache / "weights"] + ([settings.data / "weights"] if settings.data else [])
    try:
        file = find_weights(backbone, protocol.weights, folders)
    except MissingError as missing:
        # Only a run is worth a download; a plan says what is missing.
        if request.command != "run":
            raise
        file = _fetch(backbone, protocol, settings, missing)
    return settle_trunk(protocol, backbone, file, override)


def _fetch(backbone: str, protocol: Protocol, settings: Settings, missing: MissingError) -> Path:
    wanted = wanted_weights(backbone, protocol.weights)
    if not wanted.addresses:
        raise MissingError(f"{missing}{_nearest_protocols(protocol)}") from None
    try:
        with bytes_bar(f"fetching {wanted.file}") as told:
            return download_weights(wanted, settings.cache / "weights", told)
    except MissingError as error:
        raise MissingError(f"{missing}\n{error}{_nearest_protocols(protocol)}") from None


def _nearest_protocols(protocol: Protocol) -> str:
    if protocol.backbone is None:
        return ""
    return (
        f"\n  Without them, protocols near {protocol.name} that can run: --protocol frozen --backbone mobilenet_v2 "
        "(any backbone whose weights are here), or --weights FILE"
    )


def _protocol(request: argparse.Namespace, changes: dict[str, str]) -> Protocol:
    return load_protocol(request.protocol).changed(changes)


def _settings(pairs: Sequence[str]) -> tuple[dict[str, str], InputSpec | None]:
    """`--set` pairs, those of the weights' input apart."""
    changes: dict[str, str] = {}
    spec: dict[str, Any] = {}
    known = [f.name for f in dataclasses.fields(InputSpec)]
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise RequestError(f"--set {pair}: expected NAME=VALUE, such as --set trials=5")
        if not name.startswith(INPUT):
            changes[name] = value
            continue
        if name.removeprefix(INPUT) not in known:
            near = difflib.get_close_matches(name, [INPUT + k for k in known], 1)
            raise RequestError(f"--set {name}: no such thing; expected one of {', '.join(near or known)}")
        spec[name.removeprefix(INPUT)] = _value(name, value)
    if not spec:
        return changes, None
    if not {"mean", "std"} <= spec.keys():
        raise RequestError("--set input_...: input_mean and input_std are both needed, such as [0.5,0.5,0.5]")
    return changes, InputSpec(**spec)


def _value(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, list) and (len(value) != 3 or not all(isinstance(v, int | float) for v in value)):
        raise RequestError(f"--set {name}={text}: expected three numbers, such as [0.5,0.5,0.5]")
    return tuple(value) if isinstance(value, list) else value


def _check_backbone(name: str) -> None:
    names = backbone_names()
    if name not in names and not name.startswith("timm:"):
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else "`list backbones` shows them"
        raise RequestError(f"no backbone {name!r}; {hint}")


def _plugin(path: str) -> Path:
    file = Path(path)
    if not file.is_file():
        raise RequestError(f"--plugin {path}: no such file")
    return file.resolve()


def _command(request: argparse.Namespace, dataset: Dataset) -> str:
    """The line that makes one entry's record again; METHOD stands for its method."""
    words = ["--methods", "METHOD", "--dataset", request.dataset, "--protocol", request.protocol]
    words += ["--partial"] if dataset.partial else []
    words += [
        w
        for flag in ("backbone", "weights")
        if getattr(request, flag)
        for w in (f"--{flag}", getattr(request, flag))
    ]
    words += [w for pair in request.set for w in ("--set", pair)]
    words += [w for file in request.plugin for w in ("--plugin", file)]
    words += ["--threads", str(request.threads)] if request.threads != 1 else []
    return " ".join(["python run_benchmark.py", *map(shlex.quote, words)])
