"""`--deterministic`: it reaches every worker, the record says it, and what cannot do it is refused in words.

There is no GPU here: what is tested on the CPU is the switch, not the digits of CUDA.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import torch
from torch.backends import cudnn

from harness.campaign.determinism import deterministic, refused
from harness.campaign.executors import LocalExecutor
from harness.campaign.jobs import Workplace
from harness.cli.main import main
from harness.record import Record, read_records
from tests.test_campaign import numbers
from tests.test_ray import plugin, rig_of

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


def run(tmp_path: Path, *words: str) -> tuple[int, list[Record]]:
    places = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    code = main([*SHORT, *places, *words])
    return code, [record for _, record in read_records(tmp_path / "results")]


def test_workers_know_it_and_the_record_says_it(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    body = (
        f"open({str(seen)!r}, 'a').write(f'{{os.getpid()}} {{torch.are_deterministic_algorithms_enabled()}} "
        '{torch.backends.cudnn.deterministic} {os.environ.get("CUBLAS_WORKSPACE_CONFIG")}\\n\')'
    )
    file = str(plugin(tmp_path, "telling", body))
    code, (record,) = run(
        tmp_path,
        "--methods",
        "telling",
        "--plugin",
        file,
        "--workers",
        "1",
        "--executor",
        "processes",
        "--deterministic",
    )
    assert code == 0 and record.status == "complete"
    told = [line.split() for line in seen.read_text().splitlines()]
    assert {tuple(line[1:]) for line in told} == {("True", "True", ":4096:8")}
    assert str(os.getpid()) not in {line[0] for line in told}
    assert record.environment["deterministic"] is True and "--deterministic" in record.command
    assert not torch.are_deterministic_algorithms_enabled() and not cudnn.deterministic, (
        "it ends with the campaign"
    )


def test_a_cpu_gives_the_same_digits_and_what_has_no_such_form_fails_in_words_and_is_not_kept(
    tmp_path: Path,
) -> None:
    body = "embeddings = embeddings * torch.ones(2).put_(torch.tensor([0]), torch.ones(1))[0]"
    plugins = (plugin(tmp_path, "putting", body),)
    rig = rig_of(tmp_path, "results", "putting", "nca", plugins=plugins)
    place = Workplace(rig.bench, rig.campaign.places.cells, deterministic=True)
    campaign = dataclasses.replace(rig.campaign, deterministic=True)
    putting, nca = campaign.run(campaign.entries(), rig.test, LocalExecutor(place), rig)
    assert (putting.status, nca.status) == ("failed", "complete")
    assert "put_ has no deterministic form on this device; run this method without" in putting.why
    putting, again = rig.run()
    assert putting.status == "complete", "that failure was the flag's, not the method's"
    assert again.environment["deterministic"] is False and again.key == nca.key
    assert numbers(rig_of(tmp_path, "free", "nca").run()[0]) == numbers(nca)


def test_an_environment_that_forbids_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    assert run(tmp_path, "--methods", "nca", "--deterministic") == (2, [])
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
