"""Views of an experiment that MLflow's pages open by an address: which runs, which columns, and charts laid out.

MLflow keeps such a view in a tag of the experiment. Without one its pages draw a small chart for every metric of every
run, in which neither a search nor the folds of a training can be seen together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.campaign.events import Entry
from harness.campaign.tracking.server import VIEW
from harness.campaign.tuning import search_space

STATE = "mlflow.sharedViewState."
#: How the line of links begins, and under which name the entry's page is attached.
LINKS, DRAWN = "Look at:", "page.html"
#: MLflow takes 8,000 characters.
LONGEST_NOTE = 7990
SECTIONS = {"search": "Search", "scores": "Test scores", "curves": "Learning curves, a line a fold"}


def view_tags(entry: Entry) -> dict[str, str]:
    """The entry's views: the trials of its search, and its final runs."""
    return {
        f"{STATE}{key}": json.dumps(state)
        for key, state in ((search_key(entry), search_view(entry)), (final_key(entry), final_view(entry)))
    }


def search_key(entry: Entry) -> str:
    return f"{VIEW}-{entry.key[:12]}-search"


def final_key(entry: Entry) -> str:
    return f"{VIEW}-{entry.key[:12]}-final"


def search_view(entry: Entry) -> dict[str, Any]:
    """Trials, the best first: parallel coordinates of their values and score, and the curves of all their folds."""
    score = f"val/{entry.protocol.selection}"
    names = list(search_space(entry.method, entry.protocol, entry.dataset))
    charts = [*([parallel(names, score)] if names else []), *curves(entry)]
    columns = [f"metrics.`{score}`", *(f"params.`{name}`" for name in names), "tags.`dml.search`"]
    return view(entry, "trial", score, columns, charts)


def final_view(entry: Entry) -> dict[str, Any]:
    """Final runs, tuned and with the published values: their test scores, and the curves of all their folds."""
    score = "test/map_at_r"
    columns = [f"metrics.`{name}`" for name in (score, "test/recall_at_1")]
    columns += ["tags.`dml.values`", "tags.`dml.seed`"]
    charts = [bars(score), bars("test_joined/map_at_r"), *curves(entry)]
    return view(entry, "final", score, columns, charts)


def view(
    entry: Entry, level: str, order: str, columns: Sequence[str], charts: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The state of MLflow's page: the entry's runs of a level, ordered by a metric, with these columns and charts."""
    used = {chart["metricSectionId"] for chart in charts}
    return {
        "searchFilter": f"tags.`dml.entry` = '{entry.key}' AND tags.`dml.level` = '{level}'",
        "orderByKey": f"metrics.`{order}`",
        "orderByAsc": False,
        "selectedColumns": ["attributes.`Duration`", *columns, "tags.`dml.status`"],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": list(charts),
        "compareRunSections": [
            {
                "uuid": section,
                "name": name,
                "display": True,
                "isReordered": True,
                "columns": columns_of(section),
            }
            for section, name in SECTIONS.items()
            if section in used
        ],
        "isAccordionReordered": True,
    }


def columns_of(section: str) -> int:
    """Charts beside each other: a search has one axis a value and takes the whole width."""
    return 1 if section == "search" else 2


def parallel(names: Sequence[str], score: str) -> dict[str, Any]:
    values = {"selectedParams": list(names), "selectedMetrics": [score], "showAllRuns": True}
    return {**chart("PARALLEL", "search", "parallel"), **values}


def curves(entry: Entry) -> list[dict[str, Any]]:
    """Validation score and training loss over epochs, all folds in one chart each."""
    metrics = (f"val/{entry.protocol.selection}", "train/loss")
    return [
        {
            **chart("LINE", "curves", metric),
            "metricKey": f"fold0/{metric}",
            "selectedMetricKeys": [f"fold{fold}/{metric}" for fold in range(entry.protocol.folds)],
            "xAxisKey": "step",
            "useGlobalXaxisKey": True,
        }
        for metric in metrics
    ]


def bars(metric: str) -> dict[str, Any]:
    return {**chart("BAR", "scores", metric), "metricKey": metric}


def chart(kind: str, section: str, name: str) -> dict[str, Any]:
    return {"type": kind, "uuid": f"{VIEW}-{name}", "metricSectionId": section, "isGenerated": False}


def links(entry: Entry, experiment: str, page_of: str | None) -> str:
    """Where the entry's charts are, as links that MLflow opens beside its own page, and its page of the site.

    page_of: the run that the entry's page is attached to; None while there is none.
    """
    trials, finals = (address(experiment, key) for key in (search_key(entry), final_key(entry)))
    line = f"{LINKS} [the search]({trials}), [the final runs]({finals})"
    if page_of is None:
        return f"{line}."
    return f"{line}, [the entry's page on the site](#/experiments/{experiment}/runs/{page_of}/artifacts/{DRAWN})."


def address(experiment: str, key: str) -> str:
    """A view's charts within MLflow's pages, which lie there on every server."""
    query = f"workflowType=machine_learning&viewStateShareKey={key}&compareRunsMode=CHART"
    return f"#/experiments/{experiment}/runs?{query}"


def noted(note: str, line: str) -> str:
    """A note with this line of links above it, in the place of an older one."""
    rest = note.partition("\n\n")[2] if note.startswith(LINKS) else note
    return f"{line}\n\n{rest}"[:LONGEST_NOTE]
