"""From a command line to a campaign: what is settled before any work, in which order, and what a record will say."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import main
from harness.cli.parser import parse
from harness.cli.request import Settled, settle
from harness.cli.settings import read_settings
from harness.errors import MissingError, RequestError
from tests.made_images import fake

#: A method that asks for five images of a class.
FIVES = """
from harness.method import Method, Paper
from torch import nn


class Flat(nn.Module):
    def forward(self, embeddings, labels):
        return embeddings.square().mean()


METHOD = Method(
    title="Fives", paper=Paper("a", "b", "c", 2026, "https://x.org"), kind="pair", build=lambda task: Flat(),
    images_per_class=5,
)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of a test's own, beside other folders."""
    monkeypatch.delenv("DML_DATA", raising=False)
    monkeypatch.setenv("DML_CACHE", str(tmp_path / "cache"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def settled(*words: str, data: Path | None = None) -> Settled:
    return settle(parse(words), read_settings(None if data is None else str(data), None, "results"))


# -- what is set by hand -------------------------------------------------------------------------------------------


def test_a_size_set_by_hand_holds_for_a_free_backbone(place: Path, data_root: Path) -> None:
    words = ("plan", "--protocol", "frozen", "--backbone", "mobilenet_v2")
    weights = ("--weights", str(data_root / "weights" / "mobilenet_v2.pth"))
    protocol = settled(*words, *weights).campaign.trunk.protocol
    assert (protocol.size, protocol.resize) == (224, 224)
    changed = settled(*words, *weights, "--set", "size=96", "--set", "resize=100").campaign.trunk.protocol
    assert (changed.size, changed.resize) == (96, 100)
    assert changed.slug != protocol.slug


def test_a_changed_backbone_means_its_first_known_weights(place: Path) -> None:
    """Nothing is trained from scratch unasked: the weights are looked for, and a plan says that they are missing."""
    words = ("plan", "--protocol", "quick", "--set", "backbone=mobilenet_v2")
    with pytest.raises(MissingError, match=r"mobilenet_v2-b0353104\.pth"):
        settled(*words)
    scratch = settled(*words, "--set", "weights=none").campaign.trunk
    assert scratch.weights is None and scratch.protocol.weights is None
    assert settled(*words, "--weights", "none").campaign.trunk.protocol.digest == scratch.protocol.digest


def test_a_changed_backbone_takes_the_weights_that_are_named(place: Path, data_root: Path) -> None:
    file = data_root / "weights" / "mobilenet_v2.pth"
    found = settled("--protocol", "quick", "--set", "backbone=mobilenet_v2", "--weights", str(file))
    trunk = found.campaign.trunk
    assert trunk.weights == file
    assert trunk.sha256.startswith("214e840d") and trunk.protocol.weights == trunk.sha256
    # Which weights these are does not hang on what is first known elsewhere.
    assert f"--set weights={trunk.sha256}" in found.campaign.command


def test_a_backbone_without_known_weights_demands_some(place: Path) -> None:
    with pytest.raises(RequestError, match=r"backbone=convnet: no weights of it are known.*weights=none"):
        settled("--protocol", "reality_check", "--set", "backbone=convnet")
    trunk = settled(
        "--protocol",
        "reality_check",
        "--dataset",
        "glyphs",
        "--set",
        "backbone=convnet",
        "--set",
        "weights=none",
    ).campaign.trunk
    assert (trunk.protocol.backbone, trunk.weights) == ("convnet", None)


def test_two_words_about_weights_must_agree(place: Path, data_root: Path) -> None:
    file = str(data_root / "weights" / "mobilenet_v2.pth")
    with pytest.raises(RequestError, match=r"its sha256 is 214e840d.*weights=b0353104"):
        settled(
            "--protocol",
            "frozen",
            "--backbone",
            "mobilenet_v2",
            "--set",
            "weights=b0353104",
            "--weights",
            file,
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "trails=5"], "did you mean trials"),
        (["--set", "trials=five"], "whole number"),
        (["--set", "input_meen=1"], "input_mean"),
        (["--methods", "mss"], "did you mean ms"),
        (["--backbone", "resnet5"], "did you mean resnet50"),
        (["--device", "gpu"], "cpu, cuda"),
    ],
)
def test_names_and_values_are_checked_before_the_dataset_is_looked_at(
    place: Path, monkeypatch: pytest.MonkeyPatch, words: Sequence[str], message: str
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the dataset was loaded")

    monkeypatch.setattr("harness.cli.request.load_dataset", never)
    with pytest.raises(RequestError, match=message):
        settled(*words)


def test_a_method_whose_groups_do_not_fill_a_batch_is_named(place: Path) -> None:
    (place / "fives.py").write_text(FIVES)
    words = ("--plugin", "fives.py", "--methods", "ms,fives", "--protocol", "quick")
    with pytest.raises(RequestError, match=r"method fives takes 5 images.*batch_size 32.*batch_size=40"):
        settled("plan", *words)
    settled("plan", *words, "--set", "batch_size=40")
    settled("plan", *words, "--set", "method_sets_images_per_class=false")


# -- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--results", "--cache"])
def test_a_place_that_cannot_be_written_to_is_named_before_anything_starts(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    (place / "file").write_text("in the way")
    monkeypatch.setattr(
        "harness.cli.request.load_dataset", lambda *_, **__: pytest.fail("something was started")
    )
    for folder in ("file", "file/below"):
        assert main([flag, folder]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"error: {flag} {folder}: cannot be written to") and f"with {flag}" in err
    assert [path.name for path in place.iterdir()] == ["file"], "what was tried leaves nothing behind"


def test_a_full_disk_is_said_in_words(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> Any:
        def write(*_: Any, **__: Any) -> None:
            raise OSError(number, "told by the system", "/some/file")

        return write

    monkeypatch.setattr("harness.cli.commands.run.settle", full(errno.ENOSPC))
    assert main([]) == 1
    assert "error: /some/file: told by the system. Make room" in capsys.readouterr().err
    # What is no fault of a disk is one of ours, and keeps its traceback.
    monkeypatch.setattr("harness.cli.commands.run.settle", full(errno.ENOENT))
    with pytest.raises(OSError, match="told by the system"):
        main([])


# -- what a record will say ------------------------------------------------------------------------------------------


def test_the_line_in_a_record_names_no_place_of_this_machine(place: Path) -> None:
    for folder in (place, place.parent / "away"):
        for label in "abcdefgh":
            fake(folder / "pictures" / label / "1.png")
            fake(folder / "pictures" / label / "2.png", 1)
        (folder / "fives.py").write_text(FIVES)
    common = ("--methods", "fives", "--protocol", "smoke", "--set", "batch_size=20", "--set", "folds=2")
    shown = "--dataset folder:pictures --protocol smoke --set batch_size=20 --set folds=2 --plugin fives.py"
    for folder in (Path(), place, place.parent / "away"):
        plugin = ("--plugin", str(folder / "fives.py"))
        found = settled(*common, *plugin, "--dataset", f"folder:{folder / 'pictures'}")
        assert found.campaign.command == f"python run_benchmark.py --methods METHOD {shown}"
        assert found.campaign.entries()[0].command == f"python run_benchmark.py --methods fives {shown}"
        # The line that `sync` reads holds wherever it is typed.
        assert f"folder:{place.joinpath(folder) / 'pictures'} " in found.line
        assert found.line.endswith(f"--plugin {place.joinpath(folder) / 'fives.py'}")


def test_weights_stand_in_a_record_by_name_and_sha256(place: Path, data_root: Path) -> None:
    file = data_root / "weights" / "mobilenet_v2.pth"
    found = settled("--protocol", "frozen", "--backbone", "mobilenet_v2", "--weights", str(file))
    assert "--weights mobilenet_v2.pth" in found.campaign.command
    assert str(data_root) not in found.campaign.command
    assert str(file) in found.line
    assert found.campaign.trunk.protocol.weights == found.campaign.trunk.sha256


def test_a_record_holds_no_path_of_this_machine(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way: images and a method's file from elsewhere, and every word of what is written for others."""
    away = place.parent / "away"
    for number, label in enumerate("abcdefgh"):
        for image in range(3):
            fake(away / "pictures" / label / f"{image}.png", 40 * number + image)
    (away / "fives.py").write_text(FIVES)
    words = ["--plugin", str(away / "fives.py"), "--methods", "fives,untrained_head", "--protocol", "smoke"]
    words += ["--dataset", f"folder:{away / 'pictures'}", "--set", "batch_size=20", "--set", "epoch_steps=1"]
    assert (
        main([*words, "--executor", "local", "--tracker", "none", "--results", str(place / "results")]) == 0
    )
    written = [
        path for path in (place / "results").rglob("*") if ".work" not in path.parts and path.is_file()
    ]
    assert [path.name for path in written if path.name == "fives.json"]
    for path in written:
        assert str(place.parent).encode() not in path.read_bytes(), path
    (record,) = [json.loads(path.read_text()) for path in written if path.name == "fives.json"]
    assert "--dataset folder:pictures " in record["command"] and "--plugin fives.py" in record["command"]
