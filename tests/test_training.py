"""One training: when it stops, what it keeps, which parameters move at which rate, and what stays fixed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.campaign.prepare import prepare, settle_trunk
from harness.cell import Training
from harness.discovery import load_method, load_protocol
from harness.engine.bench import Bench, TestRoles
from harness.engine.embedder import Embedder
from harness.engine.measuring import measure, measure_joined
from harness.engine.optimizer import build_optimizer
from harness.engine.parts import fold_of
from harness.engine.training import run_training
from harness.metrics import score
from harness.protocol import Protocol
from tests.small import few_glyphs


def small(protocol: Protocol, **changes: Any) -> Protocol:
    """A protocol on a network and images that a test can afford."""
    values = {"backbone": "convnet", "weights": None, "resize": 32, "size": 28, **changes}
    return dataclasses.replace(protocol, **values)


def benched(protocol: Protocol, cache: Path) -> tuple[Bench, TestRoles]:
    trunk = settle_trunk(protocol, None, None, None)
    return prepare(few_glyphs(), trunk, cache, "cpu", 1, (), lambda *_: None)


def cell(method: str = "contrastive", fold: int = 0, seed: int = 1, **values: Any) -> Training:
    return Training(
        "p", "", "few", "", "", (1,), "", method, "", {**load_method(method).published, **values}, fold, seed
    )


@pytest.mark.parametrize(("dataset", "stop"), [("cub", 10), ("cars", 15), ("sop", 40)])
@pytest.mark.parametrize("best", [0, 40])
def test_the_reality_check_stops_where_it_did(
    dataset: str, stop: int, best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """protocol of the Reality Check: the first validation more than 9, 14, 39 epochs after the best one."""
    protocol = small(load_protocol("reality_check").on(dataset), epoch_steps=1)
    bench, _ = benched(protocol, tmp_path)
    told: list[int] = []

    def scripted() -> Iterator[float]:
        # Equal scores are no improvement: the epoch stays the first one to reach them.
        while True:
            epoch = len(told) * protocol.evaluate_every
            yield 0.5 if epoch >= best else 0.1 + epoch / 1000

    scores = scripted()
    monkeypatch.setattr(
        "harness.engine.training.score", lambda *_, **__: SimpleNamespace(metrics={"map_at_r": next(scores)})
    )
    result, _ = run_training(cell(), load_method("contrastive"), bench, lambda epoch, *_: told.append(epoch))
    assert result.best_epoch == best
    assert result.ended == "patience" and told[-1] == best + stop
    assert told == list(range(0, best + stop + 1, protocol.evaluate_every))


def test_the_best_epoch_is_what_is_measured(tmp_path: Path) -> None:
    """A rate that wrecks the network after a first good epoch: the embedder handed on is the good one."""
    protocol = dataclasses.replace(load_protocol("smoke"), lr=0.05, lr_range=None, epochs=3, epoch_steps=10)
    bench, _ = benched(protocol, tmp_path)
    result, embedder = run_training(cell("nca"), load_method("nca"), bench)
    assert embedder is not None
    scores = [value for _, value in result.curve]
    assert result.score == max(scores) == scores[result.best_epoch]
    fold = fold_of(cell("nca"), bench)
    inputs = bench.inputs(bench.development)
    again = score(embedder.embed(inputs.test_batches(fold.validation)), fold.validation_labels)
    assert again.metrics["map_at_r"] == pytest.approx(result.score, abs=1e-6)


def test_one_seed_gives_all_methods_the_same_start_and_batches(tmp_path: Path) -> None:
    bench, _ = benched(load_protocol("smoke"), tmp_path)
    curves = {m: run_training(cell(m), load_method(m), bench)[0].curve for m in ("ms", "nca", "proxy_nca")}
    starts = {curve[0] for curve in curves.values()}
    assert len(starts) == 1, "epoch 0 is the same untrained network"
    assert len({curve[-1] for curve in curves.values()}) == 3
    other = run_training(cell("ms", seed=2), load_method("ms"), bench)[0].curve
    assert other[0] != curves["ms"][0]


def test_a_training_leaves_torchs_generator_and_threads_alone(tmp_path: Path) -> None:
    bench, _ = benched(load_protocol("smoke"), tmp_path)
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = run_training(cell("margin"), load_method("margin"), bench)[0]
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    torch.manual_seed(8)
    assert run_training(cell("margin"), load_method("margin"), bench)[0].curve == first.curve


def test_own_parameters_have_their_own_rate_and_decay() -> None:
    embedder = Embedder(Stages(), 8, None, False)
    proxy, margin = load_method("proxy_nca_rc"), load_method("margin_all")
    check, quick = load_protocol("reality_check"), load_protocol("quick")

    def groups(method: Any, protocol: Protocol, **values: Any) -> list[tuple[float, float]]:
        objective = method.build(Task, **method.published)
        optimizer = build_optimizer(cell(method.name, **values), method, protocol, embedder, objective)
        held = [p for group in optimizer.param_groups for p in group["params"]]
        assert len(held) == len(list(embedder.parameters())) + len(list(objective.parameters()))
        return [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]

    Task = SimpleNamespace(
        classes=5, embedding_size=8, images=50, images_per_class=4, batch_size=32, steps=10
    )
    assert groups(proxy, check) == [(1e-6, 1e-4), (5e-3, 1e-4)]
    assert groups(proxy, check, own_lr=0.1) == [(1e-6, 1e-4), (0.1, 1e-4)]
    assert groups(margin, check) == [(1e-6, 1e-4), (5e-3, 0.0)], "the study decays no beta"
    assert proxy.own is not None
    network, own = groups(proxy, quick, lr=2e-3, own_lr=10.0)
    assert network[0] == 2e-3 and own == (pytest.approx(2e-2), 0.0)


class Stages(nn.Module):
    """A backbone with a BatchNorm layer."""

    feature_sizes = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [self.norm(self.layer(x))]


def test_frozen_batchnorm_keeps_statistics_and_trains_scale_and_shift() -> None:
    for frozen in (True, False):
        embedder = Embedder(Stages(), 3, None, frozen).train()
        norm: Any = embedder.backbone.norm
        before = norm.running_mean.clone()
        embedder(torch.randn(8, 6) + 5).sum().backward()
        assert torch.equal(norm.running_mean, before) is frozen
        assert norm.weight.grad is not None and norm.weight.requires_grad
        assert embedder.head.training


def test_joined_parts_are_of_unit_length_each(tmp_path: Path) -> None:
    """protocol of the Reality Check: normalise each fold's embedding, concatenate, normalise, score once."""
    bench, test = benched(load_protocol("smoke"), tmp_path)
    parts = []
    for fold in (0, 1):
        _, embedder = run_training(cell("nca", fold), load_method("nca"), bench)
        assert embedder is not None
        parts.append(dict(measure(embedder, bench, test).arrays))
    # The length of one fold's embeddings must not weigh in the joined score.
    parts[1]["embeddings"] = parts[1]["embeddings"] * np.float32(100)
    joined = measure_joined(parts, test, 1)
    unit = [p["embeddings"] / np.linalg.norm(p["embeddings"], axis=1, keepdims=True) for p in parts]
    expected = score(torch.from_numpy(np.hstack(unit)), test.queries.labels)
    assert joined.metrics["map_at_r"] == pytest.approx(expected.metrics["map_at_r"], abs=1e-6)
    assert "embeddings" not in joined.arrays


@pytest.mark.parametrize("name", ["smoke", "reality_check"])
def test_images_that_are_kept_nowhere_give_the_same_digits(name: str, tmp_path: Path) -> None:
    protocol = small(load_protocol(name), epoch_steps=3, epochs=2, evaluate_every=1)
    trunk = settle_trunk(protocol, None, None, None)
    results = []
    for keep in (True, False):
        cache = tmp_path / str(keep)
        bench, test = prepare(few_glyphs(), trunk, cache, "cpu", 1, (), lambda *_: None, keep_images=keep)
        result, embedder = run_training(cell(), load_method("contrastive"), bench)
        assert embedder is not None
        results.append((result.curve, result.losses, measure(embedder, bench, test).metrics))
        assert (cache / "images").exists() == keep
    assert results[0] == results[1]


# torch's own tracing asks for it.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize(
    ("changes", "near"),
    [({"channels_last": True}, 1e-3), ({"precision": "bfloat16"}, 0.1), ({"compiled": "default"}, 1e-3)],
    ids=["channels_last", "bfloat16", "compiled"],
)
def test_settings_of_the_arithmetic_train_the_same_network(
    changes: dict[str, Any], near: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is compiled is traced and then run as it stands: the compiler itself takes a minute.
    compile_, compiled = torch.compile, []

    def traced(module: Any, mode: str) -> Any:
        compiled.append(mode)
        return compile_(module, backend="aot_eager")

    monkeypatch.setattr(torch, "compile", traced)
    plain = small(load_protocol("smoke"), epoch_steps=3, epochs=1)
    found = []
    for protocol in (plain, dataclasses.replace(plain, **changes)):
        bench, _ = benched(protocol, tmp_path)
        result, embedder = run_training(cell(), load_method("contrastive"), bench)
        assert result.status == "ok" and embedder is not None, result.traceback
        assert all(p.dtype == torch.float32 for p in embedder.parameters())
        found.append(result)
    (_, loss), (_, other) = found[0].losses[0], found[1].losses[0]
    assert other == pytest.approx(loss, rel=near)
    assert other != loss or "precision" not in changes
    assert compiled == ["default", "default"] * ("compiled" in changes), "network and objective"
