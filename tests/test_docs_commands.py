"""Every command of the documentation runs, for real: on little data, and no longer than it takes to see that it works.

Glyphs and CUB are here with few of their classes, a server of this machine hands CUB out, and `all` methods are three.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from harness import discovery
from harness.cli.main import main
from harness.cli.parser import COMMANDS
from harness.data import cub, glyphs
from harness.dataset import Dataset
from harness.discovery import method_names
from harness.speed.training import SETTINGS
from tests.docs_lines import LINES, ROOT, blocks, form
from tests.made_images import fake
from tests.served import serving
from tests.small import few_glyphs

#: What a line with such words leaves behind, as the pattern of a file that was not there before.
LEAVES = {
    ("run",): "results/records/*/*/*.json",
    ("run", "--log-models"): "results/*/MLmodel",
    ("place",): "results/records/*/*/my_loss.json",
    ("leaderboard",): "results/LEADERBOARD.md",
    ("merge",): "joined/.work/cells/*",
    ("new",): "*.py",
    ("data", "prepare"): "cache/datasets/cub/images.txt",
    ("export", "--to"): "out/model.safetensors",
    ("export", "--mlflow"): "results/*/MLmodel",
    ("evaluate", "--submit"): "results/submitted/*/somebody.json",
}
CLASSES, IMAGES = 8, 4  # of a role of CUB; of a class
#: Classes of characters to develop on, and to test on.
CHARACTERS = 8, 6
#: All methods that there are here, beside those of plugins.
METHODS = {"ms", "proxy_nca", "untrained"}


def write_cub(folder: Path) -> None:
    """CUB's official folder, with few and small images."""
    classes = [f"{i + 1:03}.Bird_{i + 1}" for i in range(2 * CLASSES)]
    paths = [f"{name}/{name}_{j}.jpg" for name in classes for j in range(IMAGES)]
    for i, path in enumerate(paths):
        fake(folder / "images" / path, 997 * i)
    labels = [str(i // IMAGES + 1) for i in range(len(paths))]
    for name, words in (("classes", classes), ("images", paths), ("image_class_labels", labels)):
        lines = [f"{i + 1} {word}\n" for i, word in enumerate(words)]
        (folder / f"{name}.txt").write_text("".join(lines))


@pytest.fixture(scope="module")
def small_glyphs() -> Dataset:
    return few_glyphs(*CHARACTERS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, small_glyphs: Dataset) -> Path:
    """What lines name: data, images, embeddings, methods' files."""
    folder = tmp_path_factory.mktemp("docs")
    write_cub(folder / "data" / "CUB_200_2011")
    for i in range(2 * CLASSES * IMAGES):
        fake(folder / "images" / f"class{i // IMAGES:02}" / f"{i}.png", 997 * i)
    labels = small_glyphs.test.labels
    embeddings = np.random.default_rng(0).normal(size=(len(labels), 4)).astype(np.float32)
    np.savez(folder / "x.npz", embeddings=embeddings, labels=labels)
    (code,) = blocks((ROOT / "README.md").read_text(), "python")
    (folder / "softplus_pairs.py").write_text(code)
    assert main(["new", "method", "my_loss", "--to", str(folder)]) == 0
    return folder


def shrink(patch: pytest.MonkeyPatch, small: Dataset) -> None:
    """Glyphs and CUB become small, and methods few where they are not named one by one."""
    for (
        command
    ) in COMMANDS:  # what is imported first while something is patched would keep it for other tests
        import_module(f"harness.cli.commands.{command}")
    patch.setattr(cub, "CLASSES", (CLASSES, CLASSES))
    patch.setattr(cub, "IMAGES", (CLASSES * IMAGES, CLASSES * IMAGES))
    patch.setattr(glyphs, "SOURCE", dataclasses.replace(glyphs.SOURCE, load=lambda *_: small))
    patch.setattr(discovery, "method_names", few_methods)
    patch.delitem(SETTINGS, "compiled")  # a minute of a compiler's time; tests/test_compile.py compiles


@pytest.fixture(scope="module", autouse=True)
def little_data(made: Path, small_glyphs: Dataset) -> Iterator[None]:
    """Everything is small, and CUB is handed out by a server."""
    with pytest.MonkeyPatch.context() as patch, serving(made / "served") as served:
        archive = served.folder / "CUB_200_2011.tgz"
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(made / "data" / "CUB_200_2011", "CUB_200_2011")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        published = dataclasses.replace(
            cub.ARCHIVES[0], addresses=(f"{served.address}/{archive.name}",), checksums=(f"sha256:{digest}",),
            size=archive.stat().st_size,
        )  # fmt: skip
        patch.setattr(cub, "SOURCE", dataclasses.replace(cub.SOURCE, archives=(published,)))
        shrink(patch, small_glyphs)
        yield


def few_methods(plugins: Sequence[Path] = ()) -> list[str]:
    others = set(method_names()) - METHODS
    return [name for name in method_names(plugins) if name not in others]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's is taken, by `ui` in its own process either."""
    ray = (
        "RAY_ADDRESS",
        "RAY_AUTH_MODE",
        "RAY_AUTH_TOKEN",
    )  # the latter two are set for a cluster of our own
    for name in ("DML_DATA", "DML_CACHE", "MLFLOW_TRACKING_URI", *ray):
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True)
class Begun:
    """A folder in which a line may begin: results with one entry, and an empty diary, which MLflow takes seconds to
    make."""

    folder: Path
    entry: str


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, made: Path, little_data: None) -> Begun:
    folder = tmp_path_factory.mktemp("begun")
    results = folder / "results"
    line = form("python run_benchmark.py --methods contrastive --tracker none")
    assert main([word.format(made=made, here=folder) for word in line]) == 0
    for path in results.iterdir():  # pages are for `leaderboard` to draw
        if path.is_file():
            path.unlink()
        elif path.name not in ("records", ".work"):
            shutil.rmtree(path)
    MlflowClient(f"sqlite:///{results / '.work' / 'mlflow.db'}").search_experiments()
    (record,) = (results / "records").glob("*/*/*.json")
    (folder / "page.md").write_text(
        "".join(f"<!-- list: {w} -->\n<!-- /list -->\n" for w in ("methods", "protocols"))
    )
    return Begun(folder, "/".join(record.with_suffix("").parts[-3:]))


def drawn_and_checked(words: Sequence[str]) -> int:
    return main(words) or main([*words, "--check"])


def opened_and_ended(words: Sequence[str]) -> int:
    """`ui` on the diary of the entry, in a process of its own: its address is opened once, then Ctrl-C ends it."""
    results = Path(words[-1])
    assert main(["sync", "--results", str(results), "--cache", str(results.parent / "cache")]) == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "run_benchmark.py", *words, "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as ui:
        assert ui.stderr is not None
        said = "".join(takewhile(lambda line: "Ctrl-C" not in line, ui.stderr))
        try:
            found = re.search(rf"dml/glyphs/\S+  (http://127\.0\.0\.1:{port}/\S+)", said)
            assert found, said
            with urllib.request.urlopen(found[1], timeout=60) as answer:
                assert "MLflow" in answer.read().decode()
        finally:
            ui.send_signal(signal.SIGINT)
            sys.stderr.write(ui.stderr.read())  # its last words, which a closed pipe would take from it
    return ui.returncode


def shrunk_main(words: Sequence[str]) -> int:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, few_glyphs(*CHARACTERS))
        return main(words)


def alone(words: Sequence[str]) -> int:
    """In a process of its own: one process can start Ray with one token."""
    code = "import sys; from tests.test_docs_commands import shrunk_main; sys.exit(shrunk_main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT).returncode


def run(words: Sequence[str]) -> int:
    """Run a command, and what else shows that it worked."""
    if "ray" in words:
        return alone(words)
    return {"leaderboard": drawn_and_checked, "ui": opened_and_ended}.get(words[0], main)(words)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what files it has made."""

    code: int
    new: set[str]


@pytest.fixture(scope="module")
def ended() -> dict[tuple[str, ...], Ended]:
    """Several lines may have one form, which is run once."""
    return {}


@pytest.mark.parametrize("line", LINES)
def test_every_command_runs(
    line: str,
    made: Path,
    begun: Begun,
    tmp_path: Path,
    ended: dict[tuple[str, ...], Ended],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = form(line)
    if words not in ended:
        here = Path(shutil.copytree(begun.folder, tmp_path / "here"))
        before = files_in(here)
        code = run([word.format(made=made, here=here, entry=begun.entry) for word in words])
        ended[words] = Ended(code, files_in(here) - before)
    found = ended[words]
    # An audit that finds something ends with 1: two characters may well look alike.
    assert found.code == 0 or (words[:2] == ("data", "audit") and found.code == 1), capsys.readouterr().err
    for some, pattern in LEAVES.items():
        if set(some) <= set(words):
            assert any(fnmatch(file, pattern) for file in found.new), found.new
