"""MLflow's own pages on these runs, on the loopback address."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable

from harness.errors import BenchmarkError, RequestError

LOOPBACK = "127.0.0.1"
#: The server answers about 20 seconds after it is started on 2 cores; a loaded machine needs more.
START_SECONDS = 180.0


def ui(
    uri: str,
    port: int = 5000,
    open_browser: bool = False,
    announce: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve the runs at `uri` until interrupted (KeyboardInterrupt ends it quietly).

    uri: a tracking address; where it is a server's already, its pages are announced and nothing is started.
    announce: receives each line for the terminal; the last one is the newest experiment's address.
    Raises RequestError when the port is taken, BenchmarkError when the server ends by itself.
    """
    if uri.startswith(("http://", "https://")):
        show(uri, open_browser, announce)
        return
    announce("Starting MLflow; it takes about 20 seconds ...")
    server = start(uri, port)
    try:
        base = f"http://{LOOPBACK}:{port}"
        wait_for(base, server)
        show(base, open_browser, announce)
        announce("Ctrl-C ends the server")
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        stop(server)
    if server.returncode and server.returncode > 0:
        raise BenchmarkError(
            f"MLflow's server ended with exit code {server.returncode}; its words stand above"
        )


def start(uri: str, port: int) -> subprocess.Popen[bytes]:
    """Start MLflow's server on the loopback address, reporting nothing to its makers."""
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise RequestError(f"port {port} is taken; choose another one with --port")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--no-serve-artifacts"]
    command += ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    # A copy of the environment for the child: the browser is then not asked about usage data either.
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)


def wait_for(base: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the server answers. Raises BenchmarkError when it ends or stays silent."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise BenchmarkError(
                f"MLflow's server did not start (exit code {server.returncode}); its words stand above"
            )
        try:
            with urllib.request.urlopen(f"{base}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.25)
    raise BenchmarkError(f"MLflow's server has not answered at {base} for {START_SECONDS:.0f} seconds")


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and the worker that it started."""
    if server.poll() is None:
        server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def show(base: str, open_browser: bool, announce: Callable[[str], None]) -> None:
    """Announce the address of every experiment of ours, the newest last, and open that one where asked."""
    pages = addresses(base)
    for name, address in pages:
        announce(f"{name}  {address}")
    if not pages:
        announce(f"no runs yet  {base}")
    elif open_browser:
        webbrowser.open(pages[-1][1])


def addresses(base: str) -> list[tuple[str, str]]:
    """(experiment, address of its runs), the one changed last at the end.

    The address says which of MLflow's two faces to show: without it a browser opens the one for language models.
    """
    query = json.dumps({"max_results": 1000, "filter": "name LIKE 'dml/%'"}).encode()
    request = urllib.request.Request(
        f"{base}/api/2.0/mlflow/experiments/search", query, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer).get("experiments", [])
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"MLflow at {base} does not list its experiments: {error}") from error
    found.sort(key=lambda experiment: int(experiment.get("last_update_time", 0)))
    return [
        (e["name"], f"{base}/#/experiments/{e['experiment_id']}?workflowType=machine_learning") for e in found
    ]
