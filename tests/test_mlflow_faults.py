"""A real MLflow server that hangs, dies half-way and comes back: no cell waits, no run is written twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from harness.campaign.events import Event
from harness.campaign.tracking import MlflowDiary
from harness.campaign.tracking.ledger import MlflowClient  # type: ignore[attr-defined]
from harness.campaign.tracking.server import SERVER_SETTINGS, stop, wait_for
from harness.cli.main import main
from tests.made_events import made_events
from tests.test_tracking import RUNS, comes_true

#: Of what a diary's caller may wait for, at most.
AT_ONCE = 1.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, port: int) -> Iterator[str]:
    """A server as people run it, its database and attachments in `folder`; gives its address."""
    words = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    words += ["--artifacts-destination", (folder / "attached").as_uri(), "--workers", "1"]
    with (folder / "server.log").open("w+b") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words], env={**os.environ, **SERVER_SETTINGS}, stdout=log,
            stderr=log, start_new_session=True, cwd=folder,
        )  # fmt: skip
        try:
            base = f"http://127.0.0.1:{port}"
            wait_for(base, server, log)
            yield base
        finally:
            stop(server)


def tell_all(diary: MlflowDiary, events: Sequence[Event]) -> None:
    for event in events:
        diary(event)


def timed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each call of any diary takes from now on."""
    waited: list[float] = []
    tell = MlflowDiary.__call__

    def call(self: MlflowDiary, event: Event) -> None:
        begun = time.monotonic()
        tell(self, event)
        waited.append(time.monotonic() - begun)

    monkeypatch.setattr(MlflowDiary, "__call__", call)
    return waited


def freeze(frozen: bool) -> None:
    """Stop or continue the server's processes: they take connections and answer nothing."""
    processes = [p for p in psutil.Process().children(recursive=True) if "mlflow" in " ".join(p.cmdline())]
    assert processes
    for process in processes:
        process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)


def runs_at(base: str, experiment: str) -> Counter[str]:
    client = MlflowClient(base)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], max_results=1000)
    assert {run.info.status for run in runs} == {"FINISHED"}
    return Counter(run.info.run_name for run in runs)


def test_a_server_that_hangs_dies_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", base)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    places = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    words = ["--methods", "untrained_head", "--protocol", "smoke", "--executor", "local", *places]
    events, waited = list(made_events("ms")), timed(monkeypatch)
    with serving(tmp_path, port):
        diary = MlflowDiary(base, patience=1.0)
        tell_all(diary, events[:6])
        assert comes_true(lambda: not diary.missing)
        freeze(True)
        tell_all(diary, events[6:])
        diary.close()
        assert diary.missing == len(events) - 6 and "sync" in diary.summary
        # A whole command beside a server that hangs: done, and it says what the diary lacks.
        assert main(words) == 0
        assert max(waited) < AT_ONCE
        assert "could not be written to MLflow" in capsys.readouterr().err
        freeze(False)
    # Now there is no server at all.
    dead = MlflowDiary(base, patience=1.0)
    tell_all(dead, events)
    dead.close()
    assert dead.missing == len(events)
    assert main(["sync", *places]) == 1
    with serving(tmp_path, port):
        for _ in range(2):
            diary = MlflowDiary(base, patience=60.0)
            tell_all(diary, events)
            diary.close()
            assert diary.summary == ""
            capsys.readouterr()
            assert main(["sync", *places, "--json"]) == 0
            assert len(json.loads(capsys.readouterr().out)["entries"]) == 1
            assert set(runs_at(base, "dml/glyphs/quick").values()) == {1}
            assert len(runs_at(base, "dml/glyphs/quick")) == RUNS
            assert len(runs_at(base, "dml/glyphs/smoke")) == 3 == runs_at(base, "dml/glyphs/smoke").total()
