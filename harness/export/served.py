"""Lets MLflow call an exported model: `mlflow.pyfunc.load_model(uri).predict(images)`. Goes out with the model.

Needs torch, numpy and Pillow; the rest is the exported folder's own `load.py`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


class Embeddings:
    """images (B, height, width, 3) uint8, RGB, of any size -> embeddings (B, D) float32, unit length."""

    def __init__(self, folder: Path) -> None:
        spec = importlib.util.spec_from_file_location("exported_model", folder / "load.py")
        assert spec is not None and spec.loader is not None
        self.loader = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.loader)
        self.model, self.preprocessing = self.loader.load(folder)

    def predict(self, images: npt.NDArray[np.uint8], params: Any = None) -> npt.NDArray[np.float32]:
        pictures = [Image.fromarray(np.asarray(image, dtype=np.uint8), "RGB") for image in images]
        embeddings: npt.NDArray[np.float32] = self.loader.embed_images(
            self.model, self.preprocessing, pictures
        ).numpy()
        return embeddings


def _load_pyfunc(folder: str) -> Embeddings:
    """What MLflow calls, with the exported folder."""
    return Embeddings(Path(folder))
