"""The diary: everything a campaign does, written into MLflow as it happens, and nothing read back from it.

The words: an event (harness.campaign.events) becomes a `Page`, which is one run of MLflow as it should be; the `Ledger`
makes the tracker hold that run exactly once; `MlflowDiary` does this on a thread of its own, so that a tracker which
fails, hangs or is absent never fails or delays a cell. Only `ledger` imports mlflow, when the first page is written,
with `inputs` and `machine`, which it needs, and `models`, which keeps an exported embedder: importing this package is
quick.
"""

from harness.campaign.tracking.diary import MlflowDiary
from harness.campaign.tracking.server import ui

__all__ = ["MlflowDiary", "ui"]
