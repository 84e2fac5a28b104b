"""`speed`: what this machine does, each figure beside its limit, as ratios within one run. Of the CPU alone."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.backbones import load_backbone
from harness.campaign.environment import environment
from harness.cli.main import say, show
from harness.cli.settings import Settings, read_settings
from harness.data import load_dataset
from harness.data.store import build_store
from harness.dataset import Dataset
from harness.discovery import load_method, load_protocol, select_methods
from harness.engine.bench import Bench, Role
from harness.engine.inputs import open_store
from harness.engine.threads import arithmetic_threads
from harness.errors import RequestError
from harness.method import Method
from harness.protocol import Protocol
from harness.speed.evaluation import evaluation_figures, evaluation_growth
from harness.speed.overhead import overhead
from harness.speed.pipeline import pipeline_figures
from harness.speed.rounds import Figure
from harness.speed.steps import OTHER, step_costs
from harness.speed.training import settings_figures, training_figures

#: Photographs that are measured on where the data root holds them and no dataset is named; characters otherwise.
PHOTOGRAPHS, CHARACTERS = Path("cub50/CUB_200_2011/images"), "glyphs"
#: The network that photographs are trained with. Weights do not change its speed: it starts from scratch.
NETWORK = "mobilenet_v2"
#: The method whose step stands for the least work, and with which real training is measured.
PLAIN = "contrastive"
DIMENSIONS = 128
#: Methods and trials of a campaign whose searches train nothing: 2,000 cells.
CAMPAIGN, QUICK_CAMPAIGN = (("ms", "contrastive", "margin", "circle"), 250), (("ms",), 2)


@dataclass(frozen=True)
class Sizes:
    """How much is measured: embeddings; in a round, batches and seconds of training; images of objectives' batches."""

    embeddings: int
    batches: int
    training: float
    objectives: tuple[int, ...]


WHOLE = Sizes(embeddings=20_000, batches=32, training=4.0, objectives=(32, 120, 1024))
QUICK = Sizes(embeddings=1_500, batches=2, training=0.1, objectives=(32,))

#: A section of the report: its rows, as plain data.
Rows = list[dict[str, Any]]


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    sections: dict[str, Callable[[], Rows]] = {
        "evaluation": lambda: _evaluation(request),
        "growth": lambda: _growth(request),
        "input": lambda: _input(request, settings),
        "training": lambda: _training(request, settings, training_figures),
        "settings": lambda: _training(request, settings, settings_figures),
        "steps": lambda: _steps(request),
        "campaign": lambda: _overhead(request, settings),
    }
    _check(request, list(sections))
    value: dict[str, Any] = {
        "environment": environment("cpu", request.threads, 1),
        "rounds": request.rounds,
        "compared_with_pytorch_metric_learning": find_spec(OTHER) is not None,
    }
    with arithmetic_threads(request.threads):
        for name in request.what or sections:
            say(f"measuring: {name}")
            value[name] = sections[name]()
    show(value, _text(value), request.json)
    return 0


def _check(request: argparse.Namespace, sections: list[str]) -> None:
    """Wrong names are refused before anything is measured."""
    select_methods(request.methods)
    for name in request.what:
        if name not in sections:
            raise RequestError(f"speed {name}: expected some of {', '.join(sections)}")


def _sizes(request: argparse.Namespace) -> Sizes:
    return QUICK if request.quick else WHOLE


def _evaluation(request: argparse.Namespace) -> Rows:
    n = request.embeddings or _sizes(request).embeddings
    return [asdict(figure) for figure in evaluation_figures(n, DIMENSIONS, request.rounds)]


def _growth(request: argparse.Namespace) -> Rows:
    n = request.embeddings or _sizes(request).embeddings
    return list(evaluation_growth((n // 4, n // 2, n), DIMENSIONS))


def _input(request: argparse.Namespace, settings: Settings) -> Rows:
    dataset = _dataset(request, settings)
    bench = _bench(dataset, settings, request.threads)
    figures = pipeline_figures(
        dataset.development.pictures,
        open_store(bench.development.file),
        bench.protocol,
        bench.input,
        _sizes(request).batches,
        request.rounds,
    )
    return [{"dataset": dataset.title, **asdict(figure)} for figure in figures]


def _training(
    request: argparse.Namespace,
    settings: Settings,
    figures_of: Callable[[Bench, Method, float, int], list[Figure]],
) -> Rows:
    """On the dataset, and on the embedded characters, whose network is small: there the input counts most."""
    datasets = [_dataset(request, settings), load_dataset(CHARACTERS, None, False)]
    rows = []
    for dataset in {dataset.name: dataset for dataset in datasets}.values():
        bench = _bench(dataset, settings, request.threads)
        figures = figures_of(bench, load_method(PLAIN), _sizes(request).training, request.rounds)
        rows += [{"dataset": dataset.title, **asdict(figure)} for figure in figures]
    return rows


def _steps(request: argparse.Namespace) -> Rows:
    chosen = {method.name: method for method in [load_method(PLAIN), *select_methods(request.methods)]}
    return [
        asdict(cost)
        for batch in request.batches or _sizes(request).objectives
        for cost in step_costs(
            list(chosen.values()), PLAIN, batch, request.rounds, compiled=request.compiled, told=say
        )
    ]


def _overhead(request: argparse.Namespace, settings: Settings) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        methods, trials = CAMPAIGN if not request.quick else QUICK_CAMPAIGN
        return [overhead(methods, trials, Path(folder), settings.cache)]


def _dataset(request: argparse.Namespace, settings: Settings) -> Dataset:
    if request.dataset is not None:
        return load_dataset(request.dataset, settings.data, request.partial, cache=settings.cache)
    photographs = None if settings.data is None else settings.data / PHOTOGRAPHS
    if photographs is not None and photographs.is_dir():
        return load_dataset(f"folder:{photographs}", None, False)
    return load_dataset(CHARACTERS, None, False)


def _bench(dataset: Dataset, settings: Settings, threads: int) -> Bench:
    """The development images, decoded, under the dataset's own protocol with a network that needs no weights."""
    protocol = load_protocol(dataset.default_protocol)
    if protocol.weights is not None:
        protocol = protocol.changed({"backbone": NETWORK, "weights": None})
    protocol = protocol.on(dataset.name)
    return Bench(
        protocol=protocol,
        development=_decoded(dataset, protocol, settings),
        recall_at=dataset.recall_at,
        weights=None,
        input=load_backbone(str(protocol.backbone), None).input,
        features=False,
        threads=threads,
    )


def _decoded(dataset: Dataset, protocol: Protocol, settings: Settings) -> Role:
    images = dataset.development
    say(f"decoding {dataset.title}, or opening what was decoded before")
    store = build_store(
        images.pictures, protocol.resize, settings.cache, square=protocol.test_view == "whole"
    )
    return Role(store.path, images.labels, images.class_names)


def _text(value: dict[str, Any]) -> str:
    machine = value["environment"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads; {value['rounds']} rounds. "
        "No GPU was measured.",
        "A ratio is a row's time over that of the first row of its table, median and extremes over rounds: above 1, "
        "the first is faster.",
    ]
    if not value["compared_with_pytorch_metric_learning"]:
        lines.append("pytorch-metric-learning is not installed: nothing stands beside it.")
    for name, draw in (
        ("evaluation", _figures),
        ("growth", _growths),
        ("input", _figures),
        ("training", _figures),
        ("settings", _figures),
        ("steps", _costs),
        ("campaign", _overheads),
    ):
        if name in value:
            lines += ["", f"{name}", draw(value[name])]
    return "\n".join(lines)


def _figures(rows: Rows) -> str:
    table = [
        [
            row["what"],
            f"{row['seconds']:.3f}",
            "" if row["per_second"] is None else f"{row['per_second']:.0f}",
            f"{row['ratio']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            f"{row['cpu_ratio']:.2f}",
        ]
        for row in rows
    ]
    return tabulate(
        table, ["", "seconds", "images/s", "ratio", "over rounds", "of processor time"], disable_numparse=True
    )


def _growths(rows: Rows) -> str:
    table = [[row["n"], f"{row['cpu_seconds']:.2f}", f"{row['megabytes']:.0f}"] for row in rows]
    return tabulate(table, ["embeddings", "processor seconds", "MiB above them"], disable_numparse=True)


def _overheads(rows: Rows) -> str:
    (row,) = rows
    table = [
        [what, f"{row[f'{name}_seconds']:.2f}", f"{row[f'{name}_mib']:.0f}"]
        for name, what in (
            ("run", "to work it off"),
            ("plan", "to find its cells"),
            ("found", "to find its records"),
        )
    ]
    head = tabulate(table, [f"{row['cells']:.0f} cells", "seconds", "MiB more"], disable_numparse=True)
    return f"{head}\n{row['milliseconds_a_cell']:.1f} ms a cell beside training and evaluating"


def _costs(rows: Rows) -> str:
    table = [
        [
            row["method"],
            row["batch"],
            f"{row['milliseconds']:.2f}",
            f"{row['to_plain']:.2f}",
            "" if row["other"] is None else f"{row['other']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
            "" if row["compiled"] is None else f"{row['compiled']:.2f}",
            row["differs"],
        ]
        for row in rows
    ]
    heads = ["method", "batch", "ms", f"times {PLAIN}", "pytorch-metric-learning's over ours"]
    lines = [tabulate(table, [*heads, "ours over ours compiled", "not the same"], disable_numparse=True)]
    for batch in sorted({row["batch"] for row in rows if row["other"] is not None}):
        beside = [row for row in rows if row["batch"] == batch and row["other"] is not None]
        slowest = min(beside, key=lambda row: float(row["other"]))
        lines.append(
            f"Batches of {batch}: the median over {len(beside)} methods is "
            f"{statistics.median(row['other'] for row in beside):.2f}, the least {slowest['other']:.2f} "
            f"({slowest['method']})."
        )
        both = [row["other"] * row["compiled"] for row in beside if row["compiled"] is not None]
        if both:
            lines.append(f"  Compiled: {statistics.median(both):.2f} over {len(both)} methods.")
    return "\n".join(lines)
