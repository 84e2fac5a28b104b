"""The same training written the way one would without this project: pytorch-metric-learning and torch, and no line of
the engine. Only the network's module and the images come from here, as tensors in memory.

`ours` is the project's own training of the same cell. `make agree` compares the two (tests/agree.py), and a short form
of it is among the tests.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from pytorch_metric_learning.losses import ContrastiveLoss, MultiSimilarityLoss, ProxyNCALoss
from pytorch_metric_learning.miners import MultiSimilarityMiner
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor, nn

from harness.backbones.convnet import ConvNet
from harness.campaign.prepare import prepare, settle_trunk
from harness.cell import Training
from harness.data import load_dataset
from harness.dataset import ImageSet
from harness.discovery import load_method
from harness.engine.bench import Bench, TestRoles
from harness.engine.measuring import measure
from harness.engine.training import run_training
from harness.protocol import Protocol
from harness.splits import class_order, fold_classes

#: Ours, and the loss of the library that it must be. The library's ProxyNCA is the Reality Check's: it leaves the true
#: proxy in the sum below the line, so its partner here is `proxy_nca_rc`.
METHODS = ("contrastive", "ms", "proxy_nca_rc")
#: Images of a class in a batch.
PER_CLASS = {"contrastive": 4, "ms": 4, "proxy_nca_rc": 1}
SCALE = 9.0
PROXY_RATE = 50.0
FOLD = 0


# -- the loop --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Tensors:
    """Images (N, 3, S, S) in [-1, 1] and labels (N,) of one fold's sides and of the test classes."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def tensors(root: Path, protocol: Protocol) -> Tensors:
    dataset = load_dataset("omniglot", root, partial=True)
    images, labels = _stacked(dataset.development, protocol.size)
    order = class_order(dataset.development.class_names, protocol.fold_rule, dataset.slug, 1)
    train, validation = (
        torch.isin(labels, torch.tensor(part)) for part in fold_classes(order, FOLD, protocol.folds)
    )
    sides = [
        (images[side], torch.unique(labels[side], return_inverse=True)[1]) for side in (train, validation)
    ]
    return Tensors(sides[0], sides[1], _stacked(dataset.test, protocol.size))


def _stacked(images: ImageSet, size: int) -> tuple[Tensor, Tensor]:
    drawn = []
    for i in range(len(images)):
        picture = Image.fromarray(images.pictures.read(i)).convert("RGB")
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        drawn.append(pixels.view(picture.height, picture.width, 3).permute(2, 0, 1).float() / 255)
    squares = [F.interpolate(d[None], size=(size, size), mode="bilinear", antialias=True)[0] for d in drawn]
    return torch.stack(squares) * 2 - 1, torch.from_numpy(images.labels).long()


class _Network(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.trunk = ConvNet()
        self.head = nn.Linear(self.trunk.feature_sizes[-1], size)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x)[-1])


def loop(name: str, data: Tensors, protocol: Protocol, seed: int) -> float:
    """Train as the protocol says, keep the epoch that validates best; MAP@R on the test classes."""
    torch.manual_seed(seed)
    network = _Network(protocol.embedding_size)
    images, labels = data.train
    loss, learnt = _loss(name, int(labels.max()) + 1, protocol.embedding_size)
    groups = [{"params": list(network.parameters())}]
    if learnt:
        groups.append({"params": learnt, "lr": PROXY_RATE * protocol.lr, "weight_decay": 0.0})
    optimizer = torch.optim.AdamW(groups, lr=protocol.lr, weight_decay=protocol.weight_decay)
    sampler = MPerClassSampler(
        labels, PER_CLASS[name], protocol.batch_size, protocol.batch_size * protocol.epoch_steps
    )
    best, best_epoch, kept = _map_at_r(network, data.validation), 0, copy.deepcopy(network.state_dict())
    for epoch in range(1, protocol.epochs + 1):
        network.train()
        for batch in torch.tensor(list(sampler)).split(protocol.batch_size):
            optimizer.zero_grad()
            loss(network(_moved(images[batch], protocol)), labels[batch]).backward()
            optimizer.step()
        score = _map_at_r(network, data.validation)
        if score > best:
            best, best_epoch, kept = score, epoch, copy.deepcopy(network.state_dict())
        if epoch - best_epoch > protocol.patience:
            break
    network.load_state_dict(kept)
    return _map_at_r(network, data.test)


def _loss(
    name: str, classes: int, size: int
) -> tuple[Callable[[Tensor, Tensor], Tensor], list[nn.Parameter]]:
    if name == "contrastive":
        return ContrastiveLoss(pos_margin=0, neg_margin=1), []
    if name == "ms":
        miner, loss = MultiSimilarityMiner(epsilon=0.1), MultiSimilarityLoss(alpha=2, beta=40, base=0.5)
        return lambda x, labels: loss(x, labels, miner(x, labels)), []
    proxies = ProxyNCALoss(classes, size, softmax_scale=SCALE)
    nn.init.normal_(proxies.proxies)
    return proxies, list(proxies.parameters())


def _moved(images: Tensor, protocol: Protocol) -> Tensor:
    """Each image shifted, scaled and turned at random about its centre."""
    count, side = len(images), images.shape[-1]
    low, high = protocol.jitter_scale
    turn = math.radians(protocol.jitter_rotation) * (2 * torch.rand(count) - 1)
    zoom = 1 / (low + (high - low) * torch.rand(count))
    shift = 2 * protocol.jitter_shift / side * (2 * torch.rand(count, 2) - 1)
    cosine, sine = zoom * torch.cos(turn), zoom * torch.sin(turn)
    theta = torch.stack(
        [torch.stack([cosine, -sine, shift[:, 0]], 1), torch.stack([sine, cosine, shift[:, 1]], 1)], 1
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


@torch.no_grad()
def _map_at_r(network: nn.Module, side: tuple[Tensor, Tensor]) -> float:
    network.eval()
    images, labels = side
    embeddings = torch.cat([network(part) for part in images.split(256)])
    calculator = AccuracyCalculator(include=("mean_average_precision_at_r",), k="max_bin_count")
    found = calculator.get_accuracy(F.normalize(embeddings), labels)
    return float(found["mean_average_precision_at_r"])


# -- ours ------------------------------------------------------------------------------------------------------------
def benches(root: Path, protocol: Protocol, cache: Path) -> tuple[Bench, TestRoles]:
    dataset = load_dataset("omniglot", root, partial=True)
    trunk = settle_trunk(protocol, None, None, None)
    return prepare(dataset, trunk, cache, "cpu", 1, (), lambda *_: None)


def ours(name: str, bench: Bench, test: TestRoles, seed: int) -> float:
    """The project's training of the same cell, and its MAP@R on the test classes."""
    result, embedder = run_training(cell(name, seed), load_method(name), bench)
    assert result.status == "ok" and embedder is not None, result.error
    return measure(embedder, bench, test).metrics["map_at_r"]


def cell(name: str, seed: int) -> Training:
    method = load_method(name)
    own = {} if method.own is None else {"own_lr": method.own.published_lr}
    return Training(
        "agree", "", "omniglot", "", "", (1,), "", name, method.source, {**method.published, **own}, FOLD, seed
    )  # fmt: skip
