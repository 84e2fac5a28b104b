"""Jobs on a Ray cluster of two nodes, on this machine: real raylets, real losses, the local executor's digits."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from harness.campaign.executors import ATTEMPTS, LostError, ProcessExecutor
from harness.campaign.jobs import Done, Job, TrainJob, Workplace
from harness.campaign.outcome import Outcome
from harness.campaign.run import work_off
from harness.discovery import load_method, load_protocol
from harness.errors import BenchmarkError, RequestError
from tests.small import few_glyphs
from tests.test_campaign import Rig, make_rig, numbers
from tests.test_store_of_cells import training

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
ray = pytest.importorskip("ray", reason="Ray is an extra: pip install -e '.[ray]'")
from ray.cluster_utils import Cluster as Nodes  # noqa: E402

from harness.campaign.ray_executor import Cluster, RayExecutor  # noqa: E402

# Ray leaves sockets and processes to the operating system when it shuts down.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Tip. In future versions of Ray:FutureWarning"),
]

#: Enough to see what one costs; `TASKS=2000` for the figure in CONTRIBUTING.md.
TASKS = int(os.environ.get("TASKS", "300"))

PLUGIN = """
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from harness.method import Method, Paper, Task


class Objective(torch.nn.Module):
    def forward(self, embeddings, labels):
        {body}
        return (embeddings[:, 0] - labels).square().mean()


METHOD = Method(
    title="{name}", paper=Paper("A", "B", "C", 2026, "https://example.org"), kind="pair",
    build=lambda task: Objective(), space={{}}, published={{}},
)
"""


def plugin(folder: Path, name: str, body: str) -> Path:
    file = folder / f"{name}.py"
    file.write_text(PLUGIN.format(name=name, body=body))
    return file


@pytest.fixture
def nodes() -> Iterator[tuple[Any, Any]]:
    """A cluster of two nodes of one core each, and the second node."""
    few: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Nodes(initialize_head=True, head_node_args={**few, "include_dashboard": False})
    node = cluster.add_node(**few)
    yield cluster, node
    cluster.shutdown()  # type: ignore[no-untyped-call]


def rig_of(folder: Path, results: str, *methods: Any, plugins: tuple[Path, ...] = ()) -> Rig:
    protocol = dataclasses.replace(
        load_protocol("smoke"), epoch_steps=4, epochs=2, repetitions=1, published_repetitions=0, lr_range=None
    )
    loaded = [load_method(m, plugins) for m in methods]
    rig = make_rig(few_glyphs(), protocol, loaded, folder / results, folder / "cache")
    rig.bench = dataclasses.replace(rig.bench, plugins=plugins)
    return rig


class Shooting(RayExecutor):
    """Ends the second node, once, while a job is under way there."""

    def __init__(self, place: Workplace, address: str, cluster: Any, node: Any) -> None:
        super().__init__(place, Cluster(Path.cwd(), address))
        self.cluster_of, self.node = cluster, node
        self.submitted: Counter[str] = Counter()

    def submit(self, job: Job) -> Any:
        self.submitted[job.key] += 1
        future = super().submit(job)
        if sum(self.submitted.values()) == 2:
            raylet = psutil.Process(self.node.all_processes["raylet"][0].process.pid)
            until = time.monotonic() + 60
            while not any("TrainJob" in "".join(p.cmdline()) for p in raylet.children()):
                assert time.monotonic() < until, "no job came to the second node"
                time.sleep(0.05)
            self.cluster_of.remove_node(self.node, allow_graceful=False)
        return future


def test_a_lost_node_a_lost_worker_and_a_nan_end_in_the_local_digits(
    nodes: tuple[Any, Any], tmp_path: Path
) -> None:
    marker = tmp_path / "died-once"
    plugins = (
        plugin(tmp_path, "slow", "time.sleep(0.1)"),
        plugin(tmp_path, "unsteady", "return embeddings.sum() * torch.nan"),
        plugin(
            tmp_path,
            "fragile",
            f"os.path.exists({str(marker)!r}) or [open({str(marker)!r}, 'w'), os._exit(1)]",
        ),
    )
    methods = ("slow", "ms", "unsteady", "fragile", "untrained_head")
    rig = rig_of(tmp_path, "ray", *methods, plugins=plugins)
    cluster, node = nodes
    lost: list[tuple[str, str]] = []
    executor = Shooting(Workplace(rig.bench, rig.campaign.places.cells), cluster.address, cluster, node)
    try:
        assert executor.slots == 2
        records = rig.campaign.run(
            rig.campaign.entries(), rig.test, executor, rig, lost=lambda job, why: lost.append((job.key, why))
        )
        patience = time.monotonic() + 20  # Ray looks after its nodes now and then
        while executor.slots != 1 and time.monotonic() < patience:
            time.sleep(0.5)
        assert executor.slots == 1, "the room is that of the nodes that are left"
    finally:
        executor.stop()
    assert marker.exists()
    assert any("NodeDied" in why for _, why in lost), lost
    assert any("WorkerCrashed" in why for _, why in lost), lost
    losses = Counter(key for key, _ in lost)
    assert all(n == 1 + losses[key] for key, n in executor.submitted.items()), "nothing else is done twice"
    assert [r.status for r in records] == ["complete", "complete", "failed", "complete", "complete"]
    assert [t.status for t in records[2].searches[0].trials] == ["nan"], "counted"

    local = rig_of(tmp_path, "local", *methods, plugins=plugins)
    assert [numbers(r) for r in records] == [numbers(r) for r in local.run()]


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_worker_processes_gives_the_local_digits(tmp_path: Path, workers: int) -> None:
    rig = rig_of(tmp_path, "processes", "ms", "untrained_head")
    executor = ProcessExecutor(Workplace(rig.bench, rig.campaign.places.cells), workers)
    try:
        records = rig.campaign.run(rig.campaign.entries(), rig.test, executor, rig)
    finally:
        executor.stop()
    local = rig_of(tmp_path, "local", "ms", "untrained_head").run()
    assert [numbers(r) for r in records] == [numbers(r) for r in local]


def test_a_task_costs_the_driver_little_and_our_own_cluster_ends_with_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(job: Job, place: Workplace, folder: str) -> Any:
        return {job.key: None}

    monkeypatch.setattr("harness.campaign.ray_executor._perform", nothing)
    landed: list[int] = []

    def work() -> Any:
        landed.append(len((yield [TrainJob(training(seed=seed)) for seed in range(TASKS)])))
        return Outcome()

    place = rig_of(tmp_path, "ray", "untrained_head")
    executor = RayExecutor(Workplace(place.bench, place.campaign.places.cells), Cluster(tmp_path, workers=2))
    try:
        assert executor.slots == 2
        begun, used = time.monotonic(), time.process_time()
        assert work_off([(work(), lambda outcome: None)], executor)
        took, used = time.monotonic() - begun, time.process_time() - used
    finally:
        executor.stop()
    print(
        f"{TASKS} tasks: {1000 * took / TASKS:.2f} ms each, {1000 * used / TASKS:.2f} ms of the driver's processor"
    )
    assert landed == [TASKS]
    assert used / TASKS < 0.05
    assert not _of_ray()


def test_what_ran_out_of_a_shared_gpus_memory_gets_one_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray counts GPUs and looks at none, so two that are not there serve."""

    def crowded(job: Job, place: Workplace, folder: str) -> Any:
        share = ray.get_runtime_context().get_assigned_resources()["GPU"]
        if share < 1 and job.key == big.key:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {job.key: share}

    big, small = training(seed=1), training(seed=2)
    shares: dict[str, Any] = {}

    def work() -> Any:
        shares.update((yield [TrainJob(big), TrainJob(small)]))
        return Outcome()

    monkeypatch.setattr("harness.campaign.ray_executor._perform", crowded)
    rig = rig_of(tmp_path, "ray", "untrained_head")
    place = Workplace(dataclasses.replace(rig.bench, device="cuda"), rig.campaign.places.cells)
    cluster = Nodes(
        initialize_head=True, head_node_args={"num_cpus": 16, "num_gpus": 2, "include_dashboard": False}
    )
    executor = RayExecutor(place, Cluster(tmp_path, cluster.address, per_gpu=4))
    lost: list[str] = []
    try:
        assert executor.slots == 8
        assert work_off([(work(), lambda outcome: None)], executor, lost=lambda job, why: lost.append(why))
    finally:
        executor.stop()
        cluster.shutdown()  # type: ignore[no-untyped-call]
    assert shares == {big.key: 1.0, small.key: 0.25}
    assert lost == ["OutOfMemoryError: CUDA out of memory"]


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "ray://127.0.0.1:10001", "nowhere.invalid:6379", "here:there"]
)
def test_a_cluster_that_is_not_there_is_told_at_once(tmp_path: Path, address: str) -> None:
    rig = rig_of(tmp_path, "ray", "untrained_head")
    begun = time.monotonic()
    with pytest.raises(RequestError, match=f"no Ray cluster at {address}"):
        RayExecutor(Workplace(rig.bench, rig.campaign.places.cells), Cluster(tmp_path, address))
    assert time.monotonic() - begun < 30


OWN = """
from pathlib import Path
from harness.cli.settings import ready_ray
ready_ray(own=True)
from harness.campaign.ray_executor import Cluster, _connect, ray
_connect(Cluster(Path.cwd(), workers=1), 1)
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


def test_nobody_else_gets_into_a_cluster_of_our_own() -> None:
    """Ray's ports are open to the network, so its doors ask for a token."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    words = [sys.executable, "-c", OWN]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean) as own:
        assert own.stdout is not None and own.stdin is not None
        address = own.stdout.readline().strip()
        stranger = subprocess.run(
            [sys.executable, "-c", f"import ray; ray.init(address={address!r}); print(ray.nodes())"],
            capture_output=True, text=True, timeout=120, env=clean | {"RAY_USAGE_STATS_ENABLED": "0"},
        )  # fmt: skip
        own.stdin.close()
    assert stranger.returncode != 0 and "Authentication token is missing" in stranger.stderr


def test_what_the_driver_is_told_of_a_lost_task() -> None:
    """A machine that is gone is nobody's doing; a method's file that changed ends the campaign."""
    lost: list[str] = []

    class Fickle:
        """Loses every job a number of times before it does it."""

        slots = 4

        def __init__(self, errors: dict[str, list[Exception]]) -> None:
            self.errors = errors

        def submit(self, job: Job) -> Future[Done]:
            future: Future[Done] = Future()
            if self.errors[job.key]:
                future.set_exception(self.errors[job.key].pop())
            else:
                future.set_result({job.key: None})  # type: ignore[dict-item]
            return future

        def stop(self) -> None: ...

    cells = [training(seed=seed) for seed in range(3)]
    results: list[Done] = []

    def work() -> Any:
        results.append((yield [TrainJob(cell) for cell in cells]))
        return Outcome()

    errors: dict[str, list[Exception]] = {
        cells[0].key: [LostError("taken away", node=True)] * 25,
        cells[1].key: [LostError("crashed")] * (ATTEMPTS - 1),
        cells[2].key: [LostError("crashed")] * ATTEMPTS,
    }
    assert work_off([(work(), lambda outcome: None)], Fickle(errors), lost=lambda job, why: lost.append(why))
    assert results[0].keys() == {cell.key for cell in cells}
    given_up = results[0].pop(cells[2].key)
    assert (given_up.status, given_up.error) == ("lost", "crashed")
    assert set(results[0].values()) == {None}, "the others were done in the end"
    assert Counter(lost) == {"taken away": 25, "crashed": 2 * ATTEMPTS - 1}
    with pytest.raises(BenchmarkError, match="the file changed"):
        work_off(
            [(work(), lambda o: None)], Fickle({c.key: [BenchmarkError("the file changed")] for c in cells})
        )


def _of_ray() -> list[str]:
    """Processes of a cluster that this process has started and that are still there."""
    until = time.monotonic() + 10
    while True:
        names = [p.name() for p in psutil.Process().children(recursive=True)]
        left = [name for name in names if name.startswith(("ray", "gcs_server"))]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.1)
