"""What to set: the values that searches chose, how far they agree, what mattered, and the line for another library."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from harness.method import LEARNING_RATE, OWN_LEARNING_RATE
from harness.publish import words
from harness.publish.flags import bound_of
from harness.publish.pml import EQUIVALENTS
from harness.record import Record, SearchHistory, Trial
from harness.statistics import Importance, importance

#: Chance explains as much in so many of a hundred cases before an importance is named.
LEVEL = 0.05
OPTIMIZERS = {"adamw": "AdamW", "rmsprop": "RMSprop"}


@dataclass(frozen=True)
class Setting:
    """One hyperparameter: the published value, the searched range, and what came of it.

    recommended: of the search that validated best; None where nothing was searched or chosen.
    chosen: each search's choice, with the bound of the range that it lies at ("" for none).
    matters: importance in words.
    """

    name: str
    published: str
    range: str
    recommended: str | None
    chosen: tuple[tuple[str, str], ...]
    matters: str


def settings_of(record: Record) -> list[Setting]:
    """Every hyperparameter of an entry, in the order of its published values."""
    best = best_values(record)
    chosen = [search.trials[search.chosen].values for search in record.searches if search.chosen is not None]
    told = importances(record)
    found = []
    for name, value in record.published.items():
        space = record.space.get(name, {})
        choices = tuple((words.setting(v[name]), bound_of(space, v[name])) for v in chosen if name in v)
        recommended = words.setting(best[name]) if name in best and name in record.space else None
        matters = in_words(told[name]) if name in told else words.NONE
        found.append(Setting(name, words.setting(value), _range(space), recommended, choices, matters))
    return found


def _range(space: Mapping[str, Any]) -> str:
    if "choices" in space:
        return ", ".join(words.setting(choice) for choice in space["choices"])
    if "low" not in space:
        return "not searched"
    log = ", logarithmic" if space.get("log") else ""
    return f"{words.setting(space['low'])} to {words.setting(space['high'])}{log}"


def best_values(record: Record) -> Mapping[str, Any]:
    """The choice of the search that validated best, a setting that was really trained; {} where none was chosen."""
    told = [search for search in record.searches if search.chosen is not None]
    return _choice(max(told, key=validated)).values if told else {}


def _choice(search: SearchHistory) -> Trial:
    assert search.chosen is not None
    return search.trials[search.chosen]


def validated(search: SearchHistory) -> float:
    """The validation score of a search's choice: over all of its seeds where it had several."""
    again = [f.score for f in search.finalists if f.trial == search.chosen and f.score is not None]
    return again[0] if again else _choice(search).score or 0.0


def spread_of_choices(record: Record) -> str:
    """How far the searches' choices agree in what they scored, in words; "" for a single search."""
    scores = [validated(search) for search in record.searches if search.chosen is not None]
    if len(scores) < 2:
        return ""
    return (
        f"The choices of the {len(scores)} searches validated at {words.percent(min(scores))} to "
        f"{words.percent(max(scores))} (median {words.percent(statistics.median(scores))})."
    )


def tunability(record: Record) -> str:
    """What a careless setting would have cost on validation, the mean over searches, in words; "" without a search."""
    lost = []
    for search in record.searches:
        scores = [trial.score for trial in search.trials if trial.score is not None]
        if len(search.trials) > 1 and scores and search.trials[0].score is not None:
            best = max(scores)
            lost.append((best - statistics.median(scores), best - search.trials[0].score))
    if not lost:
        return ""
    median, published = (words.percent(statistics.mean(values)) for values in zip(*lost, strict=True))
    return f"The median trial validated {median} points below its search's best, published values {published} below."


# -- what mattered -----------------------------------------------------------------------------------


def importances(record: Record) -> dict[str, Importance | None]:
    """Importance of every searched hyperparameter, over the distinct scored settings of all searches."""
    settings: dict[str, Trial] = {}
    for trial in (t for search in record.searches for t in search.trials):
        if trial.score is not None:
            settings.setdefault(repr(sorted(trial.values.items())), trial)
    scores = [trial.score for trial in settings.values() if trial.score is not None]
    return {
        name: importance([trial.values[name] for trial in settings.values()], scores)
        for name in record.space
        if all(name in trial.values for trial in settings.values())
    }


def in_words(found: Importance | None) -> str:
    """`41% of the variance, higher is better`, or that nothing can be said."""
    if found is None:
        return "too few settings to say"
    if found.p > LEVEL or found.share < 0.01:
        return "not told from chance"
    way = "higher is better" if found.trend > 0.3 else "lower is better" if found.trend < -0.3 else ""
    return f"{found.share:.0%} of the variance" + (f", {way}" if way else "")


# -- another library ---------------------------------------------------------------------------------


def snippet(record: Record) -> tuple[str, str] | None:
    """(Python for pytorch-metric-learning, what differs there) at the recommended values; None where it lacks the loss.

    The network and the loader are the reader's: `embedder`, `loader`, `classes`.
    """
    name = record.method
    if name not in EQUIVALENTS:
        return None
    equivalent = EQUIVALENTS[name]
    values = {**record.published, **best_values(record)}
    told = {key: _python(value) for key, value in values.items()}
    told |= {"classes": "classes", "embedding_size": str(record.settings["embedding_size"])}
    # A memory is a share of a fold's training images.
    images = record.development.images * (1 - 1 / int(record.settings["folds"]))
    told |= {"memory_size": str(max(1, round(float(values.get("memory", 1.0)) * images)))}
    asked = {
        name for text in (equivalent.loss, equivalent.miner) for _, name, _, _ in Formatter().parse(text)
    }
    if not asked - {None} <= told.keys():
        return None  # somebody's method of the same name, with other hyperparameters
    loss = equivalent.loss.format(**told)
    miner = equivalent.miner.format(**told)
    used = [word for word in ("distances", "losses", "miners") if f"{word}." in loss + miner]
    lines = [
        "import torch",
        f"from pytorch_metric_learning import {', '.join(used)}",
        "",
        f"criterion = {loss}",
        *([f"miner = {miner}"] if miner else []),
        *_optimizer(record, values, weights=equivalent.weights),
        "for images, labels in loader:",
        "    embeddings = embedder(images)",
        f"    loss = criterion(embeddings, labels{', miner(embeddings, labels)' if miner else ''})",
        "    optimizer.zero_grad()",
        "    loss.backward()",
        "    optimizer.step()",
    ]
    return "\n".join(lines) + "\n", equivalent.differs


def _optimizer(record: Record, values: Mapping[str, Any], *, weights: bool) -> Sequence[str]:
    """The protocol's optimiser; what the loss learns has a rate of its own."""
    settings = record.settings
    rate = float(values.get(LEARNING_RATE, settings["lr"]))
    kind = OPTIMIZERS[str(settings["optimizer"])]
    momentum = f", momentum={_python(settings['momentum'])}" if kind == "RMSprop" else ""
    network = f"embedder.parameters(), lr={_python(rate)}, weight_decay={_python(settings['weight_decay'])}"
    if not weights:
        return [f"optimizer = torch.optim.{kind}({network}{momentum})"]
    fixed = settings.get("own_lr")
    searched = float(values.get(OWN_LEARNING_RATE, 1.0 if fixed is None else fixed))
    own = rate * searched if fixed is None else searched
    decay = _python(settings.get("own_weight_decay", 0.0))
    return [
        "groups = [",
        f"    dict(params={network}),",
        f"    dict(params=criterion.parameters(), lr={_python(own)}, weight_decay={decay}),",
        "]",
        f"optimizer = torch.optim.{kind}(groups{momentum})",
    ]


def _python(value: Any) -> str:
    """A value as Python writes it, floats with four significant digits."""
    return repr(float(f"{value:.4g}")) if isinstance(value, float) else repr(value)
