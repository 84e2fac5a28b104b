"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real images and weights: DML_DATA, or `shared/data` beside the checkout.

    A test that needs it is skipped only where the folder is absent; where it is there, what cannot be read fails.
    """
    root = Path(os.environ.get("DML_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not root.is_dir():
        pytest.skip(f"no real images here: {root} is absent (set DML_DATA)")
    return root
