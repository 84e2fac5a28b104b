"""Figures of a study, made from its record: the search, the learning curves, the repetitions.

Figures are made without pyplot, whose global state belongs to the thread that calls it first.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.record import Record, Run
from harness.statistics import incumbent_curve, seed_interval

#: Okabe and Ito's colours, told apart by nearly everyone.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#000000")


def figures_of(record: Record) -> dict[str, Figure]:
    """The figures that the record has numbers for, by name."""
    figures = {}
    if any(trial.score is not None for search in record.searches for trial in search.trials):
        figures["search"] = search_figure(record)
    if any(run.curve for run in record.runs):
        figures["learning_curves"] = curve_figure(record)
    if any(run.fold is not None for run in record.runs):
        figures["repetitions"] = repetition_figure(record)
    return figures


def search_figure(record: Record) -> Figure:
    """Each trial's validation score, the best so far, and a ring around the choice."""
    figure, axes = panel(record, "search")
    for number, search in enumerate(record.searches):
        colour = COLOURS[number % len(COLOURS)]
        scores = [trial.score for trial in search.trials]
        seen = [(trial, 100 * score) for trial, score in enumerate(scores) if score is not None]
        trials, values = [trial for trial, _ in seen], [score for _, score in seen]
        axes.scatter(trials, values, color=colour, s=22, alpha=0.7, label=f"search {number + 1}: trials")
        best = 100 * incumbent_curve(scores)
        axes.step(
            range(len(best)), best, where="post", color=colour, label=f"search {number + 1}: best so far"
        )
        if search.chosen is not None and (score := scores[search.chosen]) is not None:
            axes.scatter(
                [search.chosen], [100 * score], s=120, facecolors="none", edgecolors=colour, linewidths=1.8
            )
    axes.set_xlabel("trial (0: the published values)")
    axes.set_ylabel(f"validation {record.settings['selection']}, %, mean over folds")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8)
    return figure


def curve_figure(record: Record) -> Figure:
    """Validation curves of the final trainings, a colour a fold; the dot is the epoch that was kept."""
    figure, axes = panel(record, "learning curves of the final trainings")
    named: set[int] = set()
    for run in record.runs:
        if run.fold is None or not run.curve:
            continue
        colour = COLOURS[run.fold % len(COLOURS)]
        epochs, scores = zip(*run.curve, strict=True)
        label = None if run.fold in named else f"fold {run.fold}"
        axes.plot(
            epochs, [100 * score for score in scores], color=colour, alpha=0.6, linewidth=1.2, label=label
        )
        for epoch, score in run.curve:
            if epoch == run.best_epoch:
                axes.plot([epoch], [100 * score], "o", color=colour, markersize=4)
        named.add(run.fold)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {record.settings['selection']}, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8, title="lines: seeds", title_fontsize=8)
    return figure


def repetition_figure(record: Record) -> Figure:
    """Test MAP@R of each seed: small dots its folds, large dots their mean; the band is the interval over seeds."""
    figure, axes = panel(record, "repetitions")
    stages = (
        ("tuned", record.runs, COLOURS[0]),
        ("published loss values", record.published_runs, COLOURS[1]),
    )
    ticks: list[str] = []
    for title, runs, colour in stages:
        first = len(ticks)
        means = []
        for seed, scores in seeds_of(runs).items():
            means.append(sum(scores) / len(scores))
            axes.plot([len(ticks)] * len(scores), scores, "o", color=colour, markersize=3, alpha=0.5)
            axes.plot(
                [len(ticks)],
                means[-1:],
                "o",
                color=colour,
                markersize=8,
                label=None if len(means) > 1 else title,
            )
            ticks.append(str(seed))
        if len(means) > 1:
            interval = seed_interval(means)
            ends = (first - 0.4, len(ticks) - 0.6)
            axes.hlines(interval.mean, *ends, color=colour, linewidth=1)
            axes.fill_between(ends, interval.low, interval.high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_xlabel("seed (large dot: mean over folds; band: 95 % t interval over seeds)")
    axes.set_ylabel("test MAP@R, %")
    axes.legend(fontsize=8)
    return figure


def seeds_of(runs: list[Run]) -> dict[int, list[float]]:
    """Test MAP@R in percent of each seed's folds."""
    seeds: dict[int, list[float]] = {}
    for run in runs:
        if run.fold is not None and "map_at_r" in run.metrics:
            seeds.setdefault(run.seed, []).append(100 * run.metrics["map_at_r"])
    return seeds


def panel(record: Record, what: str) -> tuple[Figure, Axes]:
    """An empty figure of one panel, 7 x 4 inches, titled by the entry."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(f"{record.method_title} on {record.dataset_title}: {what}", fontsize=10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
