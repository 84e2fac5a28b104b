"""The MLflow diary of a command: where it and what it attaches lie."""

from __future__ import annotations

from pathlib import Path

from harness.campaign.campaign import Places
from harness.campaign.environment import commit
from harness.campaign.tracking import MlflowDiary
from harness.cli.settings import Settings


def database(settings: Settings) -> Path:
    """Where the diary lies when the user has no tracking server."""
    return Places(settings.results).work / "mlflow.db"


def tracking_uri(settings: Settings) -> str:
    """The user's tracking server, or a database under `results/.work`."""
    if settings.mlflow is not None:
        return settings.mlflow
    file = database(settings).resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{file}"


def artifacts(settings: Settings) -> Path | None:
    """Where attachments lie; None leaves that to the user's server."""
    return (
        None if settings.mlflow is not None else Places(settings.results).work.resolve() / "mlflow-artifacts"
    )


def open_diary(settings: Settings) -> MlflowDiary:
    """A diary that writes on a thread of its own."""
    return MlflowDiary(tracking_uri(settings), artifacts(settings), commit())
