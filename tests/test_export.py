"""Exported models embed images as the engine did, without it; and what is wrong with a request is said first."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import normalize

from harness.campaign.store import CellStore

# Through the ledger, which tells MLflow before its import to report nothing to its makers.
from harness.campaign.tracking import ledger  # noqa: F401  isort: skip
import mlflow
from mlflow.tracking.client import MlflowClient

from harness.cli.main import main
from harness.data import load_dataset
from harness.export import load
from harness.record import read_record

SHORT = ["--set", "trials=1", "--set", "published_repetitions=0", "--set", "evaluate_every=2"]
TRAINED = ["--methods", "ms", "--protocol", "smoke", *SHORT]
#: A backbone that does not train: its features were computed once, and the head alone is the method's.
FEATURES = ["--methods", "untrained_head", "--protocol", "frozen", "--backbone", "convnet", "--weights", "none",
            "--set", "repetitions=1", "--set", "folds=2"]  # fmt: skip
IMAGES = 3


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def made(line: list[str], flags: list[str], folder: Path, cache: Path) -> tuple[Path, Path]:
    """A results folder with one entry, and the folder that its model was exported to."""
    results, to = folder / "results", folder / "model"
    places = ["--results", str(results), "--cache", str(cache)]
    assert main([*line, *places, "--workers", "1", "--tracker", "none", "--device", "cpu"]) == 0
    assert main(["export", entry_of(results), "--to", str(to), *flags, *places]) == 0
    return results, to


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, Path]:
    return made(TRAINED, [], tmp_path_factory.mktemp("trained"), cache)


def record_of(results: Path) -> Path:
    (path,) = (results / "records").glob("*/*/*.json")
    return path


def entry_of(results: Path) -> str:
    return "/".join(record_of(results).with_suffix("").parts[-3:])


def recorded_embeddings(results: Path) -> Tensor:
    """(N, D) unit embeddings of the test images that the first model of the first repetition was scored on."""
    run = next(run for run in read_record(record_of(results)).runs if (run.seed, run.fold) == (1, 0))
    store = CellStore(results / ".work" / "cells")
    for key in list(store.keys()):
        cell = json.loads(store.path(key).read_bytes())
        if cell["kind"] == "Measurement" and cell["result"]["metrics"] == run.metrics:
            return normalize(torch.from_numpy(store.arrays(key)["embeddings"]), dim=1)
    raise AssertionError("the measurement is in the store")


def write_images(folder: Path) -> list[Path]:
    """The first test images as files."""
    pictures = load_dataset("glyphs", None, False).test.pictures
    files = [folder / f"{i}.png" for i in range(IMAGES)]
    for i, file in enumerate(files):
        Image.fromarray(pictures.read(i)).save(file)
    return files


def test_torch_and_pillow_alone_embed_as_the_engine_did(exported: tuple[Path, Path], tmp_path: Path) -> None:
    results, folder = exported
    files = write_images(tmp_path)
    code = (
        "import sys\n"
        "for name in ('harness', 'methods', 'torchvision', 'safetensors', 'optuna', 'onnxruntime'):\n"
        "    sys.modules[name] = None\n"
        "import torch\nfrom load import embed, load\n"
        "torch.save(embed(*load('.'), sys.argv[2:]), sys.argv[1])\n"
    )
    out = tmp_path / "embeddings.pt"
    subprocess.run(
        [sys.executable, "-c", code, str(out), *map(str, files)], cwd=folder, check=True, timeout=120
    )
    found = torch.load(out, weights_only=True)
    torch.testing.assert_close(found, recorded_embeddings(results)[:IMAGES], rtol=0, atol=1e-5)


def test_a_backbone_that_does_not_train_is_put_before_its_head(tmp_path: Path, cache: Path) -> None:
    results, folder = made(FEATURES, ["--no-onnx"], tmp_path, cache)
    found = load.embed(*load.load(folder), write_images(tmp_path))
    torch.testing.assert_close(found, recorded_embeddings(results)[:IMAGES], rtol=0, atol=1e-5)
    assert not (folder / "model.onnx").exists() and "onnx" not in (folder / "README.md").read_text()


def test_onnxruntime_embeds_as_the_engine_did(exported: tuple[Path, Path], tmp_path: Path) -> None:
    results, folder = exported
    preprocessing = json.loads((folder / "config.json").read_text())["preprocessing"]
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    pixels = [load.prepare(Image.open(file), preprocessing) for file in write_images(tmp_path)]
    expected = recorded_embeddings(results)
    for batch in (1, IMAGES):
        (found,) = session.run(None, {"pixels": torch.stack(pixels[:batch]).numpy()})
        np.testing.assert_allclose(found, expected[:batch].numpy(), rtol=0, atol=1e-4)


def test_the_files_say_what_the_model_is(exported: tuple[Path, Path]) -> None:
    results, folder = exported
    record = read_record(record_of(results))
    config = json.loads((folder / "config.json").read_text())
    assert config["recorded_digits"] is True
    assert (config["method"], config["split"]) == (record.method, record.split)
    weights = load_file(folder / "model.safetensors")
    program = torch.export.load(folder / "model.pt2")
    assert weights.keys() == program.state_dict.keys()
    assert all(torch.equal(value, program.state_dict[name]) for name, value in weights.items())
    text = (folder / "README.md").read_text()
    assert record.command in text and "to the last digit" in text and "free to use" in text
    run = next(run for run in record.runs if (run.seed, run.fold) == (1, 0))
    assert f"{100 * run.metrics['map_at_r']:.2f}" in text


@contextmanager
def diary_of(results: Path) -> Iterator[MlflowClient]:
    """MLflow on the results' own diary, as somebody who uses its models sets it."""
    mlflow.set_tracking_uri(f"sqlite:///{(results / '.work' / 'mlflow.db').resolve()}")
    try:
        yield MlflowClient()
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # which takes it out of the environment again


def test_mlflow_calls_the_model_and_registers_it_only_on_request(
    exported: tuple[Path, Path], cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, _ = exported
    line = [
        "export",
        entry_of(results),
        "--no-onnx",
        "--json",
        "--results",
        str(results),
        "--cache",
        str(cache),
    ]
    assert main([*line, "--mlflow"]) == 0
    address = json.loads(capsys.readouterr().out)["mlflow_model"]
    with diary_of(results) as client:
        assert not client.search_registered_models()
        model = mlflow.pyfunc.load_model(address)
    pictures = load_dataset("glyphs", None, False).test.pictures
    found = model.predict(np.stack([pictures.read(i) for i in range(IMAGES)]))
    np.testing.assert_allclose(found, recorded_embeddings(results)[:IMAGES].numpy(), rtol=0, atol=1e-5)
    signature = model.metadata.signature
    columns = found.shape[1]
    assert [spec.shape for spec in (*signature.inputs, *signature.outputs)] == [
        (-1, -1, -1, 3), (-1, columns),
    ]  # fmt: skip
    assert model.predict(model.input_example).shape == (1, columns)
    # Asked for again, the model that is there is the one that is registered.
    assert main([*line, "--register", "ours"]) == 0
    assert json.loads(capsys.readouterr().out)["mlflow_model"] == address
    with diary_of(results) as client:
        assert len(client.search_model_versions("name = 'ours'")) == 1
        assert mlflow.pyfunc.load_model("models:/ours/1").predict(model.input_example).shape == (1, columns)


def test_a_run_logs_a_model_of_every_entry_once_on_request(
    exported: tuple[Path, Path], cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    shutil.copytree(exported[0], results, ignore=shutil.ignore_patterns("mlflow*"))
    line = [*TRAINED, "--device", "cpu", "--log-models", "--results", str(results), "--cache", str(cache)]
    # Its entry is complete: such a command trains nothing but the model, and the next one nothing at all.
    for said in ("training ms on glyphs under smoke", "MLflow has its model already"):
        assert main(line) == 0
        assert said in capsys.readouterr().err
    with diary_of(results) as client:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        (model,) = client.search_logged_models(experiments)
        assert model.name == "ms embedder" and not client.search_registered_models()
        loaded = mlflow.pyfunc.load_model(model.model_uri)
    picture = load_dataset("glyphs", None, False).test.pictures.read(0)
    found = loaded.predict(np.stack([picture]))
    np.testing.assert_allclose(found, recorded_embeddings(results)[:1].numpy(), rtol=0, atol=1e-5)


def test_models_are_not_logged_without_mlflow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAINED, "--log-models", "--tracker", "none", "--results", str(tmp_path)]) == 2
    assert "--log-models logs in MLflow" in capsys.readouterr().err and not (tmp_path / "records").exists()


def test_where_to_export_is_asked_for(
    exported: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", entry_of(exported[0]), "--results", str(exported[0])]) == 2
    assert "--to DIR, --mlflow, or both" in capsys.readouterr().err


def test_a_record_of_other_code_is_not_exported(
    exported: tuple[Path, Path], tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = record_of(exported[0])
    changed = json.loads(path.read_text()) | {"key": "0" * 64}
    other = tmp_path / path.relative_to(exported[0])
    other.parent.mkdir(parents=True)
    other.write_text(json.dumps(changed))
    entry = entry_of(tmp_path)
    assert (
        main(
            ["export", entry, "--to", str(tmp_path / "x"), "--results", str(tmp_path), "--cache", str(cache)]
        )
        == 2
    )
    assert "have changed since this entry was recorded" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_strangers_record_runs_no_plugin_that_nobody_named(
    exported: tuple[Path, Path], tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin, ran = tmp_path / "theirs.py", tmp_path / "ran"
    plugin.write_text(f"open({str(ran)!r}, 'w').close()\n")
    path = record_of(exported[0])
    command = f"python run_benchmark.py --methods theirs --dataset glyphs --plugin {plugin}"
    changed = json.loads(path.read_text()) | {"key": "0" * 64, "command": command}
    other = tmp_path / "results" / path.relative_to(exported[0])
    other.parent.mkdir(parents=True)
    other.write_text(json.dumps(changed))
    places = ["--results", str(tmp_path / "results"), "--cache", str(cache)]
    words = ["export", entry_of(tmp_path / "results"), "--to", str(tmp_path / "x"), *places]
    assert main(words) == 2
    assert f"its method is a plugin, {plugin}" in capsys.readouterr().err and not ran.exists()
    # Named, it runs: here it holds no method.
    assert main([*words, "--plugin", str(plugin)]) == 2
    assert "expected a value METHOD" in capsys.readouterr().err and ran.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ms", "--to", "{tmp}/x"], "expected protocol/dataset/method"),
        (["smoke/nowhere/ms", "--to", "{tmp}/x"], "no such record"),
        (["{entry}x", "--to", "{tmp}/x"], "did you mean {entry}?"),
        (["{entry}", "--to", "{tmp}"], "name a new or an empty folder"),
        (["{entry}", "--to", "{tmp}/x", "--fold", "9"], "the record has folds 1, 2"),
    ],
)
def test_wrong_requests_are_refused_before_any_training(
    exported: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    (tmp_path / "precious").write_text("")
    words = [word.format(tmp=tmp_path, entry=entry_of(exported[0])) for word in words]
    assert main(["export", *words, "--results", str(exported[0])]) == 2
    assert said.format(entry=entry_of(exported[0])) in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["precious"]


def test_without_onnx_its_name_is_said(
    exported: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert (
        main(["export", entry_of(exported[0]), "--to", str(tmp_path / "x"), "--results", str(exported[0])])
        == 3
    )
    assert "--no-onnx" in capsys.readouterr().err
