"""The published numbers that ship with the project: one schema, plausible values, each with its source."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from harness.discovery import method_names
from harness.errors import RequestError
from harness.publish.reported import README, SHIPPED, read_reported

FILES = sorted(file.name for file in SHIPPED.glob("*.csv"))
METRICS = {"recall", "precision_at_1", "r_precision", "map_at_r", "validation_map_at_r"}
KS = {1, 2, 4, 8, 10, 16, 20, 30, 32, 40, 50, 100, 1000}

#: A method that numbers are tied to and whose file is still to come.
AWAITED = {"intra_batch"}


@pytest.fixture(scope="module")
def numbers() -> pd.DataFrame:
    return pd.concat([read_reported(SHIPPED.parent, file) for file in FILES], ignore_index=True)


def test_the_files_are_these() -> None:
    assert FILES == ["deep_metric_readme.csv", "papers.csv", "reality_check.csv"]


def test_names_are_ours(numbers: pd.DataFrame) -> None:
    assert set(numbers["dataset"]) == {"cub", "cars", "sop", "inshop"}
    assert set(numbers["metric"]) == METRICS
    assert set(numbers["plugin"].dropna()) <= {*method_names(), *AWAITED}


def test_recall_alone_has_a_k(numbers: pd.DataFrame) -> None:
    recall = numbers["metric"] == "recall"
    assert set(numbers.loc[recall, "k"]) <= KS
    assert numbers.loc[~recall, "k"].isna().all()


def test_every_number_is_a_fraction_with_a_source_and_a_method(numbers: pd.DataFrame) -> None:
    assert numbers["value"].between(0.01, 1, inclusive="left").all()  # nobody reports 1 % or a perfect score
    assert numbers[["method", "source"]].notna().all(axis=None)
    years = numbers["year"].dropna()
    assert years.between(2006, 2024).all()
    dimensions = numbers["dimension"].dropna()
    assert set(dimensions) <= {64, 128, 384, 512, 2048}


def test_no_number_stands_twice(numbers: pd.DataFrame) -> None:
    what = [column for column in numbers.columns if column != "value"]
    assert not numbers.duplicated(what).any()


def test_recall_does_not_fall_as_k_grows(numbers: pd.DataFrame) -> None:
    recall = numbers[numbers["metric"] == "recall"]
    one = ["method", "dataset", "recipe", "backbone", "dimension", "source", "note"]
    falls = [
        f"{method} on {dataset} ({source})"
        for (method, dataset, *_, source, _note), rows in recall.groupby(one, dropna=False)
        if not rows.sort_values("k")["value"].is_monotonic_increasing
    ]
    assert falls == []


def test_the_readmes_tables_are_whole() -> None:
    readme = read_reported(SHIPPED.parent, README)
    assert len(readme) == 108
    assert set(readme["source"]) == {"bnu-wangxun/Deep_Metric README.md"}
    assert readme.groupby("dataset").size().to_dict() == {"cub": 35, "cars": 35, "sop": 20, "inshop": 18}
    abier = readme[(readme["method"] == "A-BIER") & (readme["dataset"] == "cub")].sort_values("k")
    assert abier["value"].tolist() == [0.575, 0.687, 0.783, 0.862, 0.919, 0.955]


def test_the_reality_checks_fourteen_are_there(numbers: pd.DataFrame) -> None:
    chart = numbers[numbers["source"].str.endswith("reality_over_time_mapr.png")]
    assert chart.groupby("dataset")["plugin"].nunique().to_dict() == {"cub": 14, "cars": 14, "sop": 14}


def test_a_value_in_percent_is_named_by_its_line(tmp_path: Path) -> None:
    lines = (SHIPPED / README).read_text().splitlines(keepends=True)
    value = lines[0].rstrip().split(",").index("value")
    words = next(csv.reader([lines[3]]))
    words[value] = "57.1"
    with (tmp_path / "reported.csv").open("w", newline="") as file:
        csv.writer(file).writerow(words)
    (tmp_path / "reported").mkdir()
    changed = [*lines[:3], (tmp_path / "reported.csv").read_text(), *lines[4:]]
    (tmp_path / "reported" / README).write_text("".join(changed))
    with pytest.raises(RequestError, match=r"line 4: the value 57\.1 is no fraction"):
        read_reported(tmp_path)


def test_files_end_their_lines_plainly() -> None:
    for file in FILES:
        text = Path(SHIPPED / file).read_bytes()
        assert b"\r" not in text
        assert text.endswith(b"\n")
