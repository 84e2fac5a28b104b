"""What follows a campaign beside the terminal: the MLflow diary, nothing, or a class of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from harness.campaign.events import Watcher
from harness.campaign.tracking import MlflowDiary
from harness.cli.diary import open_diary
from harness.cli.settings import Settings
from harness.errors import RequestError

MLFLOW, NONE = "mlflow", "none"

#: Made when the campaign begins; None follows nothing.
Opening = Callable[[Settings], Watcher | None]


def tracker_of(name: str) -> Opening:
    """What opens the tracker: `mlflow`, `none`, or `module:Class`, which is made with the results folder.

    Raises RequestError, before anything is read, for another name and for what is no `harness.campaign.events.Watcher`.
    """
    if name == MLFLOW:
        return open_diary
    if name == NONE:
        return lambda settings: None
    made = _found(name)

    def opened(settings: Settings) -> Watcher:
        try:
            return made(settings.results)
        except Exception as error:  # whatever the class's own code raises
            raise RequestError(
                f"--tracker {name}: cannot be made: {type(error).__name__}: {error}"
            ) from error

    return opened


def last_words(tracker: Watcher | None) -> list[str]:
    """What to tell the user of a tracker that has been closed: of a diary, what is not written there."""
    return [tracker.summary] if isinstance(tracker, MlflowDiary) and tracker.summary else []


def _found(name: str) -> Callable[[Path], Watcher]:
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise RequestError(f"--tracker {name}: expected {MLFLOW}, {NONE} or module:Class")
    try:
        found: Callable[[Path], Watcher] | None = getattr(import_module(module), attribute, None)
    except Exception as error:  # whatever the module's own code raises
        raise RequestError(
            f"--tracker {name}: {module} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not callable(found) or not all(callable(getattr(found, part, None)) for part in ("__call__", "close")):
        raise RequestError(
            f"--tracker {name}: expected a class in {module} with __call__(event) and close(), made with the results "
            "folder; CONTRIBUTING.md has one"
        )
    return found
