"""`new`: the file that it writes keeps the contract; and methods of other installed packages are found."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.check import check
from harness.cli.commands.new import TEMPLATE
from harness.cli.main import main
from harness.discovery import ROOT, load_method, method_names


def new(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["new", "method", *words])
    return code, *capsys.readouterr()


def test_the_new_file_keeps_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = new(capsys, "snr_softplus", "--to", str(tmp_path), "--json")
    assert code == 0
    file = Path(json.loads(out)["file"])
    assert file == tmp_path / "snr_softplus.py"
    assert f"check {file}" in err and f"--plugin {file}" in err
    method = load_method("snr_softplus", [file])
    assert method.title == "Snr softplus"
    assert "class SnrSoftplus(nn.Module)" in file.read_text()
    assert check(method) == []


def test_the_new_file_may_be_named_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(capsys, "mine", "--to", str(tmp_path / "mine.py"))[0] == 0
    assert (tmp_path / "mine.py").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["MyLoss"], "'MyLoss' cannot be a method's name"),
        (["_mine"], "a letter first"),
        (["lambda"], "cannot be a method's name"),
        (["../mine"], "cannot be a method's name"),
        (["ms"], "ms is a method already"),
        (["all"], "means every method"),
        (["mine", "--to", "{tmp}/other.py"], "ends in mine.py"),
        (["mine", "--to", "{tmp}/nowhere/mine.py"], "there is no folder"),
    ],
)
def test_wrong_names_and_places_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, out, err = new(capsys, *(word.format(tmp=tmp_path) for word in words))
    assert (code, out) == (2, "")
    assert said in err
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("precious")
    code, _, err = new(capsys, "mine", "--to", str(tmp_path))
    assert code == 2
    assert "is there already" in err
    assert (tmp_path / "mine.py").read_text() == "precious"


def test_the_template_names_files_that_are_there() -> None:
    text = TEMPLATE.read_text()
    named = {word.strip(".,:;()`") for word in text.split() if word.startswith("methods/")}
    assert named and all((ROOT / name).is_file() for name in named)
    ast.parse(text)


def install(site: Path) -> None:
    """A package as pip leaves it: a module, and what its distribution says of itself."""
    package, facts = site / "their_losses", site / "their_losses-1.0.dist-info"
    package.mkdir()
    facts.mkdir()
    (package / "__init__.py").write_text("")
    (package / "squeeze.py").write_text(TEMPLATE.read_text().replace("New loss", "Squeeze"))
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: their-losses\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[dml_benchmark.methods]\nsqueeze = their_losses.squeeze\n")


def test_methods_of_an_installed_package_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "squeeze" in method_names()
    assert (load_method("squeeze").title, load_method("squeeze").name) == ("Squeeze", "squeeze")


def test_the_command_runs_methods_of_an_installed_package(tmp_path: Path) -> None:
    """In a process of its own, as a user's: `plan` resolves every name and trains nothing."""
    install(tmp_path)
    line = [
        sys.executable,
        "run_benchmark.py",
        "plan",
        "--methods",
        "squeeze,ms",
        "--protocol",
        "smoke",
        "--json",
    ]
    done = subprocess.run(
        [*line, "--results", str(tmp_path / "results")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [entry["method"] for entry in json.loads(done.stdout)["entries"]] == ["squeeze", "ms"]
