"""A method of one's own among the recorded entries, and embeddings of others beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.cli.main import main
from harness.data import load_dataset
from harness.metrics import score
from harness.submission import read_submissions
from tests.test_command_line import said  # noqa: F401  a fixture

ROOT = Path(__file__).parents[1]
RUN = ["--dataset", "glyphs", "--protocol", "smoke", "--tracker", "none", "--workers", "1"]
RUN += ["--set", "epoch_steps=4", "--set", "epochs=1"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one entry, and the cache beside it."""
    folder = tmp_path_factory.mktemp("recorded")
    places = ["--results", str(folder / "results"), "--cache", str(folder / "cache")]
    assert main(["--methods", "nca", *RUN, *places]) == 0
    return folder


def test_a_method_is_placed_among_the_recorded_entries(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text((ROOT / "methods" / "contrastive.py").read_text())
    places = ["--results", str(recorded / "results"), "--cache", str(recorded / "cache")]
    before = {path: path.stat().st_mtime_ns for path in recorded.glob("results/records/*/*/nca.json")}
    assert before
    assert main(["place", str(mine), *RUN, *places, "--json"]) == 0
    placed = json.loads(capsys.readouterr().out)
    assert placed["method"] == "mine" and placed["status"] == "complete"
    assert [verdict["with"] for verdict in placed["compared"]] == ["nca"]
    assert {path: path.stat().st_mtime_ns for path in before} == before, "the others are not run again"
    assert main(["place", str(mine), *RUN, *places]) == 0
    out, err = capsys.readouterr()
    assert "complete already" in err and "points of MAP@R, p =" in out


def test_entries_of_another_digest_are_refused_before_any_training(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    shutil.copytree(recorded / "results" / "records", results / "records")
    (file,) = results.glob("records/*/*/nca.json")
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "protocol_digest": "ab" * 32}))
    places = ["--results", str(results), "--cache", str(recorded / "cache")]
    assert main(["place", "contrastive", *RUN, *places]) == 2
    assert "nca was recorded under another protocol digest" in capsys.readouterr().err
    assert not (results / ".work" / "cells").exists()


def test_that_there_is_nothing_to_compare_with_is_said_first(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--results", str(tmp_path / "results"), "--cache", str(recorded / "cache")]
    assert main(["place", "contrastive", *RUN, *places]) == 0
    out, err = capsys.readouterr()
    assert err.index("has no complete entry of smoke") < err.index("at most")
    assert "no other complete entry to compare with here" in out


# -- submissions -------------------------------------------------------------------------------------------------------


def embeddings_of_glyphs(noise: float = 1.0) -> dict[str, Any]:
    dataset = load_dataset("glyphs", None, False)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(dataset.test.class_names), 8))
    rows = centres[dataset.test.labels] + noise * rng.normal(size=(len(dataset.test), 8))
    names = np.array([dataset.test.class_names[label] for label in dataset.test.labels])
    return {"embeddings": rows.astype(np.float32), "labels": names}


def test_a_submission_is_scored_again_and_kept_with_its_hash(said: Any, tmp_path: Path) -> None:  # noqa: F811
    file, arrays = tmp_path / "x.npz", embeddings_of_glyphs()
    np.savez(file, **arrays)
    words = [
        "evaluate",
        str(file),
        "--submit",
        "elsewhere",
        "--dataset",
        "glyphs",
        "--title",
        "Made <elsewhere>",
    ]
    said(*words, "--results", str(tmp_path / "results"))
    (submission,) = read_submissions(tmp_path / "results")
    dataset = load_dataset("glyphs", None, False)
    assert (submission.name, submission.dataset, submission.split) == ("elsewhere", "glyphs", dataset.split)
    assert submission.dimension == 8 and len(submission.file_sha256) == 64
    direct = score(torch.from_numpy(arrays["embeddings"]), dataset.test.labels, recall_at=dataset.recall_at)
    assert submission.metrics == pytest.approx(direct.metrics, abs=1e-6)


@pytest.mark.parametrize(
    ("spoil", "words", "why"),
    [
        (lambda a: {**a, "labels": np.roll(a["labels"], 1)}, [], "do not divide the images"),
        (lambda a: {k: v[:-1] for k, v in a.items()}, [], "the dataset has"),
        (lambda a: a, ["--submit", "../x"], "expected a name of letters"),
        (
            lambda a: {**a, "gallery_embeddings": a["embeddings"], "gallery_labels": a["labels"]},
            [],
            "own gallery",
        ),
    ],
)
def test_a_wrong_submission_is_refused(
    said: Any,  # noqa: F811
    tmp_path: Path,
    spoil: Any,
    words: list[str],
    why: str,
) -> None:
    file = tmp_path / "x.npz"
    np.savez(file, **spoil(embeddings_of_glyphs()))
    places = ["--results", str(tmp_path / "results")]
    _, err = said("evaluate", str(file), "--dataset", "glyphs", "--submit", "x", *words, *places, code=2)
    assert why in err
    assert not list(tmp_path.glob("results/submitted/*/*"))
