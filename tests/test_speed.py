"""The speed report measures what it says, on data as it says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from harness.backbones.weights import FROM_SCRATCH
from harness.cli.main import main
from harness.data import load_dataset
from harness.data.pictures import Files
from harness.data.store import build_store
from harness.discovery import load_method, load_protocol
from harness.engine.inputs import ImageInputs
from harness.metrics import score
from harness.speed import steps
from harness.speed.evaluation import clustered, evaluation_figures, evaluation_growth
from harness.speed.pipeline import _Decoded, _transform, pipeline_figures
from harness.speed.rounds import Times, compared, figure
from harness.speed.steps import step_costs
from harness.speed.training import SETTINGS


def test_ratios_are_of_the_same_round() -> None:
    # The machine was three times slower in the second round, for both.
    found = figure("own", Times((2.0, 6.0, 2.2), (1.0, 1.0, 1.0)), Times((1.0, 3.0, 1.0), (2.0, 2.0, 2.0)))
    assert (found.ratio, found.low, found.high, found.cpu_ratio) == (2.0, 2.0, 2.2, 0.5)
    assert found.seconds == 2.2
    assert found.per_second is None
    assert figure("own", Times((2.0,), (1.0,)), Times((1.0,), (2.0,)), images=64).per_second == 32


def test_rounds_alternate() -> None:
    ran: list[str] = []
    found = compared({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, rounds=3)
    assert "".join(ran) == "abbaab"
    assert [row.what for row in found] == ["a", "b"]
    assert found[0].ratio == found[0].low == found[0].high == 1


def test_the_data_is_as_hard_as_stated() -> None:
    # 0.4 at 60,000 images; a smaller gallery is easier.
    assert score(*clustered(4000, 128)).metrics["map_at_r"] == pytest.approx(0.6, abs=0.05)


def test_evaluation_stands_beside_its_limits() -> None:
    rows = evaluation_figures(1500, 32, rounds=2)
    assert any("faiss" in row.what for row in rows)
    assert rows[-1].what == "pytorch-metric-learning"
    for row in rows:
        assert 0 < row.low <= row.ratio <= row.high
        assert row.seconds > 0


def test_growth_has_a_row_a_size() -> None:
    rows = evaluation_growth((500, 3000), 16)
    assert [row["n"] for row in rows] == [500, 3000]
    assert all(row["cpu_seconds"] > 0 and row["megabytes"] >= 0 for row in rows)


@pytest.mark.parametrize("name", ["quick", "reality_check"])
def test_the_usual_pipeline_sees_what_ours_sees(name: str, data_root: Path, tmp_path: Path) -> None:
    protocol = load_protocol(name)
    if protocol.train_view == "crop":  # smaller than the protocol has it: the way is the same
        protocol = dataclasses.replace(protocol, resize=96, size=80)
    if name == "quick":
        pictures = load_dataset("glyphs", None, False).development.pictures
    else:
        folder = data_root / "cub50" / "CUB_200_2011" / "images"
        pictures = Files(tuple(sorted(folder.rglob("*.jpg"))[:8]))
    theirs = _Decoded(pictures, _transform(protocol, FROM_SCRATCH))
    index = torch.arange(128) % 8
    views = torch.stack([theirs[i] for i in index.tolist()])
    store = build_store(pictures, protocol.resize, tmp_path, square=protocol.test_view == "whole")
    inputs = ImageInputs(store, protocol, FROM_SCRATCH, torch.device("cpu"))
    ours = inputs.train_batch(index, torch.Generator().manual_seed(0))
    assert views.shape == ours.shape
    assert views.mean().item() == pytest.approx(ours.mean().item(), abs=0.1)
    assert views.std().item() == pytest.approx(ours.std().item(), rel=0.1)
    rows = pipeline_figures(pictures, store, protocol, FROM_SCRATCH, batches=2, rounds=1)
    assert rows[0].ratio == 1
    assert rows[1].cpu_seconds > 0, "the time of its processes counts"


def test_step_costs_know_the_same_loss_of_another_library() -> None:
    methods = [load_method(name) for name in ("contrastive", "ms", "binomial", "lda", "htl")]
    ours = {cost.method: cost for cost in step_costs(methods, "contrastive", batch=32, rounds=2)}
    assert set(ours) == {"contrastive", "ms", "binomial", "htl"}, "lda is solved, not stepped"
    assert ours["contrastive"].to_plain == 1
    assert ours["binomial"].other is None
    ms = ours["ms"]
    assert ms.other is not None and ms.low is not None and ms.high is not None
    assert 0 < ms.low <= ms.other <= ms.high


def test_a_loss_that_no_memory_holds_there_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MOST_CUBIC", 16)
    methods = [load_method(name) for name in ("contrastive", "ntxent")]
    told: list[str] = []
    _, ntxent = step_costs(methods, "contrastive", batch=32, rounds=1, told=told.append)
    assert [what.split(",")[0].strip() for what in told] == ["contrastive", "ntxent"]
    assert ntxent.milliseconds > 0 and ntxent.other is None and "memory" in ntxent.differs


def test_steps_are_compiled_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_ = torch.compile  # without the compiler, which takes its time
    monkeypatch.setattr(
        torch, "compile", lambda f, fullgraph: compile_(f, fullgraph=fullgraph, backend="eager")
    )
    methods = [load_method(name) for name in ("contrastive", "clustering")]
    ours = {
        cost.method: cost for cost in step_costs(methods, "contrastive", batch=32, rounds=2, compiled=True)
    }
    gain = ours["contrastive"].compiled
    assert gain is not None and gain > 0
    assert ours["clustering"].compiled is None, "its search asks for numbers"


def test_the_command_reports_every_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "speed",
        "--quick",
        "--rounds",
        "1",
        "--dataset",
        "glyphs",
        "--methods",
        "ms",
        "--cache",
        str(tmp_path),
    ]
    parts = ("evaluation", "growth", "input", "training", "steps")
    assert main([*words, *parts, "campaign", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert all(len(value[part]) >= 2 for part in parts)
    assert [row["what"] for row in value["training"]][1:] == [
        "the same on one resident batch",
        "its images alone",
    ]
    assert 0 < value["training"][2]["ratio"] < value["training"][1]["ratio"]
    (campaign,) = value["campaign"]
    assert campaign["cells"] == 19, "as many as the plan of that campaign has"
    assert campaign["milliseconds_a_cell"] > 0 and 0 < campaign["plan_seconds"] < campaign["run_seconds"]
    assert all(row["per_second"] > 0 for part in ("input", "training") for row in value[part])
    assert value["compared_with_pytorch_metric_learning"] is True
    assert {row["method"] for row in value["steps"]} == {"contrastive", "ms"}
    assert main([*words, "growth"]) == 0
    text = capsys.readouterr().out
    assert "growth" in text and "evaluation\n" not in text


def test_settings_stand_beside_plain_arithmetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(SETTINGS, "compiled")  # a minute of a compiler's time
    words = ["speed", "settings", "--quick", "--rounds", "2", "--dataset", "glyphs", "--cache", str(tmp_path)]
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["settings"]
    assert [row["what"].split(", ", 2)[2] for row in rows] == ["float32, as it is", *SETTINGS]
    assert all(row["ratio"] > 0 for row in rows)


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed", "fast"]) == 2
    assert "expected some of evaluation" in capsys.readouterr().err
