"""Jobs on a Ray cluster: this machine, or many. The only module that imports ray.

Of Ray there are tasks and nothing else: a job is a task, and the driver keeps the studies, the budget and the count of
what was lost. Jobs carry paths, not images: the checkout, the cache, the weights and the results lie on a folder that
all nodes see at the same place.
"""

from __future__ import annotations

import logging
import os
import platform
import socket
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import NodeDiedError, RayTaskError

from harness.campaign.executors import LostError
from harness.campaign.jobs import Done, Job, Workplace, perform
from harness.errors import BenchmarkError, DamagedError, RequestError

#: Bytes of Ray's object store on this machine: only the workplace and results without arrays pass through it.
OBJECT_STORE = 2**27
#: Seconds for which a count of the cluster's cores and GPUs is believed.
FRESH = 1.0


@dataclass(frozen=True)
class Cluster:
    """Where tasks run and what they need.

    folder: the driver's working folder, which relative paths mean on every node.
    address: of a running cluster; None starts one on this machine alone, which ends with the executor.
    workers: trainings at once; None: as many as there is room for.
    per_gpu: trainings that share a GPU. One that ran out of its memory is done again with a GPU to itself.
    variables: environment variables of the workers, which otherwise have their node's.
    """

    folder: Path
    address: str | None = None
    workers: int | None = None
    per_gpu: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)


class RayExecutor:
    """Jobs as tasks of a Ray cluster. Nodes may come and go; `slots` follows.

    Raises RequestError where there is no cluster at the address.
    """

    def __init__(self, place: Workplace, cluster: Cluster) -> None:
        self.cluster = cluster
        self._gpu, self._threads = place.bench.device != "cpu", place.bench.threads
        (cluster.folder / place.cells).mkdir(parents=True, exist_ok=True)
        _connect(cluster, self._threads)
        self._task = ray.remote(max_retries=0, num_cpus=self._threads)(_perform)
        self._place = ray.put(place)
        self._folder = str(cluster.folder)
        self._flying: dict[Future[Done], Any] = {}
        self._crowded: set[str] = set()
        self._slots, self._counted = 1, -FRESH

    @property
    def slots(self) -> int:
        if time.monotonic() - self._counted > FRESH:
            self._slots, self._counted = self._room(), time.monotonic()
        return self._slots

    def _room(self) -> int:
        """Trainings that the cluster's nodes can do at once; 1 while there is no node, so that a task waits for it."""
        there = ray.cluster_resources()  # type: ignore[no-untyped-call]
        room = int(there.get("CPU", 0.0)) // self._threads
        if self._gpu:
            room = min(room, int(there.get("GPU", 0.0)) * self.cluster.per_gpu)
        return max(1, room if self.cluster.workers is None else min(room, self.cluster.workers))

    def submit(self, job: Job) -> Future[Done]:
        share = 1.0 if job.key in self._crowded else 1.0 / self.cluster.per_gpu
        task = self._task.options(
            num_gpus=share if self._gpu else 0, name=f"{type(job).__name__} {job.key[:12]}"
        )
        reference = task.remote(job, self._place, self._folder)
        ours: Future[Done] = Future()
        self._flying[ours] = reference

        def ended(theirs: Future[Done]) -> None:
            del self._flying[ours]
            error = theirs.exception()
            if error is None:
                ours.set_result(theirs.result())
            else:
                ours.set_exception(self._lost(job, error))

        reference.future().add_done_callback(ended)
        return ours

    def _lost(self, job: Job, error: BaseException) -> BaseException:
        """What the driver should know of a task that raised or whose worker or node is gone."""
        if not isinstance(error, RayTaskError):
            return LostError(f"{type(error).__name__}: {_line(error)}", node=isinstance(error, NodeDiedError))
        cause = error.cause
        if isinstance(cause, BenchmarkError) and not isinstance(cause, DamagedError):
            return cause
        if isinstance(cause, torch.OutOfMemoryError):
            self._crowded.add(job.key)
        return LostError(f"{type(cause).__name__}: {_line(cause)}")

    def stop(self) -> None:
        for reference in list(self._flying.values()):
            ray.cancel(reference, force=True)
        ray.shutdown()


def _connect(cluster: Cluster, threads: int) -> None:
    own: dict[str, Any] = {
        "num_cpus": None if cluster.workers is None else cluster.workers * threads,
        "object_store_memory": OBJECT_STORE,
        "include_dashboard": False,
    }
    at = f"at {cluster.address} (RAY_ADDRESS)" if cluster.address else "on this machine"
    try:
        if cluster.address:
            _knock(cluster.address)
        ray.init(
            address=cluster.address or "local",
            runtime_env={"env_vars": {"PYTHONPATH": _code(), **cluster.variables}},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if cluster.address else own),
        )
    except Exception as error:
        # Ray raises some of its own, and Exception itself where it does not come up in time.
        ray.shutdown()
        raise RequestError(
            f"--executor ray: no Ray cluster {at}: {_line(error)}. `ray status` says whether one runs; without "
            "RAY_ADDRESS this command starts its own"
        ) from None


def _knock(address: str) -> None:
    """Raises where nobody answers: Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if "://" in address:
        raise ValueError("expected HOST:PORT of its head node, or auto; run this command on one of its nodes")
    if colon:
        socket.create_connection((host, int(port)), timeout=10).close()


def _code() -> str:
    """The checkout that this code runs from: workers run the same."""
    return str(Path(__file__).parents[2])


def _perform(job: Job, place: Workplace, folder: str) -> Done:
    """The task: a job, done in a worker process of some node."""
    try:
        os.chdir(folder)
        images = place.bench.development.file
        shared = place.cells.is_dir() and (not isinstance(images, Path) or images.exists())
    except OSError:
        shared = False
    if not shared:
        raise BenchmarkError(
            f"the node {platform.node()} does not see {folder}, or the results or the cache. All nodes need them at "
            "the same place: put them on a shared folder and name it with --results and --cache"
        )
    return perform(job, place)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:300]
