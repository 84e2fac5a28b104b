"""The ledger: makes a tracker hold each page exactly once. It and three files beside it import mlflow.

Runs are found by their tag `dml.key` before they are made, and what they hold is compared, not logged again: writing
the same pages twice, from two sessions or after a crash in between, leaves the same runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

# MLflow reads these when it is imported or at each call; what the user has set holds. Nothing is reported to MLflow's
# makers, nothing is printed into our terminal, and a tracker that hangs is left alone soon: the diary tries again.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow.entities import Experiment, Metric, Param, Run, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking.client import MlflowClient  # noqa: E402

from harness.campaign.events import Entry  # noqa: E402
from harness.campaign.tracking.attachments import attach  # noqa: E402
from harness.campaign.tracking.database import make_database, quiet  # noqa: E402
from harness.campaign.tracking.experiment import experiment_name, experiment_tags  # noqa: E402
from harness.campaign.tracking.inputs import dataset_inputs  # noqa: E402
from harness.campaign.tracking.pages import (  # noqa: E402
    ENTRY,
    KEY,
    NOTE,
    WRITTEN,
    Page,
    Point,
    RefusedError,
    entry_tags,
)
from harness.campaign.tracking.views import DRAWN, links, noted, view_tags  # noqa: E402

PARENT = "mlflow.parentRunId"
#: Digest of the entry's page on the site that is attached to its parent run.
DRAWN_TAG = "dml.page"
#: MLflow takes 1,000 things in one call, of which our tags and params are fewer than 200, and 100 params.
METRICS_AT_ONCE = 800
PARAMS_AT_ONCE = 100

Item = TypeVar("Item")


@dataclass(frozen=True)
class Known:
    """A run that the tracker holds: its id, the digest of the page it was last written from, and its status."""

    id: str
    written: str
    status: str


class Ledger:
    """One tracker and what is known of its runs. Used by one thread.

    uri: MLflow's tracking address.
    artifacts: folder for the artifacts of new experiments; None leaves the place to the tracker.
    source: tags for the code that runs, put on every run when it is made.
    Every method raises what MLflow raises when the tracker fails; call `forget` then, and try again.
    """

    def __init__(self, uri: str, artifacts: Path | None, source: Mapping[str, str]) -> None:
        self._artifacts = artifacts
        self._source = source
        self._latest = 0
        self._experiments: dict[str, str] = {}  # by the entry's key
        self._runs: dict[str, dict[str, Known]] = {}
        with quiet():
            make_database(uri, open_once)
            self._client = MlflowClient(tracking_uri=uri)

    def forget(self) -> None:
        """Look everything up again: an answer may have been lost after the tracker did what was asked."""
        self._experiments.clear()
        self._runs.clear()

    def open(self, entry: Entry) -> None:
        """Have the entry's parent run; one that an earlier session left unfinished goes on."""
        parent = self._parent(entry)
        if parent.status == "KILLED":
            self._client.update_run(parent.id, status="RUNNING")
            self._keep(entry, entry.key, Known(parent.id, "", "RUNNING"))

    def parent(self, entry: Entry) -> str:
        """Id of the entry's parent run, which is made where there is none."""
        return self._parent(entry).id

    def show(self, entry: Entry, page: str) -> None:
        """Attach the entry's page of the site to its parent run, whose note then links to it."""
        run = self._client.get_run(self._parent(entry).id)
        digest = hashlib.sha256(page.encode()).hexdigest()[:16]
        if run.data.tags.get(DRAWN_TAG) == digest:
            return
        self._client.log_text(run.info.run_id, page, DRAWN)
        note = noted(run.data.tags.get(NOTE, ""), links(entry, run.info.experiment_id, run.info.run_id))
        self._client.log_batch(run.info.run_id, tags=[RunTag(NOTE, note), RunTag(DRAWN_TAG, digest)])

    def note_machine(self, entry: Entry, values: Mapping[str, float]) -> None:
        """Note what the machine does now on the entry's parent run; the steps are the run's minutes."""
        run = self._client.get_run(self._parent(entry).id)
        now = milliseconds(time.time())
        minute = (now - run.info.start_time) // 60_000
        self._client.log_batch(run.info.run_id, [Metric(name, v, now, minute) for name, v in values.items()])

    def leave(self, entry: Entry) -> None:
        """Close the parent run of an entry that is not done."""
        parent = self._parent(entry)
        if parent.status == "RUNNING":
            self._client.set_terminated(parent.id, "KILLED")
            self._keep(entry, entry.key, Known(parent.id, "", "KILLED"))

    def write(self, entry: Entry, page: Page) -> None:
        """Have the page's run, and have it say what the page says. Raises RefusedError where MLflow rejects a value."""
        digest = page.digest
        known = self._known(entry).get(page.key)
        if known is not None and known.written == digest and known.status == page.status:
            return
        try:
            run = self._client.get_run(known.id) if known else self._create(entry, page)
            self._describe(run, entry, page)
            self._record(run, entry, page, digest)
            # A parent is under way from its first cell to now; other runs take as long as their cells took.
            end = time.time() if page.key == entry.key else run.info.start_time / 1000 + page.seconds
            self._client.set_terminated(run.info.run_id, page.status, milliseconds(end))
        except MlflowException as error:
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise RefusedError(first_line(error)) from error
            raise
        self._keep(entry, page.key, Known(run.info.run_id, digest, page.status))

    # -- finding and making ------------------------------------------------------------------------------------------

    def _known(self, entry: Entry) -> dict[str, Known]:
        """The entry's runs by key, from one search for each entry."""
        if entry.key not in self._runs:
            experiment = self._experiment(entry)
            runs: dict[str, Known] = {}
            for run in sorted(self._search(experiment, entry.key), key=lambda run: run.info.start_time):
                key = run.data.tags.get(KEY, "")
                if key in runs:
                    # Made twice when the tracker's answer to the first request was lost; the younger one goes.
                    self._client.delete_run(run.info.run_id)
                else:
                    runs[key] = Known(run.info.run_id, run.data.tags.get(WRITTEN, ""), run.info.status)
            self._runs[entry.key] = runs
        return self._runs[entry.key]

    def _search(self, experiment: str, entry_key: str) -> Iterator[Run]:
        token: str | None = None
        while token is None or token:
            found = self._client.search_runs(
                [experiment], f"tags.`{ENTRY}` = '{entry_key}'", max_results=1000, page_token=token
            )
            yield from found
            token = found.token or ""

    def _keep(self, entry: Entry, key: str, known: Known) -> None:
        self._known(entry)[key] = known

    def _experiment(self, entry: Entry) -> str:
        """Id of the experiment of the entry's dataset and protocol, made where there is none, with its views."""
        if entry.key not in self._experiments:
            name = experiment_name(entry)
            found = self._client.get_experiment_by_name(name)
            if found is None:
                found = self._make_experiment(name)
            elif found.lifecycle_stage == "deleted":
                # Its name stays taken, so new runs can only go into the old experiment.
                self._client.restore_experiment(found.experiment_id)
            for tag, value in {**experiment_tags(entry), **view_tags(entry)}.items():
                if found.tags.get(tag) != value:
                    self._client.set_experiment_tag(found.experiment_id, tag, value)
            self._experiments[entry.key] = found.experiment_id
        return self._experiments[entry.key]

    def _make_experiment(self, name: str) -> Experiment:
        place = None
        if self._artifacts is not None:
            place = (self._artifacts / name.replace("/", "-")).absolute().as_uri()
        try:
            return self._client.get_experiment(self._client.create_experiment(name, artifact_location=place))
        except MlflowException as error:
            # Another session was quicker by a moment.
            found = self._client.get_experiment_by_name(name)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
            return found

    def _parent(self, entry: Entry) -> Known:
        if entry.key not in self._known(entry):
            note = f"Not done yet. The command:\n\n    {entry.command}"
            note = noted(note, links(entry, self._experiment(entry), None))
            tags = {**entry_tags(entry, "study", "running"), NOTE: note}
            run = self._create(entry, Page(entry.key, entry.method.name, tags))
            self._keep(entry, entry.key, Known(run.info.run_id, "", "RUNNING"))
        return self._known(entry)[entry.key]

    def _create(self, entry: Entry, page: Page) -> Run:
        """Make the page's run: started as long ago as its cells took, and after all runs made before, their order."""
        tags = {**self._source, **page.tags, KEY: page.key}
        if page.key != entry.key:
            tags[PARENT] = self._parent(entry).id
        self._latest = max(self._latest + 1, milliseconds(time.time() - page.seconds))
        return self._client.create_run(self._experiment(entry), self._latest, tags, page.name)

    # -- what a run says ---------------------------------------------------------------------------------------------

    def _describe(self, run: Run, entry: Entry, page: Page) -> None:
        """The dataset that the run saw, and what is attached to it."""
        if page.contexts and not (run.inputs and run.inputs.dataset_inputs):
            self._client.log_inputs(run.info.run_id, dataset_inputs(entry, page.contexts))
        if page.record is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            tables = attach(Path(folder), page.record, page.arrays)
            self._client.log_artifacts(run.info.run_id, folder)
        # What `log_table` notes for the page that shows tables; itself it would append to a table that is there.
        listed = json.dumps([{"path": path, "type": "table"} for path in tables])
        self._client.set_tag(run.info.run_id, "mlflow.loggedArtifacts", listed)

    def _record(self, run: Run, entry: Entry, page: Page, digest: str) -> None:
        """Params, metrics and tags that the run does not have yet; the tag `dml.written` with the last of them."""
        tags = dict(page.tags)
        if page.key == entry.key:
            drawn = run.info.run_id if DRAWN_TAG in run.data.tags else None
            tags[NOTE] = noted(tags[NOTE], links(entry, run.info.experiment_id, drawn))
        changed = [k for k, v in page.params.items() if run.data.params.get(k, v) != v]
        if changed:
            tags["dml.conflict"] = (
                f"another session says otherwise, and params stay as they were: {', '.join(changed)}"
            )
        params = [Param(k, v) for k, v in page.params.items() if k not in run.data.params]
        now = milliseconds(time.time())
        metrics = [Metric(name, value, now, step) for name, value, step in self._missing(run, page.points)]
        first, *later = chunks(metrics, METRICS_AT_ONCE)
        for some in later:
            self._client.log_batch(run.info.run_id, some)
        first_params, *later_params = chunks(params, PARAMS_AT_ONCE)
        for more in later_params:
            self._client.log_batch(run.info.run_id, params=more)
        marks = [RunTag(name, value) for name, value in {**tags, WRITTEN: digest}.items()]
        self._client.log_batch(run.info.run_id, first, first_params, marks)

    def _missing(self, run: Run, points: Sequence[Point]) -> list[Point]:
        """The points that the run does not hold. Of a value that changed, the newest one is shown."""
        held = {
            (name, metric.step): metric.value
            for name in {name for name, _, _ in points} & set(run.data.metrics)
            for metric in sorted(
                self._client.get_metric_history(run.info.run_id, name), key=lambda m: m.timestamp
            )
        }
        return [point for point in points if held.get((point[0], point[2])) != point[1]]


def open_once(uri: str) -> None:
    """Make the tables at an address where there are none."""
    MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def milliseconds(seconds: float) -> int:
    return int(1000 * seconds)


def chunks(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut into pieces of at most `size`; at least one piece."""
    return [items[start : start + size] for start in range(0, max(len(items), 1), size)]


def first_line(error: BaseException) -> str:
    """An error's first line, or its kind where it has no words."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__
