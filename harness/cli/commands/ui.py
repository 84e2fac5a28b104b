"""`ui`: the MLflow UI on these runs."""

from __future__ import annotations

import argparse

from harness.campaign.tracking import ui
from harness.cli.diary import tracking_uri
from harness.cli.main import say
from harness.cli.settings import read_settings


def main(request: argparse.Namespace) -> int:
    settings = read_settings(None, None, request.results)
    ui(tracking_uri(settings), request.port, announce=say)
    return 0
