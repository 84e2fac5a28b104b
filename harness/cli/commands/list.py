"""`list`: what there is, what is ready to run here, and what is missing."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.backbones import backbone_names, describe, find_weights
from harness.cli.catalogue import bridged_table, methods_table, protocols_table, write_into
from harness.cli.main import say, show
from harness.cli.settings import Settings, read_settings
from harness.data import load_dataset
from harness.discovery import (
    bridged_names,
    dataset_names,
    load_dataset_source,
    load_method,
    load_protocol,
    method_names,
    protocol_names,
)
from harness.errors import BenchmarkError, RequestError
from harness.method import Method

Rows = list[dict[str, Any]]

#: Ours with those of packages and plugins, and another library's.
METHODS = ("methods", "pml")


def main(request: argparse.Namespace) -> int:
    plugins = tuple(Path(p).resolve() for p in request.plugin)
    for plugin in filter(Path.is_file, plugins):
        say(f"running the code in {plugin}")
    if request.into is not None:
        write_into(Path(request.into), request.what, table(request.what, plugins))
        say(f"drawn        {request.into}")
        return 0
    settings = read_settings(request.data, request.cache, request.results)
    if request.what in METHODS:
        rows = [_method(method) for method in _methods(request.what, plugins)]
    else:
        rows = {"datasets": datasets, "protocols": protocols, "backbones": backbones}[request.what](settings)
    show(rows, _text(rows), request.json)
    return 0


def table(what: str, plugins: tuple[Path, ...]) -> str:
    """Methods, another library's losses or protocols as a Markdown table. Raises RequestError for the others."""
    if what in METHODS:
        draw = methods_table if what == METHODS[0] else bridged_table
        return draw(_methods(what, plugins))
    if what == "protocols":
        return protocols_table(load_protocol(name) for name in protocol_names())
    raise RequestError(
        f"list {what} --into: which of them are here differs from machine to machine, so no page holds them; expected "
        "methods, pml or protocols"
    )


def _methods(what: str, plugins: tuple[Path, ...]) -> list[Method]:
    names = method_names(plugins) if what == METHODS[0] else bridged_names()
    return [load_method(name, plugins) for name in names]


def _text(rows: Rows) -> str:
    table = [{k: _words(v) for k, v in row.items()} for row in rows]
    return tabulate(table, headers="keys", disable_numparse=True)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _method(method: Method) -> dict[str, Any]:
    keywords = [] if method.build is None else list(inspect.signature(method.build).parameters)
    return {
        "name": method.name,
        "title": method.title,
        "paper": f"{method.paper.authors}, {method.paper.venue} {method.paper.year}",
        "year": method.paper.year,
        "kind": method.kind,
        "hyperparameters": sorted({*method.space, *method.published}),
        "learns": method.own is not None,
        "cost": method.cost,
        "keywords": keywords,
    }


def datasets(settings: Settings) -> Rows:
    return [_dataset(name, settings) for name in dataset_names()]


def _dataset(name: str, settings: Settings) -> dict[str, Any]:
    source = load_dataset_source(name)
    ready, note = True, "embedded" if source.embedded else "here"
    try:
        load_dataset(name, settings.data, False, cache=settings.cache)
    except BenchmarkError as error:
        ready, note = False, str(error).splitlines()[0]
        try:
            load_dataset(name, settings.data, True, cache=settings.cache)
            note = f"here in part (--partial): {note}"
        except BenchmarkError:
            pass
    return {"name": name, "title": source.title, "ready": ready, "homepage": source.homepage, "note": note}


def protocols(settings: Settings) -> Rows:
    return [_protocol(name, settings) for name in protocol_names()]


def _protocol(name: str, settings: Settings) -> dict[str, Any]:
    protocol = load_protocol(name)
    ready, note = True, ""
    if protocol.backbone is None:
        note = "any backbone (--backbone)"
    elif protocol.weights is not None:
        try:
            note = str(find_weights(protocol.backbone, protocol.weights, settings.weights_folders))
        except BenchmarkError as error:
            ready, note = False, str(error).splitlines()[0]
    return {
        "name": name,
        "title": protocol.title,
        "backbone": protocol.backbone or "the user's",
        "trials": protocol.trials,
        "searches": protocol.searches,
        "folds": protocol.folds,
        "repetitions": protocol.repetitions,
        "ready": ready,
        "note": note,
    }


def backbones(settings: Settings) -> Rows:
    return [describe(name, settings.weights_folders) for name in backbone_names()]
