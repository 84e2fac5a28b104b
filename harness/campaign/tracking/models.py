"""An entry's exported embedder as a model of MLflow, on the entry's parent run; registered only where asked for."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

# The ledger first: it tells MLflow before its import to report nothing to its makers.
from harness.campaign.tracking.ledger import Ledger, first_line  # isort: skip
import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking.client import MlflowClient
from mlflow.types import Schema, TensorSpec

from harness.campaign.events import Entry
from harness.errors import BenchmarkError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about its own types
    import mlflow.pyfunc

#: What `harness.export.served` needs.
PACKAGES = ("torch", "numpy", "pillow")


def keep_model(
    uri: str,
    artifacts: Path | None,
    source: Mapping[str, str],
    entry: Entry,
    folder: Path,
    example: npt.NDArray[np.uint8],
    columns: int,
    tags: Mapping[str, str],
    registered: str | None = None,
) -> str:
    """Keep the exported `folder` as a model of the entry's parent run; returns its address, `models:/...`.

    uri, artifacts, source: as `Ledger` takes them.
    example: an image (height, width, 3). columns: D. tags: which model it is; one that is there already is not kept
    again.
    registered: name in the registry of models, of which it becomes a new version; None: it is not registered.
    Raises BenchmarkError where the tracker fails.
    """
    try:
        run = Ledger(uri, artifacts, source).parent(entry)
        with _tracking(uri):
            address = kept(uri, run, tags) or log_model(
                f"{entry.method.slug} embedder", run, folder, example, columns, tags
            )
            if registered is not None:
                mlflow.register_model(address, registered, tags=dict(tags))
    except (MlflowException, OSError) as error:
        raise BenchmarkError(
            f"MLflow could not keep the model: {first_line(error)}. Once it answers, the same command tries again; "
            "--to DIR keeps the model in a folder"
        ) from error
    return address


@contextmanager
def _tracking(uri: str) -> Iterator[None]:
    """MLflow's models know no tracker but the process's own, which it keeps in the environment too."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None is allowed: the tracker is nobody's


def has_model(
    uri: str, artifacts: Path | None, source: Mapping[str, str], entry: Entry, tags: Mapping[str, str]
) -> bool:
    """Whether the entry's parent run has a model with these tags. Raises BenchmarkError where the tracker fails."""
    try:
        return kept(uri, Ledger(uri, artifacts, source).parent(entry), tags) is not None
    except (MlflowException, OSError) as error:
        raise BenchmarkError(
            f"MLflow does not answer: {first_line(error)}; once it does, the same command tries again"
        ) from error


def kept(uri: str, run: str, tags: Mapping[str, str]) -> str | None:
    """The address of the run's model that has these tags; None where there is none."""
    client = MlflowClient(tracking_uri=uri)
    outputs = client.get_run(run).outputs
    for output in outputs.model_outputs if outputs else []:
        model = client.get_logged_model(output.model_id)
        if model.status == "READY" and tags.items() <= model.tags.items():
            return str(model.model_uri)
    return None


def log_model(
    name: str, run: str, folder: Path, example: npt.NDArray[np.uint8], columns: int, tags: Mapping[str, str]
) -> str:
    """Log the exported folder, with the code that lets MLflow call it, what it takes and gives, and an example."""
    # By its path: it is code that goes out, and is never imported here.
    code = Path(__file__).parents[2] / "export" / "served.py"
    images = TensorSpec(np.dtype("uint8"), (-1, -1, -1, 3))
    embeddings = TensorSpec(np.dtype("float32"), (-1, columns))
    client = MlflowClient()
    source = client.get_run(run)
    # Made before it is filled: by itself MLflow makes it in the Default experiment, whose files lie in ./mlruns.
    model = client.create_logged_model(
        source.info.experiment_id, name, run, dict(tags), dict(source.data.params)
    )
    info = Model.log(
        None,
        mlflow.pyfunc,
        name=name,
        model_id=model.model_id,
        run_id=run,
        loader_module=code.stem,
        data_path=str(folder),
        code_paths=[str(code)],
        signature=ModelSignature(Schema([images]), Schema([embeddings])),
        input_example=example[None],
        pip_requirements=[f"{package}=={version(package).partition('+')[0]}" for package in PACKAGES],
    )
    return str(info.model_uri)
