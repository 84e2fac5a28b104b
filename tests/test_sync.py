"""`sync` from the command line: a run that kept no diary gets one, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from harness.cli.main import main


def test_a_run_without_a_diary_is_told_later_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    places = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    # The floor trains nothing, so that this test is about the diary.
    words = ["--methods", "untrained_head", "--protocol", "smoke", "--executor", "local", "--tracker", "none"]
    assert main([*words, *places, "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["status"] == "complete"
    assert not (tmp_path / "results" / ".work" / "mlflow.db").exists()
    names = []
    for _ in range(2):
        assert main(["sync", *places, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [e["recorded"] for e in told["entries"]] == [True]
        client = MlflowClient(told["tracking_uri"])
        (experiment,) = [e for e in client.search_experiments() if e.name.startswith("dml/")]
        assert experiment.name == "dml/glyphs/smoke"
        names.append(sorted(run.info.run_name for run in client.search_runs([experiment.experiment_id])))
    assert names[0] == names[1]
    assert len(names[0]) == 3, "the study and its two repetitions"
