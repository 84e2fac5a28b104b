"""Features of a backbone that does not train: computed once for a dataset, weights and view, kept in the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock
from safetensors.torch import save_file
from torch import Tensor, nn

import harness
from harness.backbones import InputSpec, load_backbone
from harness.data.decoded import DecodedImages
from harness.data.parallel import in_order
from harness.data.store import ImageStore
from harness.engine.inputs import EVALUATION_BATCH, ImageInputs
from harness.protocol import Protocol
from harness.seeding import seed_of

Progress = Callable[[int, int], None]


def stored_features(
    store: ImageStore | DecodedImages,
    protocol: Protocol,
    weights: Path | None,
    spec: InputSpec,
    cache: Path,
    device: str,
    threads: int = 1,
    progress: Progress | None = None,
) -> Path:
    """File of the pooled stage features `stage0` .. (N, F_s) float32 of every image, computed unless it is there.

    The images are seen as in evaluation. Which device computed them is not part of the name: one cache, one answer.
    threads: of each image batch's arithmetic on a CPU; batches are computed side by side, one a core.
    """
    assert protocol.backbone is not None
    facts = (
        store.digest, protocol.backbone, protocol.weights, spec, protocol.size, protocol.test_view, threads,
        harness.NUMERICS,
    )  # fmt: skip
    name = hashlib.sha256(repr(facts).encode()).hexdigest()
    file = cache / "features" / f"{name}.safetensors"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            if not file.exists():
                _compute(store, protocol, weights, spec, file, torch.device(device), threads, progress)
    return file


def fixed_backbone(protocol: Protocol, weights: Path | None, spec: InputSpec) -> nn.Module:
    """The backbone that gives the features, on the CPU; without weights a random one, the same for everybody."""
    assert protocol.backbone is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("network", protocol.backbone))
        return load_backbone(protocol.backbone, weights, protocol.weights, spec).module


def _compute(
    store: ImageStore | DecodedImages,
    protocol: Protocol,
    weights: Path | None,
    spec: InputSpec,
    file: Path,
    device: torch.device,
    threads: int,
    progress: Progress | None,
) -> None:
    module = fixed_backbone(protocol, weights, spec).to(device).eval()
    inputs = ImageInputs(store, protocol, spec, device)
    parts = torch.split(torch.arange(len(store)), EVALUATION_BATCH)

    @torch.no_grad()
    def work(part: int) -> list[Tensor]:
        torch.set_num_threads(threads)  # of this thread alone: digits depend on it
        batch = next(inputs.test_batches(parts[part]))
        return [feature.float().cpu() for feature in module(batch)]

    stages: list[list[Tensor]] = []
    done = 0
    for stage in in_order(work, len(parts), None if device.type == "cpu" else 1):
        stages.append(stage)
        done += len(stage[0])
        if progress is not None:
            progress(done, len(store))
    joined = {f"stage{i}": torch.cat(parts).contiguous() for i, parts in enumerate(zip(*stages, strict=True))}
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    save_file(joined, temporary)
    os.replace(temporary, file)
