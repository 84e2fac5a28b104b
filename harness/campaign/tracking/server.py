"""MLflow's own pages on these runs, on the loopback address."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from harness.errors import BenchmarkError, RequestError

LOOPBACK = "127.0.0.1"
#: The view of an experiment's runs that our addresses open: the one with the columns that matter here.
VIEW = "dml"
#: The server answers about 20 seconds after it is started on 2 cores; a loaded machine needs more.
START_SECONDS = 180.0
#: Nothing is reported to MLflow's makers and nobody is asked whether it may; the eight processes that run jobs of
#: MLflow's other face (2 GB) are left out.
SERVER_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def ui(
    uri: str,
    port: int = 5000,
    announce: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve the runs at `uri` until interrupted; Ctrl-C and SIGTERM end the server and return.

    uri: a tracking address; where it is a server's already, its pages are announced and nothing is started.
    announce: receives each line for the terminal.
    Raises RequestError when the port is taken, BenchmarkError when the server ends by itself.
    """
    if uri.startswith(("http://", "https://")):
        show(uri, announce)
        return
    announce("Starting MLflow; it takes about 20 seconds ...")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_server(uri, port) as base:
            show(base, announce)
            announce("Ctrl-C ends the server")
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        announce("MLflow's server has ended")
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def running_server(uri: str, port: int) -> Iterator[str]:
    """MLflow's server on the loopback address, from when it answers until the end of the block; gives its address.

    Raises RequestError when the port is taken, BenchmarkError (with the server's last words) when it does not start.
    """
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise RequestError(f"port {port} on {LOOPBACK} is taken; choose another one with --port")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--no-serve-artifacts"]
    command += ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    base = f"http://{LOOPBACK}:{port}"
    with tempfile.TemporaryFile() as words:
        server = subprocess.Popen(
            command, env={**os.environ, **SERVER_SETTINGS}, stdout=words, stderr=words, start_new_session=True
        )
        try:
            wait_for(base, server, words)
            yield base
        finally:
            stop(server)


def wait_for(base: str, server: subprocess.Popen[bytes], words: IO[bytes]) -> None:
    """Return when the server answers. Raises BenchmarkError when it ends or stays silent."""
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{base}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.25)
    words.seek(0)
    last = "\n".join(words.read().decode(errors="replace").splitlines()[-10:])
    how = "has not answered" if server.returncode is None else f"ended with exit code {server.returncode}"
    raise BenchmarkError(f"MLflow's server {how}. Its last words:\n{last}")


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and the worker that it started: they are one process group."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal_number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)
            return


def show(base: str, announce: Callable[[str], None]) -> None:
    """Announce the address of every experiment of ours, the newest last."""
    pages = addresses(base)
    for name, address in pages:
        announce(f"{name}  {address}")
    if not pages:
        announce(f"no runs yet  {base}")


def addresses(base: str) -> list[tuple[str, str]]:
    """(experiment, address of its runs), the one changed last at the end.

    The address says which of MLflow's two faces to show, since a browser opens the one for language models otherwise,
    and which columns.
    """
    query = json.dumps({"max_results": 1000, "filter": "name LIKE 'dml/%'"}).encode()
    request = urllib.request.Request(
        f"{base}/api/2.0/mlflow/experiments/search", query, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer).get("experiments", [])
    except (OSError, ValueError) as error:
        raise BenchmarkError(
            f"MLflow at {base} does not list its experiments: {error}. Is it up, and is that an address of MLflow "
            "(MLFLOW_TRACKING_URI, where that is set)?"
        ) from error
    found.sort(key=lambda experiment: int(experiment.get("last_update_time", 0)))
    view = f"runs?workflowType=machine_learning&viewStateShareKey={VIEW}"
    return [(e["name"], f"{base}/#/experiments/{e['experiment_id']}/{view}") for e in found]
