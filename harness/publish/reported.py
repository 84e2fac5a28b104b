"""Published numbers, as their sources print them. They stand apart from what was measured, unranked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.errors import RequestError

COLUMNS = (
    "method", "plugin", "paper", "year", "dataset", "recipe", "backbone", "dimension", "metric", "k", "value",
    "source", "note",
)  # fmt: skip

#: The file that holds the tables of the Deep_Metric README.
README = "deep_metric_readme.csv"

#: Published numbers ship with the project: they serve a results folder that has none of its own.
SHIPPED = Path(__file__).parents[2] / "results" / "reported"


@dataclass(frozen=True)
class Layout:
    """A table of the Deep_Metric README: datasets side by side, each with its Recall@K columns.

    columns: (dataset, its short title, K ...) from left to right.
    """

    title: str
    columns: tuple[tuple[str, str, tuple[int, ...]], ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Their names, from left to right."""
        return tuple(name for name, _, _ in self.columns)


_POWERS = (1, 2, 4, 8, 16, 32)
LAYOUTS = (
    Layout("CUB-200-2011 and Cars196", (("cub", "CUB", _POWERS), ("cars", "Cars", _POWERS))),
    Layout(
        "Stanford Online Products and In-Shop Clothes",
        (("sop", "SOP", (1, 10, 100, 1000)), ("inshop", "In-Shop", (1, 10, 20, 30, 40, 50))),
    ),
)


def read_reported(results: Path, file: str = README) -> pd.DataFrame:
    """One row a published number; `value` is a fraction. Raises RequestError naming file and fault."""
    folder = results / "reported"
    path = (folder if folder.is_dir() else SHIPPED) / file
    try:
        frame = pd.read_csv(path, dtype={"k": "Int64", "year": "Int64"}, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read ({error}); restore it from the repository") from None
    if tuple(frame.columns) != COLUMNS:
        raise RequestError(
            f"{path}: expected the columns {', '.join(COLUMNS)}; it has {', '.join(frame.columns)}"
        )
    wrong = frame.loc[~frame["value"].between(0, 1), "value"]
    if len(wrong):
        raise RequestError(
            f"{path}, line {wrong.index[0] + 2}: the value {wrong.iloc[0]} is no fraction in [0, 1]; percent are "
            "divided by 100"
        )
    return frame


def recalls(frame: pd.DataFrame) -> dict[tuple[str, str, int], float]:
    """Published Recall@K by (method, dataset, K)."""
    found = frame[frame["metric"] == "recall"]
    keys = zip(found["method"], found["dataset"], found["k"].astype(int), strict=True)
    return dict(zip(keys, found["value"].astype(float), strict=True))
