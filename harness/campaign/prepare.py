"""Before the first training: images decoded, features computed, everything a worker needs laid out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.backbones import InputSpec, input_spec, load_backbone, published_weights
from harness.backbones.weights import sha256_of
from harness.contamination import contamination, may_hold_test_classes
from harness.data.decoded import DecodedImages, decode_when_seen
from harness.data.store import ImageStore, build_store
from harness.dataset import Dataset, ImageSet
from harness.engine.bench import Bench, Role, TestRoles
from harness.engine.features import stored_features
from harness.errors import RequestError
from harness.protocol import Protocol

#: Told what is being prepared, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Trunk:
    """The protocol with its backbone settled: the weights' file, their sha256 and the input they want."""

    protocol: Protocol
    weights: Path | None
    sha256: str
    input: InputSpec

    @property
    def note(self) -> str:
        return f"trained on {self.input.trained_on}"

    @property
    def caveat(self) -> str:
        """What keeps entries with these weights out of ranks; "" where nothing does."""
        if self.weights is None or not may_hold_test_classes(self.input.trained_on):
            return ""
        return contamination(self.input.trained_on)


def settle_trunk(
    protocol: Protocol, backbone: str | None, weights: Path | None, override: InputSpec | None
) -> Trunk:
    """The trunk of a run: the protocol's backbone, or where it leaves it free, the user's.

    weights: their file, None from scratch.
    Raises RequestError and MissingError, before any image is read.
    """
    free = protocol.backbone is None
    name = backbone or protocol.backbone
    assert name is not None
    sha256 = "" if weights is None else sha256_of(weights)
    if weights is None:
        spec = load_backbone(name, None, None, override).input
    else:
        spec = input_spec(sha256, override, published_weights(name))
    if not free:
        _demand_weights(protocol, sha256)
    settled = protocol.with_backbone(name, sha256 or None) if free else protocol
    if settled.size_of_weights:
        size, resize = (
            getattr(settled, side) if side in settled.by_hand else spec.size for side in ("size", "resize")
        )
        settled = dataclasses.replace(settled, size=size, resize=resize)
    if free:
        usual = next((w.sha256 for w in published_weights(name)), None)
        if sha256 if usual is None else not sha256.startswith(usual):
            # Not what papers mean when they name the backbone alone: it stands in the records' folder.
            settled = dataclasses.replace(settled, by_hand={**settled.by_hand, "weights": sha256})
    if override is not None:
        # Another input makes other numbers of the same weights.
        stated = hashlib.sha256(repr(spec).encode()).hexdigest()[:12]
        sha256 += f"-{stated}"
        settled = dataclasses.replace(settled, by_hand={**settled.by_hand, "input": stated})
    return Trunk(settled, weights, sha256, spec)


def _demand_weights(protocol: Protocol, sha256: str) -> None:
    """A protocol that fixes its weights, or trains from scratch, is not that protocol with others."""
    if protocol.weights is None and sha256:
        raise RequestError(
            f"protocol {protocol.name} trains its network from scratch; to begin from weights is another protocol: "
            f"--set weights={sha256[:16]}"
        )
    if protocol.weights is not None and not sha256.startswith(protocol.weights):
        raise RequestError(
            f"protocol {protocol.name} fixes weights with sha256 {protocol.weights}, these have "
            f"{sha256[:16] or 'none (from scratch)'}; others make another protocol: "
            f"--set weights={sha256[:16] or 'none'}"
        )


def prepare(
    dataset: Dataset,
    trunk: Trunk,
    cache: Path,
    device: str,
    threads: int,
    plugins: tuple[Path, ...],
    progress: Progress,
    *,
    keep_images: bool = True,
) -> tuple[Bench, TestRoles]:
    """Stores (and features where the backbone does not train) of every role. What is in the cache is not made again.

    keep_images: False decodes images whenever they are seen, for a disk that cannot hold them decoded; slower.
    """
    protocol = trunk.protocol.on(dataset.name)
    maker = _Maker(protocol, trunk, cache, device, threads, progress, keep_images)
    queries = maker.role("test images", dataset.test)
    gallery = None if dataset.gallery is None else maker.role("gallery images", dataset.gallery)
    bench = Bench(
        protocol=protocol,
        development=maker.role("development images", dataset.development),
        recall_at=dataset.recall_at,
        weights=trunk.weights,
        input=trunk.input,
        features=not protocol.train_backbone,
        device=device,
        threads=threads,
        plugins=plugins,
    )
    return bench, TestRoles(queries, gallery, dataset.recall_at)


@dataclass(frozen=True)
class _Maker:
    protocol: Protocol
    trunk: Trunk
    cache: Path
    device: str
    threads: int
    progress: Progress
    keep_images: bool

    def role(self, what: str, images: ImageSet) -> Role:
        make = build_store if self.keep_images else decode_when_seen
        store = make(
            images.pictures,
            self.protocol.resize,
            self.cache,
            lambda done, all_: self.progress(f"decoding {what}", done, all_),
            square=self.protocol.test_view == "whole",
        )
        if not self.protocol.train_backbone:
            file: Path | DecodedImages = self._features(what, store)
        else:
            file = store.path if isinstance(store, ImageStore) else store
        return Role(file, images.labels, images.class_names)

    def _features(self, what: str, store: ImageStore | DecodedImages) -> Path:
        return stored_features(
            store, self.protocol, self.trunk.weights, self.trunk.input, self.cache, self.device, self.threads,
            lambda done, all_: self.progress(f"features of {what}", done, all_),
        )  # fmt: skip
