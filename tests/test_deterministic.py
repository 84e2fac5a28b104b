"""`--deterministic`: it reaches every worker, the record says it, and what cannot do it is refused in words.

There is no GPU here: what is tested on the CPU is the switch, not the digits of CUDA.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch.backends import cudnn

from harness.campaign.determinism import deterministic, refused
from harness.cli.main import main
from harness.record import Record, read_records
from tests.test_campaign import numbers
from tests.test_ray import plugin

SHORT = ["--protocol", "smoke", "--tracker", "none"]
SHORT += [
    "--set",
    "epochs=1",
    "--set",
    "epoch_steps=2",
    "--set",
    "trials=1",
    "--set",
    "published_repetitions=0",
]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command puts into the environment goes with the test."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")


def run(tmp_path: Path, results: str, *words: str) -> tuple[int, dict[str, Record]]:
    places = ["--results", str(tmp_path / results), "--cache", str(tmp_path / "cache")]
    code = main([*SHORT, *places, *words])
    return code, {record.method: record for _, record in read_records(tmp_path / results)}


def test_workers_know_it_the_record_says_it_and_a_cpu_gives_the_same_digits(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    body = (
        f"open({str(seen)!r}, 'a').write(f'{{os.getpid()}} {{torch.are_deterministic_algorithms_enabled()}} "
        '{torch.backends.cudnn.deterministic} {os.environ.get("CUBLAS_WORKSPACE_CONFIG")}\\n\')'
    )
    words = ["--methods", "telling,nca", "--plugin", str(plugin(tmp_path, "telling", body)), "--workers", "2"]
    code, records = run(tmp_path, "results", *words, "--deterministic")
    assert code == 0 and {r.status for r in records.values()} == {"complete"}
    told = [line.split() for line in seen.read_text().splitlines()]
    assert {tuple(line[1:]) for line in told} == {("True", "True", ":4096:8")}
    assert str(os.getpid()) not in {line[0] for line in told}
    assert not torch.are_deterministic_algorithms_enabled() and not cudnn.deterministic, (
        "it ends with the campaign"
    )
    assert all(r.environment["deterministic"] and "--deterministic" in r.command for r in records.values())
    _, free = run(tmp_path, "free", "--methods", "nca", "--executor", "local")
    assert free["nca"].environment["deterministic"] is False and "--deterministic" not in free["nca"].command
    assert free["nca"].key == records["nca"].key and numbers(free["nca"]) == numbers(records["nca"])


def test_an_operation_without_such_a_form_fails_the_method_in_words_and_is_not_kept(tmp_path: Path) -> None:
    body = "embeddings = embeddings * torch.ones(2).put_(torch.tensor([0]), torch.ones(1))[0]"
    words = [
        "--methods",
        "putting,nca",
        "--plugin",
        str(plugin(tmp_path, "putting", body)),
        "--executor",
        "local",
    ]
    code, records = run(tmp_path, "results", *words, "--deterministic")
    assert code == 1
    assert {name: record.status for name, record in records.items()} == {
        "putting": "failed",
        "nca": "complete",
    }
    assert "put_ has no deterministic form on this device; run this method without" in records["putting"].why
    code, records = run(tmp_path, "results", *words)
    assert code == 0 and records["putting"].status == "complete", (
        "that failure was the flag's, not the method's"
    )


def test_an_environment_that_forbids_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    assert run(tmp_path, "results", "--methods", "nca", "--deterministic") == (2, {})
    assert "CUBLAS_WORKSPACE_CONFIG is :0:0; expected :4096:8 or :16:8" in capsys.readouterr().err


def test_what_was_set_before_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn, "benchmark", True)
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled() and cudnn.benchmark
    with deterministic(True):
        assert cudnn.deterministic and not cudnn.benchmark
        with pytest.raises(RuntimeError) as told:
            torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))
    assert not torch.are_deterministic_algorithms_enabled() and cudnn.benchmark and not cudnn.deterministic
    assert "put_ has no deterministic form" in str(refused(str(told.value)))
    assert refused("CUDA error: out of memory") is None
