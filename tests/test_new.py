"""`new`: the file that it writes keeps the contract; and methods of other installed packages are found."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
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


def project() -> str:
    """A package's pyproject.toml with the lines that CONTRIBUTING.md tells its author to write."""
    (lines,) = re.findall(r"```toml\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    return f'[project]\nname = "my-package"\nversion = "1.0"\n\n{lines}'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed a package with a method, as CONTRIBUTING.md says; without a network."""
    source, site = tmp_path_factory.mktemp("my-package"), tmp_path_factory.mktemp("site")
    (source / "my_package").mkdir()
    (source / "pyproject.toml").write_text(project())
    (source / "my_package" / "__init__.py").write_text("")
    (source / "my_package" / "my_loss.py").write_text(TEMPLATE.read_text().replace("New loss", "Squeeze"))
    alone = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site), str(source)]
    pip = [sys.executable, "-m", "pip", "install"]
    if importlib.util.find_spec("pip") is None:  # an environment that uv has made
        pip = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]
    done = subprocess.run([*pip, *alone], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return site


def test_methods_of_an_installed_package_are_found(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    assert "my_loss" in method_names()
    assert (load_method("my_loss").title, load_method("my_loss").name) == ("Squeeze", "my_loss")


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        (["list", "methods"], "name", {"my_loss", "ms"}),
        (["plan", "--methods", "my_loss,ms", "--protocol", "smoke"], "method", {"my_loss", "ms"}),
    ],
)
def test_the_command_knows_methods_of_an_installed_package(
    site: Path, tmp_path: Path, words: list[str], key: str, expected: set[str]
) -> None:
    """In a process of its own, as a user's: `plan` resolves every name and trains nothing."""
    places = ["--results", str(tmp_path / "results")] if words[0] == "plan" else []
    done = subprocess.run(
        [sys.executable, "run_benchmark.py", *words, "--json", *places],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert expected <= {entry[key] for entry in (told["entries"] if words[0] == "plan" else told)}
