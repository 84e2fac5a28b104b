"""The statistics: each against scipy, a closed form, or a simulation whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.errors import RequestError
from harness.splits import GROUPS, class_groups
from harness.statistics import (
    Outcomes,
    compact_letters,
    compare,
    expected_maximum,
    half_set_ratio,
    half_set_scores,
    half_sets,
    importance,
    incumbent_curve,
    outcomes_of,
    probability_of_improvement,
    rank_intervals,
    seed_correlation,
    seed_interval,
    separable_difference,
    spread_of,
    two_way_interval,
)
from harness.statistics.comparison import step_down
from tests.made_records import made
from tests.simulated_tables import (
    SETTINGS,
    Setting,
    equal_table,
    false_differences,
    found_differences,
    rate,
    shifted,
)

Floats = npt.NDArray[np.float64]


def entry(shares: npt.ArrayLike, counts: npt.ArrayLike = 50, name: str = "m", **facts: object) -> Outcomes:
    """An entry from the (S, C) share of queries found, one search unless told otherwise."""
    table = np.atleast_2d(np.asarray(shares, dtype=np.float64))
    per_class = np.broadcast_to(np.asarray(counts), table.shape[1:]).copy()
    fields = {"searches": np.zeros(len(table), int), "seeds": np.arange(len(table)), **facts}
    return Outcomes(name, table * per_class, per_class, **fields)  # type: ignore[arg-type]


def random_entry(seed: int, S: int = 10, C: int = 60, **facts: object) -> Outcomes:
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0.2, 0.8, C) + rng.normal(0, 0.02, (S, 1)) + rng.normal(0, 0.05, (S, C))
    return entry(shares, rng.integers(5, 60, C), f"m{seed}", **facts)


# -- intervals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_seed_interval_is_scipys_t_interval(confidence: float) -> None:
    values = np.random.default_rng(0).normal(0.5, 0.01, 11)
    found = seed_interval(values.tolist(), confidence)
    expected = stats.t.interval(confidence, 10, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    assert found.mean == pytest.approx(values.mean())
    assert found.units == 11


def test_one_repetition_has_no_seed_interval() -> None:
    found = seed_interval([0.25])
    assert found.mean == 0.25
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(two_way_interval(random_entry(0, S=1)).low)


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(RequestError, match="at least one repetition"):
        seed_interval([])


def test_spread_is_the_textbook_analysis_of_variance() -> None:
    # Searle, Casella and McCulloch: mean squares of a two-way table without replication, by plain loops.
    S, C = 6, 9
    shares = np.random.default_rng(1).uniform(0, 1, (S, C))
    found = spread_of(entry(shares))
    grand = shares.mean()
    seed_square = C * sum((shares[s].mean() - grand) ** 2 for s in range(S)) / (S - 1)
    class_square = S * sum((shares[:, c].mean() - grand) ** 2 for c in range(C)) / (C - 1)
    error_square = sum(
        (shares[s, c] - shares[s].mean() - shares[:, c].mean() + grand) ** 2
        for s in range(S)
        for c in range(C)
    ) / ((S - 1) * (C - 1))
    parts = (found.unit_variance, found.class_variance, found.residual_variance)
    assert parts == pytest.approx([square / (S * C) for square in (seed_square, class_square, error_square)])


def test_two_way_interval_of_an_additive_table_adds_the_two_variances() -> None:
    # Without interaction: SE^2 = s_seed^2 / S + s_class^2 / C, Satterthwaite's degrees of freedom.
    rng = np.random.default_rng(2)
    seeds, classes = rng.normal(0, 0.02, 5), rng.normal(0.5, 0.1, 12)
    found = two_way_interval(entry(seeds[:, None] + classes))
    a, b = seeds.var(ddof=1) / 5, classes.var(ddof=1) / 12
    df = (a + b) ** 2 / (a**2 / 4 + b**2 / 11)
    assert (found.high - found.mean) == pytest.approx(stats.t.ppf(0.975, df) * np.sqrt(a + b))


def test_class_part_is_that_of_a_ratio_estimate() -> None:
    # A fixed entry varies by classes alone; scipy's bootstrap resamples (sum, count) pairs of classes.
    one = random_entry(3, S=1, C=200, fixed=True)
    found = two_way_interval(one, confidence=0.95)

    def recall(sums: Floats, counts: Floats, axis: int) -> Floats:
        return np.asarray(sums.sum(axis=axis) / counts.sum(axis=axis))

    drawn = stats.bootstrap(
        (one.sums[0], one.counts), recall, paired=True, vectorized=True, n_resamples=4000,
        rng=np.random.default_rng(0), method="basic",
    )  # fmt: skip
    half = stats.t.ppf(0.975, 199) * drawn.standard_error
    assert found.high - found.mean == pytest.approx(half, rel=0.04)
    assert found.mean == pytest.approx(one.means[0])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), S=st.integers(2, 6), C=st.integers(2, 12), noise=st.floats(0, 1))
def test_two_way_variance_never_falls_below_its_larger_part(seed: int, S: int, C: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    one = entry(0.5 + 0.1 * rng.normal(size=(1, C)) * (1 - noise) + noise * rng.normal(size=(S, C)) / 10)
    spread, found = spread_of(one), two_way_interval(one)
    larger = max(spread.unit_variance, spread.class_variance)
    assert found.high - found.mean >= stats.norm.ppf(0.975) * np.sqrt(larger) * (1 - 1e-9)


def test_several_searches_count_as_the_units() -> None:
    searches = np.array([0, 0, 1, 1, 2, 2])
    several = random_entry(4, S=6, searches=searches)
    means = several.sums.reshape(3, 2, -1).mean(axis=1)
    as_three = Outcomes("m", means, several.counts, np.zeros(3, int), np.arange(3))
    found, expected = two_way_interval(several), two_way_interval(as_three)
    assert (found.low, found.high, found.units) == (expected.low, expected.high, 3)
    assert "independent searches (3)" in found.resampled
    assert "given one search" in expected.resampled


def test_widening_acts_on_the_class_part() -> None:
    fixed = random_entry(5, S=1, fixed=True)
    plain, wide = two_way_interval(fixed), two_way_interval(fixed, widening=1.3)
    assert (wide.high - wide.mean) == pytest.approx(1.3 * (plain.high - plain.mean))


def test_classes_without_queries_change_nothing() -> None:
    one = random_entry(6)
    padded = replace(one, sums=np.c_[one.sums, np.zeros(10)], counts=np.r_[one.counts, 0])
    assert two_way_interval(padded) == two_way_interval(one)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RequestError, match="m0: sums"):
        replace(random_entry(0), seeds=np.arange(3))


# -- comparison -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_two_entries_without_seeds_give_the_paired_t_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.2, 0.8, 200)
    a, b = base + rng.normal(0.002, 0.02, 200), base + rng.normal(0, 0.02, 200)
    found = compare([entry(a, name="a", fixed=True), entry(b, name="b", fixed=True)])
    assert found.p[0, 1] == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)


@pytest.mark.parametrize("gap", [0.5, 1.0, 1.5])
def test_two_entries_that_differ_by_seeds_alone_give_the_two_sample_t_test(gap: float) -> None:
    rng = np.random.default_rng(6)
    classes = rng.uniform(0.2, 0.8, 50)
    a, b = rng.normal(0, 0.01, 20), rng.normal(0.01 * gap, 0.01, 20)
    found = compare([entry(classes + a[:, None]), entry(classes + b[:, None])])
    assert found.seed_correlation == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert found.p[0, 1] == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, abs=0.02)


def test_step_down_is_romano_and_wolfs_algorithm() -> None:
    rng = np.random.default_rng(7)
    observed, drawn = np.abs(rng.normal(0, 2, 12)), np.abs(rng.normal(0, 1, (499, 12)))
    # Algorithm by the letter: from the largest on, compare with the largest of what is left.
    expected, left, running = np.empty(12), list(np.argsort(-observed)), 0.0
    while left:
        p = (1 + (drawn[:, left].max(axis=1) >= observed[left[0]]).sum()) / 500
        running = max(running, p)
        expected[left.pop(0)] = running

    def blocks() -> Iterator[Floats]:
        yield drawn[:200]
        yield drawn[200:]

    assert step_down(observed, blocks()) == pytest.approx(expected)


def test_a_planted_order_is_found_with_ranks_letters_and_best() -> None:
    table, _ = equal_table(np.random.default_rng(8), 4, SETTINGS["as measured"])
    # Two near-equal leaders, one clearly behind, one far behind; given out of order.
    entries = [shifted(one, gain) for one, gain in zip(table, (0.05, 0.10, 0.0, 0.10), strict=True)]
    found = compare(entries)
    assert found.rank_low.tolist() == [3, 1, 4, 1]
    assert found.rank_high.tolist() == [3, 2, 4, 2]
    assert found.letters == ["b", "a", "c", "a"]
    assert found.best.tolist() == [False, True, False, True]
    assert found.difference[0, 2] == pytest.approx(entries[0].means.mean() - entries[2].means.mean())


def test_a_comparison_is_the_same_every_time_and_symmetric() -> None:
    table, _ = equal_table(np.random.default_rng(9), 6, SETTINGS["noisy seeds"])
    first, again = compare(table, draws=499), compare(table, draws=499)
    assert np.array_equal(first.p, again.p)
    assert np.array_equal(first.p, first.p.T)
    assert (np.diag(first.p) == 1).all()
    assert np.array_equal(first.difference, -first.difference.T)


def test_more_entries_never_make_a_pair_easier_to_tell() -> None:
    table, _ = equal_table(np.random.default_rng(10), 8, SETTINGS["as measured"])
    pair = [shifted(table[0], 0.008), table[1]]
    alone, together = compare(pair).p[0, 1], compare(pair + table[2:]).p[0, 1]
    assert alone < together


def test_entries_of_equal_outcomes_or_unknown_spread_are_not_told_apart() -> None:
    one = random_entry(11)
    single = Outcomes("single", one.sums[:1] * 0.5, one.counts, one.searches[:1], one.seeds[:1])
    found = compare([one, replace(one, name="copy"), single, shifted(one, -0.3)])
    assert found.p[0, 1] == 1
    assert (found.p[2] == 1).all()
    assert found.different[0, 3]
    assert found.rank_low[2] == 1
    assert found.rank_high[2] == 4


def test_one_entry_is_a_table_too() -> None:
    found = compare([random_entry(12)])
    assert (found.letters, found.rank_low.tolist(), found.best.tolist()) == (["a"], [1], [True])


def test_entries_on_different_queries_are_not_compared() -> None:
    with pytest.raises(RequestError, match="m2 and m1 were not measured on the same queries"):
        compare([random_entry(1), random_entry(2)])


def test_many_classes_in_groups_say_what_the_classes_say() -> None:
    rng = np.random.default_rng(13)
    C = 20 * GROUPS
    counts = rng.integers(2, 13, C)
    groups = class_groups([f"class {i}" for i in range(C)])
    base = rng.uniform(0.2, 0.8, C)
    by_class = [entry(base + rng.normal(gain, 0.3, C), counts, fixed=True) for gain in (0.009, 0.0)]
    by_group = [
        replace(one, sums=np.bincount(groups, one.sums[0])[None], counts=np.bincount(groups, counts))
        for one in by_class
    ]
    for whole, dealt in zip(by_class, by_group, strict=True):
        wide, narrow = two_way_interval(whole), two_way_interval(dealt)
        assert dealt.means == pytest.approx(whole.means)
        assert narrow.high - narrow.low == pytest.approx(wide.high - wide.low, rel=0.1)
    assert compare(by_group).p[0, 1] == pytest.approx(compare(by_class).p[0, 1], abs=0.02)


def test_seeds_are_paired_where_they_correlate_and_the_verdict_gains() -> None:
    rng = np.random.default_rng(14)
    together, _ = equal_table(rng, 6, Setting(seed_sd=0.01, shared=0.9))
    apart, _ = equal_table(rng, 6, Setting(seed_sd=0.01))
    paired, unpaired = compare(together), compare(apart)
    assert paired.paired
    assert paired.seed_correlation > 0.3
    assert not unpaired.paired
    assert abs(unpaired.seed_correlation) < 0.3
    # The same repetitions with other seeds' names cannot be paired, and tell less.
    renamed = [replace(one, seeds=one.seeds + 100 * i) for i, one in enumerate(together)]
    gained = [shifted(one, 0.006 * i) for i, one in enumerate(together)]
    without = [shifted(one, 0.006 * i) for i, one in enumerate(renamed)]
    assert np.isnan(compare(renamed).seed_correlation)
    assert compare(gained).different.sum() > compare(without).different.sum()


def test_seed_correlation_is_numpys_over_pairs() -> None:
    entries = [random_entry(seed, C=40) for seed in (20, 21, 22)]
    expected = np.mean([np.corrcoef(a.means, b.means)[0, 1] for a, b in combinations(entries, 2)])
    assert seed_correlation([spread_of(one) for one in entries]) == pytest.approx(expected)


# -- ranks and letters ------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 9), seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_letters_are_shared_exactly_where_entries_are_not_told_apart(n: int, seed: int, share: float) -> None:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < share, 1)
    different = upper | upper.T
    letters = compact_letters(different, np.arange(n))
    for i, j in combinations(range(n), 2):
        assert bool(set(letters[i]) & set(letters[j])) == (not different[i, j])
    assert "a" in letters[0]


def test_more_letters_than_the_alphabet_has() -> None:
    letters = compact_letters(~np.eye(60, dtype=bool), np.arange(60))
    assert len(set(letters)) == 60
    assert letters[25:28] == ["z", "A", "B"]


def test_rank_intervals_count_who_is_better_and_worse() -> None:
    better = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)
    low, high = rank_intervals(better)
    assert low.tolist() == [1, 1, 3]
    assert high.tolist() == [2, 2, 3]


# -- searches ---------------------------------------------------------------------------------------------


def test_incumbent_is_a_step_line_that_failed_trials_leave_alone() -> None:
    found = incumbent_curve([None, 0.2, 0.1, None, 0.3])
    assert np.array_equal(found, [np.nan, 0.2, 0.2, 0.2, 0.3], equal_nan=True)
    assert len(incumbent_curve([])) == 0


@pytest.mark.parametrize("k", range(1, 7))
def test_expected_maximum_is_the_mean_over_all_subsets(k: int) -> None:
    scores = [0.31, None, 0.12, 0.45, 0.45, 0.2]
    tops = [
        max(found) for subset in combinations(scores, k) if (found := [s for s in subset if s is not None])
    ]
    assert expected_maximum(scores, k) == pytest.approx(np.mean(tops))


def test_expected_maximum_refuses_what_is_not_defined() -> None:
    with pytest.raises(RequestError, match="expected 1 to 2"):
        expected_maximum([0.1, 0.2], 3)
    with pytest.raises(RequestError, match="all failed"):
        expected_maximum([None, None], 1)


# -- planning ---------------------------------------------------------------------------------------------


def test_probability_of_improvement_is_mann_whitneys() -> None:
    rng = np.random.default_rng(30)
    a, b = rng.integers(0, 8, 10) / 10, rng.integers(0, 8, 12) / 10
    expected = stats.mannwhitneyu(a, b).statistic / (10 * 12)
    assert probability_of_improvement(a, b) == pytest.approx(expected)
    assert probability_of_improvement(a, b) + probability_of_improvement(b, a) == pytest.approx(1)


def test_separable_difference_has_the_promised_power_by_the_noncentral_t() -> None:
    rng = np.random.default_rng(31)
    a, b = rng.uniform(0.2, 0.8, (2, 100))
    found = separable_difference(entry(a, fixed=True), entry(b, fixed=True), 10)
    noncentral = found / (np.std(a - b, ddof=1) / 10)
    critical = stats.t.ppf(0.975, 99)
    assert stats.nct.sf(critical, 99, noncentral) == pytest.approx(0.8, abs=1e-6)


def test_separable_difference_is_found_as_often_as_it_says() -> None:
    setting, rng = SETTINGS["noisy seeds"], np.random.default_rng(32)
    pairs = [equal_table(rng, 2, setting)[0] for _ in range(200)]
    planned = np.mean([separable_difference(first, second, 10) for first, second in pairs])
    found = 0
    for _ in range(400):
        first, second = equal_table(rng, 2, setting)[0]
        found += bool(compare([shifted(first, float(planned)), second], draws=499).different[0, 1])
    low, high = rate(found, 400)
    assert low <= 0.82
    assert high >= 0.74


def test_more_repetitions_separate_smaller_differences_down_to_what_classes_and_searches_leave() -> None:
    a, b = (random_entry(seed, S=9, C=60) for seed in (33, 34))
    b = replace(b, counts=a.counts, sums=b.sums / b.counts * a.counts)
    ladder = [separable_difference(a, b, repetitions) for repetitions in (3, 10, 100)]
    assert ladder[0] > ladder[1] > ladder[2] > 0
    searches = np.arange(9) % 3
    first, second = (
        replace(one, searches=searches, sums=one.sums + 0.05 * searches[:, None] * one.counts)
        for one in (a, b)
    )
    assert separable_difference(first, second, 1000) > 1.3 * ladder[2]
    more = [separable_difference(first, second, 9, searches=count) for count in (3, 6, 100)]
    assert more[0] == separable_difference(first, second, 9)
    assert more[0] > more[1] > more[2] > 0


# -- half-sets --------------------------------------------------------------------------------------------


def test_half_sets_hold_half_of_the_classes_each_equally_often() -> None:
    members = half_sets(24)
    assert members.shape == (100, 24)
    assert (members.sum(axis=1) == 12).all()
    assert (members.sum(axis=0) == 50).all()
    assert np.array_equal(members, half_sets(24))
    assert (half_sets(7).sum(axis=1) == 3).all()


def test_half_set_scores_spread_as_the_mean_over_all_classes_does() -> None:
    one = entry(np.random.default_rng(40).uniform(0, 1, 100), fixed=True)
    scores = half_set_scores(one, half_sets(100, sets=4000))
    assert scores.std(ddof=1) == pytest.approx(np.sqrt(spread_of(one).class_variance), rel=0.05)


def test_half_set_ratio_finds_what_a_fixed_gallery_hides() -> None:
    # Score of class c: x_c + the mean of x over the gallery. Over other classes the mean score varies by 2 x;
    # with the gallery whole only by x: the true ratio is 2.
    x = np.random.default_rng(41).normal(0, 0.05, 80)
    members = half_sets(80)
    whole = half_set_scores(entry(0.5 + x + x.mean(), fixed=True), members)
    cut = np.array([[0.5 + 2 * x[half].mean() for half in members]])
    assert half_set_ratio(cut, whole) == pytest.approx(2)
    assert half_set_ratio(whole, cut) == 1  # an interval is never narrowed
    with pytest.raises(RequestError, match="half-set scores"):
        half_set_ratio(cut, whole[:, :5])


# -- records ----------------------------------------------------------------------------------------------


def test_outcomes_of_a_record_are_its_runs_with_folds_averaged() -> None:
    record, arrays = made("ms", 0.4, repetitions=6, searches=3)
    found = outcomes_of(record, arrays, "map_at_r")
    assert len(set(zip(found.searches, found.seeds, strict=True))) == 6
    for search, seed, mean in zip(found.searches, found.seeds, found.means, strict=True):
        folds = [
            run.metrics["map_at_r"]
            for run in record.runs
            if (run.search, run.seed) == (search, seed) and run.fold is not None
        ]
        assert mean == pytest.approx(np.mean(folds), abs=1e-6)
    joined = outcomes_of(record, arrays, "map_at_r", joined=True)
    runs = {(run.search, run.seed): run.metrics["map_at_r"] for run in record.runs if run.fold is None}
    expected = [runs[key] for key in zip(joined.searches.tolist(), joined.seeds.tolist(), strict=True)]
    assert joined.means == pytest.approx(expected, abs=1e-6)


def test_a_repetition_that_lacks_a_fold_is_left_out() -> None:
    record, arrays = made("ms", 0.4, repetitions=4, joined=False)
    short = record.model_copy(update={"runs": record.runs[:-1]})
    found = outcomes_of(short, {**arrays, "class_sums": arrays["class_sums"][:-1]}, "map_at_r")
    assert len(found.means) == 3
    with pytest.raises(RequestError, match="no 'nmi'"):
        outcomes_of(record, arrays, "nmi")


# -- calibration, in short; `tests/calibration.py` is the long form ------------------------------------------


@pytest.mark.parametrize("name", SETTINGS)
def test_equal_pairs_are_rarely_called_different(name: str) -> None:
    low, _ = rate(false_differences(SETTINGS[name], 2, 400, draws=499), 400)
    assert low <= 0.05


@pytest.mark.parametrize(
    ("methods", "simulations", "name"),
    [
        (14, 300, "as measured"),
        (14, 300, "three searches"),
        (40, 120, "as measured"),
        (40, 120, "noisy seeds"),
    ],
)
def test_equal_tables_rarely_show_any_difference(methods: int, simulations: int, name: str) -> None:
    low, _ = rate(false_differences(SETTINGS[name], methods, simulations, draws=499), simulations)
    assert low <= 0.05


@pytest.mark.parametrize("name", ["as measured", "noisy seeds", "three searches"])
def test_intervals_cover_the_truth(name: str) -> None:
    rng, covered = np.random.default_rng(50), 0
    for _ in range(2000):
        table, truth = equal_table(rng, 1, SETTINGS[name])
        found = two_way_interval(table[0])
        covered += found.low <= truth <= found.high
    low, high = rate(covered, 2000)
    assert low <= 0.97
    assert high >= 0.93


def test_two_points_of_recall_on_birds_are_found() -> None:
    assert found_differences(2, 100) >= 0.8


# -- importance -------------------------------------------------------------------------------------------


def test_importance_finds_what_matters_and_nothing_else() -> None:
    rng = np.random.default_rng(50)
    peak, idle, kind = rng.uniform(0, 1, 40), rng.uniform(0, 1, 40), rng.integers(0, 3, 40)
    scores = -((peak - 0.4) ** 2) + 0.002 * rng.normal(size=40)
    found = importance(peak.tolist(), scores.tolist())
    assert found is not None and found.share > 0.7 and found.p == 0.001
    # Neither scale matters: ranks are compared.
    stretched = importance(np.exp(5 * peak).tolist(), np.exp(scores).tolist())
    assert stretched is not None and stretched.share == pytest.approx(found.share)
    nothing = importance(idle.tolist(), scores.tolist())
    assert nothing is not None and nothing.p > 0.05
    words = importance([f"kind {k}" for k in kind], (kind == 1).astype(float).tolist())
    assert words is not None and words.share == pytest.approx(1) and words.trend == 0


def test_importance_agrees_with_an_ordinary_fit() -> None:
    rng = np.random.default_rng(51)
    values, scores = rng.normal(size=25), rng.normal(size=25)
    x, y = stats.rankdata(values), stats.rankdata(scores)
    left = ((y - np.polyval(np.polyfit(x, y, 2), x)) ** 2).sum() / (25 - 3)
    expected = 1 - left / y.var(ddof=1)
    found = importance(values.tolist(), scores.tolist())
    assert found is not None
    assert found.share == pytest.approx(max(expected, 0), abs=1e-9)
    assert found.trend == pytest.approx(stats.spearmanr(values, scores).statistic)


def test_importance_of_few_settings_is_not_told() -> None:
    assert importance(list(range(9)), [0.1 * i for i in range(9)]) is None
    assert importance([1.0] * 20, [0.1 * i for i in range(20)]) is None


def test_importance_is_seldom_found_where_there_is_none() -> None:
    rng = np.random.default_rng(52)
    found = [importance(rng.normal(size=12).tolist(), rng.normal(size=12).tolist()) for _ in range(60)]
    rejected = sum(one is not None and one.p <= 0.05 for one in found)
    assert stats.binom.sf(rejected - 1, 60, 0.05) > 0.001
