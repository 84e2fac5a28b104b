"""The page of a study: one method's whole story on one dataset under one protocol, made from its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.campaign.events import Entry, EntryDone
from harness.campaign.tracking.pages import NOTE, Page, Point, entry_tags, finite, fold_means, named, texts
from harness.protocol_rules import SELECTIONS
from harness.record import Record, Run, Trial, place
from harness.statistics import Interval, incumbent_curve, seed_interval

NO_BREAK_SPACE = "\u00a0"
STATUS = {"complete": "FINISHED", "incomplete": "KILLED", "failed": "FAILED"}


@dataclass(frozen=True)
class Stage:
    """The final runs of one kind: where their metrics stand in MLflow, what they are called, and their intervals."""

    prefix: str
    title: str
    intervals: Mapping[str, Interval]


def study_page(event: EntryDone) -> Page:
    """The parent run: the chosen values as params, means with the ends of their intervals as metrics, and the note."""
    entry, record = event.entry, event.record
    stages = [stage for stage in stages_of(record) if stage.intervals]
    points = [*search_points(entry, record), *(point for stage in stages for point in interval_points(stage))]
    points += named("seconds/", record.seconds)
    # MLflow's params can never be changed, so they wait until the choice is final.
    params = chosen_params(record) if record.status == "complete" else {}
    return Page(
        key=entry.key,
        name=entry.method.name,
        tags={
            **entry_tags(entry, "study", record.status),
            **source_tags(record.environment),
            "dml.backbone": record.backbone,
            NOTE: note(record, stages),
        },
        params=params,
        points=finite(points),
        contexts=("training", "validation", "test"),
        status=STATUS[record.status],
        seconds=record.seconds.get("total", 0.0),
        record=record,
        arrays=event.arrays,
    )


def stages_of(record: Record) -> list[Stage]:
    """The final runs by kind: tuned and published values, separated and joined."""
    folds = record.settings["folds"]
    return [
        Stage("test/", "tuned", intervals_of(record.runs, joined=False)),
        Stage("test_joined/", f"tuned, ensemble of {folds}", intervals_of(record.runs, joined=True)),
        Stage("published/test/", "published loss values", intervals_of(record.published_runs, joined=False)),
        Stage(
            "published/test_joined/",
            f"published loss values, ensemble of {folds}",
            intervals_of(record.published_runs, joined=True),
        ),
    ]


def intervals_of(runs: Sequence[Run], joined: bool) -> dict[str, Interval]:
    """Each metric's mean and interval over seeds, the folds of a seed averaged first."""
    seeds: dict[int, list[Mapping[str, float]]] = {}
    for run in runs:
        if (run.fold is None) == joined:
            seeds.setdefault(run.seed, []).append(run.metrics)
    values: dict[str, list[float]] = {}
    for folds in seeds.values():
        for name, value in fold_means(folds).items():
            values.setdefault(name, []).append(value)
    return {name: seed_interval(found) for name, found in values.items()}


def interval_points(stage: Stage) -> list[Point]:
    """Every metric's mean; for those of the table, where there are two seeds or more, the ends of the interval."""
    points = [(stage.prefix + name, interval.mean, 0) for name, interval in stage.intervals.items()]
    for name in [name for name in SELECTIONS if name in stage.intervals]:
        interval = stage.intervals[name]
        points.append((f"{stage.prefix}{name}_ci_low", interval.low, 0))
        points.append((f"{stage.prefix}{name}_ci_high", interval.high, 0))
    return points


def search_points(entry: Entry, record: Record) -> list[Point]:
    """The best score so far after each trial, the score of the choice, and how the budget was spent."""
    selection = entry.protocol.selection
    points: list[Point] = []
    for number, search in enumerate(record.searches):
        name = f"search{number + 1}/" if len(record.searches) > 1 else "search/"
        best = incumbent_curve([trial.score for trial in search.trials])
        points += [(f"{name}best_{selection}", float(score), trial) for trial, score in enumerate(best)]
    trials = [trial for search in record.searches for trial in search.trials]
    points.append(("search/trials", len(trials), 0))
    points.append(("search/failed", sum(trial.status != "ok" for trial in trials), 0))
    choices = [score for _, trial in choices_of(record) if (score := trial.score) is not None]
    return points + ([(f"val/{selection}", max(choices), 0)] if choices else [])


def choices_of(record: Record) -> list[tuple[int, Trial]]:
    """(search, chosen trial) of each search that has chosen, the best score first."""
    chosen = [
        (n, search.trials[search.chosen])
        for n, search in enumerate(record.searches)
        if search.chosen is not None
    ]
    return sorted(chosen, key=lambda pair: -(pair[1].score or 0.0))


def chosen_params(record: Record) -> dict[str, str]:
    """The chosen values; of several searches the best one's (the note and the table of trials have the others')."""
    choices = choices_of(record)
    return texts(choices[0][1].values) if choices else {}


def source_tags(environment: Mapping[str, Any]) -> dict[str, str]:
    """MLflow's own tags for the code that ran, by hand: workers may not run in a checkout."""
    tags = {"mlflow.source.name": "run_benchmark.py", "mlflow.source.type": "LOCAL"}
    if environment.get("commit"):
        tags["mlflow.source.git.commit"] = str(environment["commit"])
    if "clean" in environment:
        tags["mlflow.source.git.dirty"] = str(not environment["clean"]).lower()
    return tags


def note(record: Record, stages: Sequence[Stage]) -> str:
    """What a reader of the study wants first, as Markdown: the numbers, the choice, how to do it again."""
    raw = place(Path("results"), record.protocol, record.dataset, record.method).as_posix()
    lines = [
        f"**{record.method_title}** on {record.dataset_title} under *{record.protocol_title}*: {record.status}"
        + (f" ({record.why})." if record.why else "."),
        "",
        *number_table(record, stages),
        *choice_lines(record),
        "Again, from the checkout:",
        "",
        f"    {record.command}",
        "",
        f"Paper: {paper_link(record)}",
        "",
        f"The raw numbers are the record `{raw}` (also under Artifacts); ranks and comparisons with other methods are "
        "in `results/LEADERBOARD.md` and on the site, `results/site/index.html`.",
    ]
    if record.caveat:
        lines[1:1] = ["", f"> {record.caveat}"]
    return "\n".join(lines)[:7400]  # the line of links above it has its share of MLflow's 8,000


def paper_link(record: Record) -> str:
    """Where the method comes from, as a link where there is one."""
    paper = record.paper
    words = f"{paper.authors}: {paper.title}, {paper.venue} {paper.year}"
    return f"[{words}]({paper.link})" if paper.link else words


def number_table(record: Record, stages: Sequence[Stage]) -> list[str]:
    """Means in percent with their intervals, and the sentence that says what the interval covers."""
    if not stages:
        return []
    names = [name for name in SELECTIONS if name in stages[0].intervals]
    lines = [f"| | {' | '.join(SELECTIONS[name] for name in names)} |", "|---" * (len(names) + 1) + "|"]
    for stage in stages:
        cells = [percent(stage.intervals[name]) if name in stage.intervals else "–" for name in names]
        # MLflow draws tables without any space between columns.
        lines.append(f"| {' | '.join(cell + 3 * NO_BREAK_SPACE for cell in (stage.title, *cells))} |")
    searches = "one search" if len(record.searches) < 2 else f"{len(record.searches)} searches"
    covers = f"the 95 % t interval over repetitions, given {searches} and these test classes"
    return [*lines, "", f"Test classes, in percent: the mean over repetitions, and in brackets {covers}.", ""]


def percent(interval: Interval) -> str:
    """`45.1 (44.0 to 46.2)`, without brackets where one seed gives no interval."""
    if interval.units < 2:
        return f"{100 * interval.mean:.1f}"
    return f"{100 * interval.mean:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def choice_lines(record: Record) -> list[str]:
    """The values that each search chose, with their validation score."""
    lines: list[str] = []
    for number, trial in sorted(choices_of(record), key=lambda pair: pair[0]):
        if not trial.values:
            continue
        values = ", ".join(f"{name} = {short(value)}" for name, value in trial.values.items())
        chosen = record.searches[number].chosen
        lines.append(
            f"- search {number + 1} chose trial {chosen}: {values} (validation {100 * (trial.score or 0):.1f})"
        )
    return [*lines, ""] if lines else []


def short(value: Any) -> str:
    """A value with at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
