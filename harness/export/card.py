"""What stands beside an exported model: a configuration for programs and a card for people."""

from __future__ import annotations

from typing import Any

import torch

from harness.campaign.prepare import Trunk
from harness.contamination import contamination
from harness.dataset import Dataset
from harness.export.files import CONFIG, LOADER, ONNX, PROGRAM, WEIGHTS
from harness.export.retraining import Retrained
from harness.publish import words
from harness.publish.markdown import escaped, table_text
from harness.publish.rows import Board
from harness.publish.scores import STUDY, TUNED, VERDICT
from harness.publish.tables import Cell, Column, Row, Table, metric_name
from harness.record import Record


def configuration(record: Record, trunk: Trunk, made: Retrained, columns: int) -> dict[str, Any]:
    """The configuration's content: what the model takes and gives, what it is, and what made it."""
    protocol, spec = trunk.protocol.on(record.dataset_name), trunk.input
    return {
        "format": 1,
        "input": "pixels (batch, 3, size, size) float32, RGB in [0, 1]; normalised inside the model",
        "output": f"embeddings (batch, {columns}) float32, unit length; compared by their scalar product",
        "embedding_size": columns,
        "preprocessing": {"view": protocol.test_view, "resize": protocol.resize, "size": protocol.size},
        "normalisation": {
            "mean": spec.mean, "std": spec.std, "channels": spec.channels, "scale": spec.scale,
        },
        "backbone": record.backbone,
        "backbone_weights": trunk.sha256,
        "backbone_trained_on": spec.trained_on,
        "method": record.method,
        "method_title": record.method_title,
        "dataset": record.dataset,
        "protocol": record.protocol,
        "protocol_digest": record.protocol_digest,
        "split": record.split,
        "fold": made.training.fold + 1,
        "seed": made.training.seed,
        "hyperparameters": dict(made.training.values),
        "epoch": made.run.best_epoch,
        "test_metrics": made.run.metrics,
        "recorded_digits": made.same,
        "command": record.command,
        "made_by": {name: record.environment[name] for name in ("commit", "clean") if name in record.environment},
        "torch": torch.__version__,
    }  # fmt: skip


def card(
    record: Record,
    board: Board,
    dataset: Dataset,
    trunk: Trunk,
    made: Retrained,
    columns: int,
    onnx: float | None,
) -> str:
    """The card, in Markdown. onnx: largest difference of the ONNX file's embeddings; None where there is none."""
    parts = [
        f"# {escaped(record.method_title)}, trained on {escaped(record.dataset_title)}",
        _what(record, trunk, made, columns),
        "## Use", _use(columns, onnx),
        "## Numbers", table_text(_numbers(record, board, made)), _reading(record, made),
        "## What made it", _made(record, made),
        "## Licences", _licences(dataset, trunk),
        "## Cite", _cite(record),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _what(record: Record, trunk: Trunk, made: Retrained, columns: int) -> str:
    folds = record.settings["folds"]
    return (
        f"Turns an image into {columns} numbers of unit length; images of one class lie close together, also of "
        f"classes that it was never shown. Backbone {record.backbone} ({trunk.note}), loss "
        f"{escaped(record.method_title)}.\n\n"
        f"It is one of the {folds} models of the entry's first repetition (fold {made.training.fold + 1}, seed "
        f"{made.training.seed}): trained on {folds - 1} of {folds} parts of {record.development.classes} classes; the "
        "other part chose the epoch."
    )


def _use(columns: int, onnx: float | None) -> str:
    files = [
        f"- `{PROGRAM}`: for torch alone; `{LOADER}` shows how (`python {LOADER} IMAGE IMAGE`)",
        f"- `{WEIGHTS}`: the same parameters by name",
    ]
    if onnx is not None:
        files.append(f"- `{ONNX}`: input `pixels`, output `embeddings`, equal to torch's within {onnx:.0e}")
    files.append(f"- `{CONFIG}`: preprocessing, hyperparameters, and what made the model")
    return (
        f'```python\nfrom load import embed, load  # {LOADER}, in this folder\n\nmodel, preprocessing = load(".")\n'
        f'embeddings = embed(model, preprocessing, ["a.jpg", "b.jpg"])  # (2, {columns})\n'
        "similarity = embeddings @ embeddings.T\n```\n\n" + "\n".join(files)
    )


def _numbers(record: Record, board: Board, made: Retrained) -> Table:
    row = board.row(record.method, TUNED)
    columns = (
        Column("Test classes", number=False),
        Column("This model"),
        Column("The entry"),
        Column("[95 %]"),
    )
    rows = []
    more = [name for name in board.recall if name != "recall_at_1"]  # it is P@1
    for name in (*STUDY, *more):
        low, high = row.get(f"separated_{name}_low"), row.get(f"separated_{name}_high")
        mean = row.get(f"separated_{name}")
        ends = (row.get(f"separated_{name}_seed_low"), row.get(f"separated_{name}_seed_high"))
        texts = (
            metric_name(name), words.percent(made.run.metrics[name]), words.with_margin(mean, *ends),
            words.bracket(low, high),
        )  # fmt: skip
        rows.append(Row(record.method, TUNED, tuple(map(Cell, texts))))
    return Table("", columns, tuple(rows), "")


def _reading(record: Record, made: Retrained) -> str:
    repetitions = len({run.seed for run in record.runs})
    same = (
        "This copy was trained again from its recorded cell and validates to the last digit as it did."
        if made.same
        else "This copy was trained again from its recorded cell, on a machine that gives other digits: it "
        f"validates at {words.percent(made.validation[VERDICT])} % MAP@R, the recorded one at "
        f"{words.percent(made.run.validation[VERDICT])} %; the numbers are the recorded one's."
    )
    return (
        f"Percent, on {record.test.classes} classes ({record.test.images} images) that no choice was made on. The "
        f"entry is the mean over {repetitions} repetitions of {record.settings['folds']} models; ± covers repetitions "
        f"alone, the bracket repetitions or searches and test classes. {same}"
    )


def _made(record: Record, made: Retrained) -> str:
    values = ", ".join(f"{name} = {words.setting(value)}" for name, value in made.training.values.items())
    return (
        f"Protocol {escaped(record.protocol_title)} (`{record.protocol}`, digest `{record.protocol_digest[:12]}`), "
        f"split `{record.split[:12]}`, {values or 'nothing to set'}.\n\n```sh\n{record.command}\n```"
    )


def _licences(dataset: Dataset, trunk: Trunk) -> str:
    notes = [
        f"- Images: {dataset.terms or 'their owner states no terms here; ask before you pass the model on'}"
        f"{f' ({dataset.homepage})' if dataset.homepage else ''}. Whether terms on images bind a model that was "
        "trained on them is a question for your lawyer; research-only data are a reason to keep it to research.",
        "- Backbone: trained from scratch, on these images alone."
        if trunk.weights is None
        else f"- Backbone: {trunk.note}; its weights are under their publisher's terms.",
        "- The loader and this card come from dml-benchmark (MIT).",
    ]
    seen = contamination(trunk.input.trained_on)
    if seen:
        notes.append(
            f"- Beware: {seen}; the numbers above may be too good for images that are new to the backbone."
        )
    return "\n".join(notes)


def _cite(record: Record) -> str:
    paper = record.paper
    return (
        f"{escaped(paper.authors)}: {escaped(paper.title)}. {escaped(paper.venue)} {paper.year}. {paper.link}\n\n"
        "Musgrave, Belongie, Lim: A Metric Learning Reality Check. ECCV 2020. https://arxiv.org/abs/2003.08505"
    )
