"""The words: tables are what the code says, links lead somewhere, code blocks work. Commands: test_docs_commands.py."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import torch
import yaml
from pydantic import BaseModel

from harness.cli.catalogue import refreshed
from harness.cli.commands.list import table
from harness.record import Record
from tests.docs_lines import PAGES, PROGRAM, ROOT, STANDS_FOR, blocks
from tests.made_events import made_events
from tests.made_images import fake


def write_images(folder: Path, ending: str) -> None:
    """Eight classes of three images, one folder each."""
    for i in range(24):
        fake(folder / f"class{i % 8}" / f"{i}{ending}", 997 * i)


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
