"""What there is as Markdown tables, kept between marks in the READMEs: `list methods --into methods/README.md`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from harness.errors import RequestError
from harness.files import replace_file
from harness.method import Method, Paper, Task
from harness.protocol import Protocol

#: Sizes that occur nowhere else, so that a parameter's shape says what it depends on.
TASK = Task(classes=101, embedding_size=211, images=1009, images_per_class=4, batch_size=32, steps=100)
LETTERS = {TASK.classes: "C", TASK.embedding_size: "D"}


def methods_table(methods: Iterable[Method]) -> str:
    """One line a method: paper, kind, what is searched, what it learns, what it costs and what to mind."""
    rows = [
        [f"`{m.name}`", m.title, _paper(m.paper), m.kind, ", ".join(m.space), learned(m), _notes(m)]
        for m in methods
    ]
    return _pipe(rows, ["name", "method", "paper", "kind", "searched", "learns", "notes"])


def bridged_table(methods: Iterable[Method]) -> str:
    """One line a loss of another library, whose name says what it is. The library's version stands nowhere."""
    rows = [
        [f"`{m.name}`", _paper(m.paper), m.kind, ", ".join(m.space), learned(m), m.caveat] for m in methods
    ]
    return _pipe(rows, ["name", "paper", "kind", "searched", "learns", "notes"])


def protocols_table(protocols: Iterable[Protocol]) -> str:
    """One line a protocol: network, input, batch, optimiser and how much is searched and repeated."""
    return _pipe(
        [_protocol(p) for p in protocols],
        ["name", "backbone", "pixels", "D", "batch", "optimiser", "search", "folds", "repetitions"],
    )


def write_into(file: Path, name: str, table: str) -> None:
    """Replace what stands between `<!-- list: name -->` and `<!-- /list -->` in a file. Raises RequestError."""
    if not file.is_file():
        raise RequestError(
            f"--into {file}: there is no such file; expected a page with a line <!-- list: {name} --> and, after it, "
            "<!-- /list -->"
        )
    text = file.read_text(encoding="utf-8")
    drawn = refreshed(text, name, table)
    if drawn is None:
        raise RequestError(
            f"--into {file}: expected a line <!-- list: {name} --> and, after it, <!-- /list -->"
        )
    replace_file(file, drawn.encode())


def refreshed(text: str, name: str, table: str) -> str | None:
    """The text with the table between its marks; None where the marks are missing."""
    marks = re.compile(rf"(<!-- list: {re.escape(name)} -->\n).*?(<!-- /list -->)", re.DOTALL)
    return marks.sub(lambda m: f"{m[1]}{table}\n{m[2]}", text) if marks.search(text) else None


def learned(method: Method) -> str:
    """What a method learns besides the embedder's linear layer: shapes in C classes and D dimensions, and its head."""
    parts = [] if method.head is None or method.build is None else ["own head"]
    if method.build is not None and method.own is not None:
        with torch.random.fork_rng(devices=[]):
            shapes = [p.shape for p in method.build(TASK, **method.published).parameters()]
        parts.append(f"{len(shapes)} tensors" if len(shapes) > 2 else ", ".join(map(_shape, shapes)))
    return ", ".join(parts)


def _shape(shape: Iterable[int]) -> str:
    return " × ".join(_size(size) for size in shape) or "1"


def _size(size: int) -> str:
    """A size as a multiple of C or D where it is one."""
    for number, letter in LETTERS.items():
        if size % number == 0:
            return letter if size == number else f"{size // number} {letter}"
    return str(size)


def _paper(paper: Paper) -> str:
    authors = paper.authors.split(", ")
    who = " and ".join(authors) if len(authors) < 3 else f"{authors[0]} et al."
    return f"[{who}, {paper.venue} {paper.year}]({paper.link})"


def _notes(method: Method) -> str:
    notes = [method.cost, method.caveat, "" if method.ranked else "not ranked"]
    return "; ".join(note for note in notes if note)


def _protocol(protocol: Protocol) -> list[str]:
    p = protocol
    network = "the user's" if p.backbone is None else p.backbone
    trained = "" if p.train_backbone else ", does not train"
    rate = f"{p.lr:g}" if p.lr_range is None else f"{p.lr_range[0]:g} to {p.lr_range[1]:g}"
    searches = f"{p.searches} x " if p.searches > 1 else ""
    return [
        f"`{p.name}`",
        network + trained,
        "the weights'" if p.size_of_weights else str(p.size),
        str(p.embedding_size),
        f"{p.batch_size // p.images_per_class} x {p.images_per_class}",
        f"{p.optimizer} {rate}",
        f"{searches}{p.trials} trials",
        f"{p.folds}, {p.fold_rule}",
        str(p.repetitions),
    ]


def _pipe(rows: Iterable[Sequence[str]], heads: Sequence[str]) -> str:
    """GitHub's Markdown, unpadded: a longer cell changes one line."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
