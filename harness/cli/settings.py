"""What the environment says. This is the only module that reads it."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from harness.errors import RequestError

#: How the names of variables begin that change digits or the number of threads.
ARITHMETIC = ("OMP_", "MKL_", "OPENBLAS_", "ATEN_", "CUBLAS_", "CUDNN_", "NVIDIA_TF32_", "TORCH_", "PYTORCH_")

#: Of cuBLAS, and its values with which digits are equal in every run.
WORKSPACE, WORKSPACES = "CUBLAS_WORKSPACE_CONFIG", (":4096:8", ":16:8")

#: In place of the cache's folder: keep no decoded images there.
NO_IMAGES = "none"


@dataclass(frozen=True)
class Settings:
    """Places and addresses of a run; a flag wins over the environment, the environment over the default.

    data: the data root, or None. mlflow: a tracking URI, or None for the database under `results/.work`.
    ray: address of a running Ray cluster, or None.
    keep_images: whether decoded images are kept in the cache (`--cache none`: they are not; the rest is).
    """

    data: Path | None
    cache: Path
    results: Path
    mlflow: str | None
    ray: str | None = None
    keep_images: bool = True

    @property
    def weights_folders(self) -> list[Path]:
        """Where weights' files are looked for; what is fetched goes into the first."""
        return [self.cache / "weights", *([self.data / "weights"] if self.data else [])]


def read_settings(data: str | None, cache: str | None, results: str) -> Settings:
    """Settings from flags and from DML_DATA, DML_CACHE, MLFLOW_TRACKING_URI and RAY_ADDRESS."""
    root = data or os.environ.get("DML_DATA")
    named = cache or os.environ.get("DML_CACHE")
    keep_images = named != NO_IMAGES
    store = named if keep_images else None
    return Settings(
        data=Path(root) if root else None,
        cache=Path(store) if store else user_cache_path("dml-benchmark", appauthor=False),
        results=Path(results),
        mlflow=os.environ.get("MLFLOW_TRACKING_URI") or None,
        ray=os.environ.get("RAY_ADDRESS") or None,
        keep_images=keep_images,
    )


def arithmetic_variables() -> dict[str, str]:
    """What the environment says about arithmetic: workers on other machines get the same."""
    return {name: value for name, value in os.environ.items() if name.startswith(ARITHMETIC)}


def ready_deterministic() -> None:
    """What cuBLAS must find before CUDA starts, here and in workers, which have this environment.

    Raises RequestError where something else stands there.
    """
    found = os.environ.setdefault(WORKSPACE, WORKSPACES[0])
    if found not in WORKSPACES:
        raise RequestError(
            f"--deterministic: {WORKSPACE} is {found}; expected {' or '.join(WORKSPACES)}, or not set at all"
        )


def ready_ray(own: bool) -> None:
    """What Ray must be told before it is imported: to report nothing to its makers, and to let nobody else into a
    cluster of our own, whose ports are open to the network."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if own:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
