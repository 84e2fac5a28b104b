"""What the command says to a request that is wrong, before anything is trained, and what it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli.main import main
from harness.errors import MissingError


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    def run(*words: str, code: int = 0) -> tuple[str, str]:
        places = (
            []
            if words and words[0] in ("leaderboard", "evaluate", "check", "ui")
            else ["--cache", str(tmp_path)]
        )
        assert main([*words, *places]) == code
        captured = capsys.readouterr()
        return captured.out, captured.err

    return run


WRONG = [
    (["--methods", "mss"], 2, "mss", "ms"),
    (["--methods", "xbm(mss)"], 2, "mss", "ms"),
    (["--dataset", "glyps"], 2, "glyps", "glyphs"),
    (["--protocol", "quik"], 2, "quik", "quick"),
    (["--protocol", "frozen", "--backbone", "resnet5"], 2, "resnet5", "resnet50"),
    (["--protocol", "frozen"], 2, "leaves the backbone free", "--backbone"),
    (["--set", "trails=3"], 2, "trails", "trials"),
    (["--set", "trials"], 2, "--set trials", "NAME=VALUE"),
    (["--set", "input_meen=[0,0,0]"], 2, "input_meen", "input_mean"),
    (["--metods", "ms"], 2, "--metods", "--methods"),
    (["--set", "=5"], 2, "--set =5", "NAME=VALUE"),
    (["--set", "trials=five"], 2, "--set trials=five", "whole number"),
    (["--set", "weight_decay=NaN"], 2, "weight_decay is nan", "0 or more"),
    (["--set", "folds=300"], 2, "214 development classes", "300 folds"),
    (["--set", "folds=150"], 2, "leave one class to validate on", "--set folds="),
    (["--set", "input_mean=[0,0]"], 2, "--set input_mean=[0,0]", "three numbers"),
    (["--set", "input_mean=[0,0,0]"], 2, "input_std", "both needed"),
    (["--set", "backbone=resnet5"], 2, "resnet5", "resnet50"),
    (
        ["--protocol", "reality_check", "--set", "backbone=convnet"],
        2,
        "backbone=convnet",
        "--set weights=none",
    ),
    (["--device", "gpu"], 2, "--device gpu", "cuda"),
    (["--device", "meta"], 2, "--device meta", "cuda"),
    (["--workers", "0"], 2, "--workers: '0'", "1 or more"),
    (["--workers", "two"], 2, "--workers: 'two'", "whole number"),
    (["--workers", "2", "--executor", "local"], 2, "--workers 2", "--executor local"),
    (["--threads", "0"], 2, "--threads: '0'", "1 or more"),
    (["--max-hours", "-1"], 2, "--max-hours: '-1'", "above 0"),
    (["--max-hours", "nan"], 2, "--max-hours: 'nan'", "above 0"),
    (["--tracker", "x"], 2, "--tracker x", "module:Class"),
    (["--plugin", "nowhere.py"], 2, "nowhere.py", "no such file"),
    (["--plugin", "."], 2, "--plugin .", "a folder"),
    (["--weights", "nowhere.pth"], 3, "nowhere.pth", "no such file"),
    (["--backbone", "resnet50"], 2, "resnet50", "fixes convnet"),
    (["--dataset", "folder:"], 2, "folder:", "folder:PATH"),
    (["--dataset", "folder:/nowhere/at/all"], 3, "/nowhere/at/all", ""),
    (["--dataset", "cub", "--data", "/nowhere"], 3, "/nowhere", "--data"),
    (["plann"], 2, "plann", "plan"),
    (["plan", "--methods", "mss"], 2, "mss", "ms"),
    (["help"], 2, "help", "did you mean --help"),
    (["--version"], 2, "--version", "see run_benchmark.py --help"),
    (["ms,xbm"], 2, "ms,xbm", "--methods ms,xbm"),
    (["list"], 2, "methods|", "list --help"),
    (["list", "method"], 2, "method", "methods"),
    (["list", "methods", "--plugin", "nowhere.py"], 2, "nowhere.py", "no such file"),
    (["sync", "--results", "nowhere"], 2, "--results nowhere", "nothing has been run there"),
    (["ui", "--results", "nowhere"], 2, "--results nowhere", "sync"),
    (["ui", "--port", "99999"], 2, "--port: '99999'", "1 to 65535"),
    (["evaluate", "nowhere.npz"], 2, "nowhere.npz", ""),
    (["evaluate", "x.npz", "--recall-at", "0,1"], 2, "--recall-at 0,1", "1 or more"),
    (["evaluate", "."], 2, ".: ", "no such file"),
    (["check", "nowhere.py"], 2, "nowhere.py: no such file", "methods/ms.py"),
    (["check", "."], 2, ".: not a Python file", "methods/ms.py"),
    (["check", "mss"], 2, "mss", "did you mean ms"),
]


@pytest.mark.parametrize(("words", "code", "names", "helps"), WRONG, ids=[" ".join(w[0]) for w in WRONG])
def test_a_wrong_request_is_named_and_nothing_is_started(
    said: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    names: str,
    helps: str,
) -> None:
    monkeypatch.delenv("DML_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    out, err = said(*words, code=code)
    assert out == ""
    assert err.startswith("error: ") and names in err and helps in err
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.json")), "nothing was started"


def test_missing_weights_say_what_would_run(
    said: Any, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: Any) -> Path:
        raise MissingError("bn_inception-52deb4733.pth could not be fetched\n  https://somewhere: no network")

    monkeypatch.setattr("harness.cli.weights.download_weights", no_network)
    _, err = said(
        "--dataset",
        "cub",
        "--partial",
        "--data",
        str(data_root / "cub127"),
        "--results",
        str(tmp_path),
        code=3,
    )
    assert "bn_inception-52deb4733.pth" in err and "52deb4733" in err
    assert str(tmp_path / "weights") in err and "frozen" in err
    assert "no network" in err


def test_a_whole_dataset_is_demanded_unless_asked_otherwise(said: Any, data_root: Path) -> None:
    _, err = said("data", "verify", "cub", "--data", str(data_root / "cub127"), code=3)
    assert "--partial" in err


def test_audit_names_characters_that_look_alike(said: Any) -> None:
    found = json.loads(said("data", "audit", "glyphs", "--json", code=1)[0])
    assert found["across_roles"] == found["across_classes"] == []
    # Armenian Liwn, Latin L.
    assert ["development: U+004C/DejaVuSans", "test: U+053C/DejaVuSans"] in [
        pair[:2] for pair in found["near_duplicates"]
    ]


def test_plan_prices_without_training(said: Any, tmp_path: Path) -> None:
    results = tmp_path / "results"
    out, _ = said(
        "plan", "--methods", "ms,untrained", "--protocol", "smoke", "--results", str(results), "--json"
    )
    plan = json.loads(out)
    assert [(e["method"], e["trainings"], e["cells_left"]) for e in plan["entries"]] == [
        ("ms", 10, 19),
        ("untrained", 4, 10),
    ]
    assert plan["hours_left"] is None
    assert not results.exists()


def test_list_methods_as_json(said: Any) -> None:
    rows = json.loads(said("list", "methods", "--json")[0])
    by_name = {row["name"]: row for row in rows}
    assert {"ms", "xbm", "nca", "untrained"} <= by_name.keys()
    for row in rows:
        assert {"name", "title", "paper", "year", "hyperparameters"} <= row.keys()
    assert by_name["ms"]["year"] == 2019
    assert by_name["proxy_nca"]["learns"] is True


@pytest.mark.parametrize("what", ["datasets", "protocols", "backbones"])
def test_lists_say_what_is_ready(said: Any, what: str) -> None:
    rows = json.loads(said("list", what, "--json")[0])
    assert len(rows) > 3
    assert all(row["name"] for row in rows)


def test_evaluate_is_one_object(said: Any, tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    np.savez(file, embeddings=np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2]], labels=np.array([0, 0, 1, 1, 2]))
    value = json.loads(said("evaluate", str(file), "--recall-at", "1,2", "--json")[0])
    assert value == {
        "recall_at_1": 1.0, "recall_at_2": 1.0, "precision_at_1": 1.0, "r_precision": 1.0, "map_at_r": 1.0,
        "queries": 4, "excluded_queries": 1,
    }  # fmt: skip


def test_check_says_what_is_wrong(said: Any, tmp_path: Path) -> None:
    file = tmp_path / "lazy.py"
    file.write_text(
        "from torch import nn\nfrom harness.method import Method, Paper\n"
        "class Lazy(nn.Module):\n    def forward(self, embeddings, labels):\n        return embeddings.sum() * 0\n"
        "METHOD = Method(title='Lazy', paper=Paper('a', 'b', 'c', 2026, 'https://x'), kind='pair',"
        " build=lambda task: Lazy())\n"
    )
    out, _ = said("check", str(file), code=1)
    assert "gradient" in out
    assert "keeps the contract" in said("check", "ms")[0]


def test_doctor_answers(said: Any) -> None:
    checks = json.loads(said("doctor", "--json")[0])["checks"]
    assert {"torch", "mlflow", "data root"} <= {check["what"] for check in checks}
