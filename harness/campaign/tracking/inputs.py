"""The dataset that a run saw, as MLflow's inputs. Imported by the ledger, once MLflow is told to report nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlflow.entities import Dataset, DatasetInput, InputTag

from harness.campaign.events import Entry

#: Digits of the split's hash that tell datasets apart; MLflow would take 36, and shows them all in every row.
DIGEST_LENGTH = 8


def dataset_inputs(entry: Entry, contexts: Sequence[str]) -> list[DatasetInput]:
    """The dataset in each of its roles; MLflow keeps one context a name, so each role has its own."""
    return [
        DatasetInput(
            Dataset(
                name=f"{entry.dataset_slug} {context}",
                digest=entry.split[:DIGEST_LENGTH],
                source_type="local",
                source=json.dumps({"dataset": entry.dataset, "split": entry.split}),
                profile=json.dumps(
                    dict(
                        zip(
                            ("classes", "images"),
                            entry.test if context == "test" else entry.development,
                            strict=True,
                        )
                    )
                ),
            ),
            [InputTag("mlflow.data.context", context)],
        )
        for context in contexts
    ]
