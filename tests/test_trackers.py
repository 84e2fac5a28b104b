"""`--tracker`: a class of the user's own is told what happens, and what is none is refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import main
from harness.cli.settings import read_settings
from harness.cli.trackers import tracker_of
from harness.errors import RequestError

TRACKER = '''
from pathlib import Path

class Lines:
    """Writes a line for every event."""

    def __init__(self, results: Path) -> None:
        self.file = (results / "lines.txt").open("w")

    def __call__(self, event) -> None:
        print(type(event).__name__, event.entry.name, file=self.file)

    def close(self) -> None:
        self.file.close()

class Raises(Lines):
    def __init__(self, results: Path) -> None:
        raise OSError("no such server")

def nothing(): ...
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "their_trackers.py").write_text(TRACKER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "their_trackers"


def test_a_class_of_ones_own_is_told_every_event(module: str, tmp_path: Path) -> None:
    line = ["--methods", "untrained_head", "--protocol", "smoke", "--workers", "1", "--cache", str(tmp_path)]
    assert main([*line, "--results", str(tmp_path), "--tracker", f"{module}:Lines"]) == 0
    lines = (tmp_path / "lines.txt").read_text().splitlines()
    assert lines[0] == "EntryStarted untrained_head on glyphs under smoke"
    kinds = [line.split()[0] for line in lines]
    assert (
        kinds.count("RepetitionDone") == 2
        and kinds[-2:] == ["EntryDone", "EntryDrawn"]
        and "CellDone" in kinds
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wandb", "expected mlflow, none or module:Class"),
        ("no_such_module:Lines", "cannot be imported: ModuleNotFoundError"),
        ("their_trackers:nothing", "expected a class in their_trackers"),
        ("their_trackers:Missing", "expected a class in their_trackers"),
    ],
)
def test_what_is_no_tracker_is_refused_at_once(module: str, name: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        tracker_of(name)


def test_a_tracker_that_cannot_be_made_says_why(module: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be made: OSError: no such server"):
        tracker_of(f"{module}:Raises")(read_settings(None, None, str(tmp_path)))
