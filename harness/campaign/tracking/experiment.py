"""An experiment of MLflow: one dataset under one protocol, its name and what stands above its runs."""

from __future__ import annotations

import json

from harness.campaign.events import Entry
from harness.campaign.tracking.pages import NOTE
from harness.campaign.tracking.server import VIEW
from harness.campaign.tracking.views import STATE


def experiment_name(entry: Entry) -> str:
    """`dml/glyphs/quick`."""
    return f"dml/{entry.dataset_slug}/{entry.protocol.slug}"


def experiment_tags(entry: Entry) -> dict[str, str]:
    """What the experiment's page says above its runs, and by which metric its runs are ordered."""
    protocol = entry.protocol
    classes, images = entry.development
    test_classes, test_images = entry.test
    lines = [
        f"**{entry.dataset_title}** under the protocol **{protocol.title}**. {protocol.about}".strip(),
        "",
        f"Methods are tuned on {classes} development classes ({images:,} images), cut into {protocol.folds} folds, and "
        f"measured on {test_classes} test classes ({test_images:,} images) that no search ever sees.",
        "",
        "Each parent run is one method: its metrics `test/...` are means over repetitions with the ends of their "
        "95 % intervals (`_ci_low`, `_ci_high`), its params the chosen values, its note the line that does it again. "
        "Open it to see its trials (validation scores of every fold, a step an epoch) and its final runs (a seed "
        "each). "
        "Filter with tags, for example ``tags.`dml.level` = 'trial'`` or ``tags.`dml.method` = 'ms'``.",
        "",
        "Ranks, intervals and comparisons: `results/LEADERBOARD.md` and `results/site/index.html`. Validation and test "
        "scores have galleries of different size and are never compared with each other.",
    ]
    return {
        NOTE: "\n".join(lines),
        "mlflow.experiment.primaryMetric.name": "test/map_at_r",
        "mlflow.experiment.primaryMetric.greaterIsBetter": "true",
        "mlflow.experimentKind": "custom_model_development",
        # The state of MLflow's table of runs that an address with this key opens.
        f"{STATE}{VIEW}": json.dumps({"selectedColumns": columns(protocol.selection)}),
        "dml.dataset": entry.dataset_slug,
        "dml.protocol": protocol.slug,
    }


def columns(selection: str) -> list[str]:
    """What the table of runs shows beside names; left alone, MLflow shows no metric at all."""
    metrics = (
        "test/map_at_r",
        "test/map_at_r_ci_low",
        "test/map_at_r_ci_high",
        "test/recall_at_1",
        f"val/{selection}",
    )
    return ["attributes.`Duration`", *(f"metrics.`{name}`" for name in metrics), "tags.`dml.status`"]
