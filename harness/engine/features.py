"""Features of a backbone that does not train: computed once for a dataset, weights and view, kept in the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock
from safetensors.torch import save_file

import harness
from harness.backbones import InputSpec, load_backbone
from harness.data.store import ImageStore
from harness.engine.inputs import ImageInputs
from harness.protocol import Protocol
from harness.seeding import seed_of

Progress = Callable[[int, int], None]


def stored_features(
    store: ImageStore,
    protocol: Protocol,
    weights: Path | None,
    spec: InputSpec,
    cache: Path,
    device: str,
    progress: Progress | None = None,
) -> Path:
    """File of the pooled stage features `stage0` .. (N, F_s) float32 of every image, computed unless it is there.

    The images are seen as in evaluation. Which device computed them is not part of the name: one cache, one answer.
    """
    assert protocol.backbone is not None
    facts = (
        store.digest, protocol.backbone, protocol.weights, spec, protocol.size, protocol.test_view, harness.NUMERICS,
    )  # fmt: skip
    name = hashlib.sha256(repr(facts).encode()).hexdigest()
    file = cache / "features" / f"{name}.safetensors"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            if not file.exists():
                _compute(store, protocol, weights, spec, file, torch.device(device), progress)
    return file


@torch.no_grad()
def _compute(
    store: ImageStore,
    protocol: Protocol,
    weights: Path | None,
    spec: InputSpec,
    file: Path,
    device: torch.device,
    progress: Progress | None,
) -> None:
    assert protocol.backbone is not None
    with torch.random.fork_rng(devices=[]):
        # A network without weights is a random one, the same for everybody.
        torch.manual_seed(seed_of("network", protocol.backbone))
        module = load_backbone(protocol.backbone, weights, protocol.weights, spec).module.to(device).eval()
    stages: list[list[torch.Tensor]] = []
    inputs = ImageInputs(store, protocol, spec, device)
    done = 0
    for batch in inputs.test_batches(torch.arange(len(store))):
        stages.append([feature.float().cpu() for feature in module(batch)])
        done += len(batch)
        if progress is not None:
            progress(done, len(store))
    joined = {f"stage{i}": torch.cat(parts).contiguous() for i, parts in enumerate(zip(*stages, strict=True))}
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    save_file(joined, temporary)
    os.replace(temporary, file)
