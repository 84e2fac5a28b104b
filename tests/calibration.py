"""The long calibration of `harness.statistics`: how often it is wrong, counted on simulated leaderboards.

Not collected by default: `python -m pytest tests/calibration.py -s` (about ten minutes on one core) prints
every figure with its exact 95 % interval, and fails where one is out of its bounds.
"""

from __future__ import annotations

import numpy as np
import pytest

from harness.statistics import compare, two_way_interval
from tests.simulated_tables import SETTINGS, equal_table, false_differences, found_differences, rate, shifted

PAIRS = 1_000
#: Methods in a table, simulations and settings. The costs are those of the 780 pairs of 40 methods.
TABLES = [
    *[(14, 1_000, name) for name in SETTINGS],
    *[
        (40, 1_000 if name == "as measured" else 400, name)
        for name in ("as measured", "noisy seeds", "heavy-tailed classes", "three unequal searches")
    ],
]


def said(what: str, count: int, of: int) -> tuple[float, float]:
    """Print a rate, and give its interval."""
    low, high = rate(count, of)
    print(
        f"\n{what}: {100 * count / of:.1f} % ({100 * low:.1f} to {100 * high:.1f}, {of} simulations)", end=""
    )
    return low, high


@pytest.mark.parametrize("name", SETTINGS)
def test_two_equal_methods_are_called_different_in_at_most_5_percent(name: str) -> None:
    low, _ = said(
        f"2 equal methods, {name}: called different", false_differences(SETTINGS[name], 2, PAIRS), PAIRS
    )
    assert low <= 0.05


@pytest.mark.parametrize(("methods", "simulations", "name"), TABLES)
def test_tables_of_equal_methods_show_a_difference_in_at_most_5_percent(
    methods: int, simulations: int, name: str
) -> None:
    count = false_differences(SETTINGS[name], methods, simulations)
    low, _ = said(f"{methods} equal methods, {name}: any difference", count, simulations)
    assert low <= 0.05


@pytest.mark.parametrize("name", SETTINGS)
def test_95_percent_intervals_cover_93_to_97_percent(name: str) -> None:
    rng, covered, of = np.random.default_rng(3), 0, 4_000
    for _ in range(of):
        table, truth = equal_table(rng, 1, SETTINGS[name])
        found = two_way_interval(table[0])
        covered += found.low <= truth <= found.high
    low, high = said(f"two-way interval, {name}: covers", covered, of)
    assert low <= 0.97
    assert high >= 0.93


def test_two_points_of_recall_on_birds_are_found_in_80_percent_of_pairs() -> None:
    share = found_differences(2, 500)
    print(f"\n2 points of Recall@1, 10 repetitions, one pair: found in {100 * share:.1f} %", end="")
    assert share >= 0.8
    for methods in (14, 40):
        share = found_differences(methods, 200 if methods == 14 else 50)
        print(f"\nthe same against each of {methods - 1} others in one table: {100 * share:.1f} %", end="")


@pytest.mark.parametrize("name", ["as measured", "noisy seeds", "three searches"])
def test_what_a_table_can_separate_is_said(name: str) -> None:
    rng = np.random.default_rng(4)
    for methods, simulations in ((2, 200), (14, 60)):
        tables = [equal_table(rng, methods, SETTINGS[name])[0] for _ in range(simulations)]
        for gain in np.arange(0.0025, 0.1, 0.0025):
            found = [
                compare([shifted(table[0], gain), *table[1:]], draws=499).different[0, 1:].mean()
                for table in tables
            ]
            if np.mean(found) >= 0.8:
                break
        print(f"\n{name}: {methods} methods separate {100 * gain:.2f} points with 80 % power", end="")
        assert np.mean(found) >= 0.8
