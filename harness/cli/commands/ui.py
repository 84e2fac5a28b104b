"""`ui`: the MLflow UI on these runs."""

from __future__ import annotations

import argparse

from harness.campaign.tracking import ui
from harness.cli.diary import database, tracking_uri
from harness.cli.main import say
from harness.cli.settings import read_settings
from harness.errors import RequestError


def main(request: argparse.Namespace) -> int:
    settings = read_settings(None, None, request.results)
    if settings.mlflow is None and not database(settings).is_file():
        raise RequestError(
            f"--results {settings.results}: no diary of runs is there ({database(settings)}); run something first, or "
            "`sync` to write down runs that kept none"
        )
    ui(tracking_uri(settings), request.port, announce=say)
    return 0
