"""What the machine does while entries are worked on: MLflow's own system metrics, for the parent runs.

The rule: a value a minute of each metric, the mean of that minute's samples, on the parent run of every entry of which
a cell has ended in this session. So what is over within a minute has none, and neither has what is only told again. It
is the whole machine that the driver runs on, whatever shares it; other nodes of a cluster are not seen. Graphics cards
are seen where the package nvidia-ml-py is installed. Imported by the diary, once there is a ledger.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

#: Under this prefix MLflow's pages look for system metrics.
PREFIX = "system/"
#: Seconds between two values; the diary says how often a sample is taken.
SPAN = 60.0
KINDS: Sequence[Callable[[], Any]] = (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor)


class Machine:
    """Takes samples when asked to, and gives their means once a span. Used by one thread, of which it takes 1 ms."""

    def __init__(self) -> None:
        logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
        self._monitors = list(monitors())
        self._begun = time.monotonic()

    def sample(self) -> dict[str, float]:
        """Take a sample. Gives the means, by MLflow's names, when a span is over, and nothing before."""
        for monitor in self._monitors:
            monitor.collect_metrics()
        if time.monotonic() - self._begun < SPAN:
            return {}
        means = {PREFIX + name: float(v) for m in self._monitors for name, v in m.aggregate_metrics().items()}
        self._restart()
        return means

    def _restart(self) -> None:
        self._begun = time.monotonic()
        for monitor in self._monitors:
            monitor.clear_metrics()


def monitors() -> Iterator[Any]:
    """MLflow's monitors that work here, each asked once: a processor's load is measured since it was last asked."""
    for kind in KINDS:
        try:
            monitor = kind()
            monitor.collect_metrics()
        except Exception:  # no such device, no package for it, or a system that does not tell
            continue
        monitor.clear_metrics()
        yield monitor
