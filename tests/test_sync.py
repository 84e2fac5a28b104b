"""`sync` from the command line: a run that kept no diary gets one, once, and nothing is fetched or made up for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from harness.cli.main import main

#: The floor trains nothing, so that these tests are about the diary.
FLOOR = ("--methods", "untrained_head", "--protocol", "smoke")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cache and the results of a run that kept no diary, and an empty database for one, which MLflow
    takes seconds to make."""
    folder = tmp_path_factory.mktemp("finished")
    words = [*FLOOR, "--executor", "local", "--tracker", "none"]
    assert main([*words, "--results", str(folder / "results"), "--cache", str(folder / "cache")]) == 0
    assert not list((folder / "results" / ".work").glob("mlflow*"))
    MlflowClient(f"sqlite:///{folder / 'results' / '.work' / 'mlflow.db'}").search_experiments()
    return folder


@pytest.fixture
def place(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder for a test of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Path(shutil.copytree(finished, tmp_path / "place"))


@pytest.fixture
def sync(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs `sync` there; gives its JSON."""

    def run(code: int = 0) -> Any:
        capsys.readouterr()
        assert main(["sync", *places(place), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return run


def places(folder: Path) -> tuple[str, ...]:
    return ("--results", str(folder / "results"), "--cache", str(folder / "cache"))


def runs_at(uri: str) -> dict[str, str]:
    """The name of every run of ours, by its id."""
    client = MlflowClient(uri)
    ours = [e.experiment_id for e in client.search_experiments() if e.name.startswith("dml/")]
    return {run.info.run_id: run.info.run_name for run in (client.search_runs(ours) if ours else [])}


def test_a_run_without_a_diary_is_told_later_and_once(sync: Callable[..., Any]) -> None:
    found = []
    for _ in range(2):
        told = sync()
        assert told["entries"] == [{"entry": "untrained_head on glyphs under smoke", "recorded": True}]
        found.append(runs_at(told["tracking_uri"]))
    assert found[0] == found[1], "the same runs, none of them made again"
    assert sorted(found[0].values()) == [
        "untrained_head", "untrained_head · final · seed 01", "untrained_head · final · seed 02",
    ]  # fmt: skip


def test_an_entry_that_never_came_to_a_cell_is_not_told(sync: Callable[..., Any], place: Path) -> None:
    words = ["--methods", "ms", "--protocol", "smoke", "--executor", "local", "--tracker", "none"]
    assert main([*words, "--max-hours", "1e-9", *places(place)]) == 0
    assert len(list((place / "results" / ".work" / "commands").iterdir())) == 2
    told = sync()
    assert [e["entry"] for e in told["entries"]] == ["untrained_head on glyphs under smoke"]
    assert "ms" not in runs_at(told["tracking_uri"]).values()


def test_cells_of_code_that_has_changed_are_said_to_be_left_out(
    sync: Callable[..., Any], place: Path
) -> None:
    (file,) = (place / "results" / ".work" / "commands").iterdir()
    file.rename(file.with_stem("0" * 24))
    told = sync()
    assert (told["entries"], told["faults"]) == ([], [])
    (line,) = told["outdated"]
    assert "--methods untrained_head" in line
    assert runs_at(told["tracking_uri"]) == {}


def test_nothing_is_fetched_for_a_diary(
    sync: Callable[..., Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are no longer here are a fault of one entry; the others are told."""
    monkeypatch.setattr(
        "harness.cli.weights.download_weights", lambda *_: pytest.fail("weights were fetched")
    )
    line = "python run_benchmark.py --methods untrained --dataset glyphs --protocol reality_check"
    file = place / "results" / ".work" / "commands" / f"{'0' * 24}.json"
    file.write_text(json.dumps({"command": line}))
    told = sync(code=1)
    assert [e["entry"] for e in told["entries"]] == ["untrained_head on glyphs under smoke"]
    (fault,) = told["faults"]
    assert line in fault and "its weights are not here" in fault


def test_a_damaged_note_of_a_command_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    notes = tmp_path / "results" / ".work" / "commands"
    notes.mkdir(parents=True)
    for name, content in (("zeros", bytes(40)), ("cut", b'{"comm'), ("other", b"[]")):
        (notes / f"{name}.json").write_bytes(content)
    assert main(["sync", "--results", str(tmp_path / "results"), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["entries"] == []
    assert told.err.count(": damaged;") == 3


def test_the_same_command_completes_the_diary_of_one_that_was_killed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed between an entry's record and the diary: nothing is left to train, and yet the diary lacks it."""
    work = place / "results" / ".work"
    (file,) = (work / "commands").iterdir()
    (work / "untold").mkdir()
    (work / "untold" / file.stem).touch()  # what a command leaves that was writing a diary
    uri = f"sqlite:///{work / 'mlflow.db'}"
    assert main([*FLOOR, "--tracker", "none", *places(place)]) == 0
    assert runs_at(uri) == {}, "who wants no diary gets none"
    assert main([*FLOOR, *places(place)]) == 0
    assert "completing the diary" in capsys.readouterr().err
    told = runs_at(uri)
    assert len(told) == 3
    assert main([*FLOOR, *places(place)]) == 0
    assert "completing the diary" not in capsys.readouterr().err
    assert runs_at(uri) == told


def test_a_command_that_ends_leaves_nothing_untold(place: Path) -> None:
    words = ["--methods", "untrained", "--protocol", "smoke", "--executor", "local"]
    assert main([*words, *places(place)]) == 0
    assert list((place / "results" / ".work" / "untold").iterdir()) == []
