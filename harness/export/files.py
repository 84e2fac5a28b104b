"""The files of an exported model: weights, a program for torch alone, ONNX, configuration and loader."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.export import ExportedProgram

from harness.errors import BenchmarkError, MissingError
from harness.export import load

#: Largest difference of one number of a unit vector between the module and its ONNX form.
TOLERANCE = 1e-4

WEIGHTS, PROGRAM, ONNX, CONFIG, LOADER, CARD = (
    "model.safetensors", "model.pt2", "model.onnx", "config.json", "load.py", "README.md",
)  # fmt: skip


def demand_onnx() -> None:
    """Raises MissingError, before anything is trained, where ONNX files cannot be written and run."""
    try:
        import onnx  # noqa: F401  an extra; looked for, not used
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingError(
            f"ONNX needs {error.name}, which is not installed here: pip install -e '.[export]', or leave the file out "
            "with --no-onnx"
        ) from None


def traced(model: nn.Module, pixels: Tensor) -> ExportedProgram:
    """The module as a graph of torch's own operations, for any number of images. pixels (B, 3, S, S), B > 1."""
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(model, (pixels,), dynamic_shapes={"pixels": {0: batch}})


def write_model(folder: Path, program: ExportedProgram, config: Mapping[str, Any]) -> None:
    """Weights, program, configuration and loader."""
    # Copies: two layers that share one tensor would share it in the file too, which the format refuses.
    save_file({name: value.clone() for name, value in program.state_dict.items()}, folder / WEIGHTS)
    torch.export.save(program, folder / PROGRAM)
    (folder / CONFIG).write_text(json.dumps(config, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    shutil.copyfile(load.__file__, folder / LOADER)


def write_onnx(folder: Path, program: ExportedProgram, pixels: Tensor, expected: Tensor) -> float:
    """The ONNX file, and how far onnxruntime's embeddings of `pixels` are at most from `expected`.

    Raises BenchmarkError where that is more than TOLERANCE.
    """
    file = folder / ONNX
    torch.onnx.export(
        program, (pixels,), file, dynamo=True, input_names=["pixels"], output_names=["embeddings"],
        external_data=False, verbose=False,
    )  # fmt: skip
    return demand_equal(f"onnxruntime runs {file}", run_onnx(file, pixels), expected)


def run_onnx(file: Path, pixels: Tensor) -> Tensor:
    """Embeddings (B, D) of pixels by onnxruntime on the CPU."""
    import onnxruntime  # an extra

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (embeddings,) = session.run(["embeddings"], {"pixels": pixels.numpy()})
    return torch.from_numpy(np.asarray(embeddings))


def embedded(model: nn.Module, pixels: Tensor) -> Tensor:
    """Embeddings (B, D) of pixels by the module itself."""
    with torch.no_grad():
        return model(pixels)  # type: ignore[no-any-return]


def demand_equal(what: str, found: Tensor, expected: Tensor, tolerance: float = TOLERANCE) -> float:
    """The largest difference. Raises BenchmarkError where it is above `tolerance`."""
    difference = float((found - expected).abs().max())
    if not difference <= tolerance:
        raise BenchmarkError(
            f"{what} to other embeddings: they differ by {difference:.2g}, more than {tolerance:g}. "
            "Do not use it; another version of torch or onnx may help, and --no-onnx leaves ONNX out"
        )
    return difference
