"""The words: every command in them runs, tables are what the code says, links lead somewhere, code blocks work.

Commands that train, serve or fetch are run in their dry form: a run as its plan, others as their help.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest
import torch
import yaml
from pydantic import BaseModel

from harness.cli.catalogue import refreshed
from harness.cli.commands.list import table
from harness.cli.main import main
from harness.cli.parser import COMMANDS, parse
from harness.data import load_dataset
from harness.record import Record
from tests.made_events import made_events
from tests.made_images import fake

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "methods/README.md",
        "protocols/README.md",
        "results/README.md",
        "results/REPORT.md",
        "results/LEADERBOARD.md",
    )
] + sorted((ROOT / "docs").glob("*.md"))
PROGRAM = "python run_benchmark.py"

#: What placeholders stand for; data that are not here are stood for by what is embedded.
STANDS_FOR = {
    "cub": "glyphs",
    "/where/the/data/is": "{tmp}",
    "DIR": "{tmp}/out",
    "NAME": "somebody",
    "FILE.npz": "{tmp}/x.npz",
    "FILE.py": "ms",
    "folder:PATH#seed=3": "folder:{tmp}/images#seed=3",
    "methods/my_loss.py": "ms",
    "methods/softplus_pairs.py": "ms",
    "ms,softplus_pairs": "ms",
}
#: How a command is run here: as another one, or as its help.
DRY = {"run": "plan", "place": "plan"}
HELP = {"ui", "speed", "merge", "export", "leaderboard", "sync", "doctor"}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> Iterator[str]:
    """Every command line of ours, and every flag that stands alone in a table, as an argument of a run."""
    for page in PAGES:
        text = page.read_text()
        for block in blocks(text, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if PROGRAM in line and not line.startswith("#"):
                    yield line[line.index(PROGRAM) :]
        words = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for code in re.findall(r"`([^`\n]+)`", words):
            if code.startswith(PROGRAM):
                yield code
        if page.name == "README.md" and page.parent == ROOT:
            rows = [line for line in text.splitlines() if line.startswith("| ")]
            yield from (f"{PROGRAM} {code}" for row in rows for code in re.findall(r"`(--[^`]+)`", row))


LINES = sorted(set(commands()))


def write_images(folder: Path, ending: str) -> None:
    """Eight classes of three images, one folder each."""
    for i in range(24):
        fake(folder / f"class{i % 8}" / f"{i}{ending}", 997 * i)


def words_of(line: str, tmp: Path) -> list[str]:
    words = shlex.split(line.removeprefix(PROGRAM), comments=False)
    kept = words[: words.index("#")] if "#" in words else words
    return [STANDS_FOR.get(word, word).format(tmp=tmp) for word in kept]


def dry(words: list[str], tmp: Path) -> list[str]:
    """The words as they are run here."""
    command = words[0] if words and words[0] in COMMANDS else "run"
    rest = words if command == "run" else words[1:]
    if command in HELP or "prepare" in rest:
        parse(words)  # what is asked for is asked for rightly
        return [command, "--help"]
    if command == "new":
        return [command, *rest, "--to", str(tmp)]
    if "--into" in rest:
        page = tmp / "page.md"
        page.write_text(f"<!-- list: {rest[0]} -->\n<!-- /list -->\n")
        return [command, *rest[: rest.index("--into")], "--into", str(page)]
    if command == "place":
        rest = ["--methods", *rest]
    places = [] if command == "check" else ["--results", str(tmp / "results"), "--cache", str(tmp / "cache")]
    return [DRY.get(command, command), *rest, *places, *known(DRY.get(command, command), rest)]


def known(command: str, rest: list[str]) -> list[str]:
    """What a plan needs to be made without weights or data of anybody."""
    if command != "plan":
        return []
    added = [] if "--protocol" in rest else ["--protocol", "smoke"]
    if "reality_check" in rest:
        added += ["--set", "backbone=convnet", "--set", "weights=none"]
    if "frozen" in rest and "--weights" not in rest:
        added += ["--weights", "none"]
    return added


@pytest.fixture(scope="module")
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    write_images(folder / "images", ".png")
    labels = load_dataset("glyphs", None, False).test.labels
    made = np.random.default_rng(0).normal(size=(len(labels), 4)).astype(np.float32)
    np.savez(folder / "x.npz", embeddings=made, labels=labels)
    return folder


@pytest.fixture(scope="module")
def ended() -> dict[tuple[str, ...], Any]:
    """How commands ended: several lines may have one dry form."""
    return {}


@pytest.mark.parametrize("line", LINES)
def test_every_command_runs(
    line: str, tmp: Path, ended: dict[tuple[str, ...], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = tuple(dry(words_of(line, tmp), tmp))
    if words not in ended:
        try:
            ended[words] = main(words)
        except SystemExit as end:
            ended[words] = end.code
    # An audit that finds something ends with 1: two characters may well look alike.
    assert ended[words] == 0 or ("audit" in words and ended[words] == 1), capsys.readouterr().err


def test_make_has_what_the_words_ask_of_it() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = {
        word
        for page in PAGES
        for line in re.findall(r"(?:^|`)make ([a-z -]+)", page.read_text(), re.MULTILINE)
        for word in line.split()
    }
    assert asked and asked <= targets


# -- tables ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("what", "page"), [("methods", "methods"), ("pml", "methods"), ("protocols", "protocols")]
)
def test_tables_are_fresh(what: str, page: str) -> None:
    text = (ROOT / page / "README.md").read_text()
    assert refreshed(text, what, table(what, ())) == text, f"{PROGRAM} list {what} --into {page}/README.md"


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and those that its fields hold."""
    yield model
    for field in model.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part)


def test_every_field_of_a_record_is_explained() -> None:
    text = (ROOT / "results" / "README.md").read_text()
    text = text[text.index("## Every field") :]
    fields = {field.alias or name for model in models(Record) for name, field in model.model_fields.items()}
    assert len(fields) > 50
    assert not {name for name in fields if f"`{name}`" not in text}


# -- links and code ----------------------------------------------------------------------------------------------------
def anchors(page: Path) -> set[str]:
    """GitHub's names of a page's headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_and_names_of_files_lead_somewhere() -> None:
    wrong = []
    for page in PAGES:
        words = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", words):
            name, _, anchor = target.partition("#")
            there = page if not name else page.parent / name
            if not target.startswith("http") and not (
                there.exists() and (not anchor or anchor in anchors(there))
            ):
                wrong.append(f"{page.name}: {target}")
        named = re.findall(r"`((?:harness|methods|protocols|tests|docs)/[\w/]+\.\w+)`", words)
        wrong += [
            f"{page.name}: {name}" for name in named if name not in STANDS_FOR and not (ROOT / name).exists()
        ]
    assert not wrong


def module_of(code: str) -> Any:
    module = ModuleType("block")
    exec(compile(code, "CONTRIBUTING.md", "exec"), vars(module))
    return module


def test_the_dataset_the_backbone_and_the_tracker_of_the_guide_work(tmp_path: Path) -> None:
    dataset, backbone, tracker = map(module_of, blocks((ROOT / "CONTRIBUTING.md").read_text(), "python"))
    write_images(tmp_path / "garden", ".jpg")
    loaded = dataset.SOURCE.load(tmp_path, False)
    assert (len(loaded.development.class_names), len(loaded.test)) == (4, 12)
    assert loaded.test.pictures.read(0).shape[2] == 3
    network = backbone.BACKBONE.build()
    features = network(torch.zeros(2, 3, *2 * [backbone.BACKBONE.size]))
    assert [feature.shape for feature in features] == [(2, size) for size in network.feature_sizes]
    scores = tracker.Scores(tmp_path)
    for event in made_events("ms"):
        scores(event)
    scores.close()
    assert "ms on" in (tmp_path / "scores.txt").read_text()


def test_the_citation_can_be_read() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (cited["title"], cited["version"], cited["license"]) == (
        project["name"],
        project["version"],
        project["license"],
    )
    assert "Reality Check" in cited["references"][0]["title"]
