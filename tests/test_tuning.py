"""The search: published values first, the same settings after any crash, a sampler for every ask."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from harness.campaign.studies import Journals
from harness.campaign.tuning import Study, grid_of, published_values, search_space, trials_of
from harness.discovery import load_method, load_protocol
from harness.errors import RequestError

SPACE = {"a": FloatDistribution(0.1, 10, log=True), "b": FloatDistribution(0, 1), "k": IntDistribution(1, 9)}
PUBLISHED = {"a": 1.0, "b": 0.5, "k": 4, "fixed": 7}


def score(values: dict[str, Any]) -> float:
    return float(-((values["a"] - 2) ** 2) - (values["b"] - 0.3) ** 2 - 0.01 * values["k"])


def search(
    journal: Path, sampler: str = "tpe", until: int = 8, tell_last: bool = True
) -> list[dict[str, Any]]:
    study = Study(
        Journals(journal.parent),
        journal.stem,
        ("protocol", "dataset", "method", 0),
        SPACE,
        PUBLISHED,
        sampler,
    )
    settings = []
    for number in range(until):
        values = study.setting(number)
        settings.append(values)
        if number < until - 1 or tell_last:
            study.tell(number, None if number == 4 else score(values))
    return settings


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_trial_0_is_the_published_values_and_the_rest_lies_in_the_space(tmp_path: Path, sampler: str) -> None:
    settings = search(tmp_path / "a.journal", sampler)
    assert settings[0] == PUBLISHED
    assert all(s["fixed"] == 7 for s in settings)
    for values in settings:
        assert all(
            distribution._contains(distribution.to_internal_repr(values[k]))
            for k, distribution in SPACE.items()
        )
    assert len({s["a"] for s in settings}) == 8


def cut_in_mid_line(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes()[: journal.stat().st_size * 2 // 3])


def zeros(journal: Path) -> None:
    journal.write_bytes(bytes(journal.stat().st_size))


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
@pytest.mark.parametrize("damage", [lambda journal: None, cut_in_mid_line, zeros, Path.unlink])
@pytest.mark.parametrize("tell_last", [True, False])
def test_a_search_goes_on_with_the_same_settings(
    tmp_path: Path, sampler: str, damage: Callable[[Path], None], tell_last: bool
) -> None:
    whole = search(tmp_path / "whole.journal", sampler)
    broken = tmp_path / "broken.journal"
    search(broken, sampler, until=5, tell_last=tell_last)
    damage(broken)
    assert search(broken, sampler) == whole


def test_every_cut_of_the_journal_is_survived(tmp_path: Path) -> None:
    whole = search(tmp_path / "whole.journal", until=4)
    content = (tmp_path / "whole.journal").read_bytes()
    for end in range(0, len(content), 97):
        journal = tmp_path / f"{end}.journal"
        journal.write_bytes(content[:end])
        assert search(journal, until=4) == whole, f"cut at byte {end}"


def test_exactly_the_protocols_number_of_trials_is_told(tmp_path: Path) -> None:
    search(tmp_path / "a.journal")
    search(tmp_path / "a.journal")
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "a.journal"))
    study = optuna.load_study(study_name="a", storage=optuna.storages.JournalStorage(backend))
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE"] * 4 + ["FAIL"] + ["COMPLETE"] * 3


def test_the_space_is_the_methods_and_the_rates() -> None:
    quick, check = load_protocol("quick"), load_protocol("reality_check")
    proxy = load_method("proxy_nca_rc")
    assert set(search_space(proxy, quick, "glyphs")) == {*proxy.space, "lr", "own_lr"}
    ranges = search_space(proxy, check, "cub")
    assert set(ranges) == {"scale", "own_lr"}
    own = ranges["own_lr"]
    assert isinstance(own, FloatDistribution) and (own.low, own.high, own.log) == (1e-6, 1.0, True)
    assert published_values(proxy, check, "cub")["own_lr"] == 5e-3
    assert published_values(proxy, quick, "glyphs")["lr"] == quick.lr
    assert search_space(load_method("untrained"), quick, "glyphs") == {}


def test_published_values_are_brought_inside_a_narrowed_range() -> None:
    method = load_method("triplet")
    narrow = dataclasses.replace(
        load_protocol("quick"), spaces={("triplet", "*"): {"margin": FloatDistribution(0.5, 0.6)}}
    )
    assert published_values(method, narrow, "glyphs")["margin"] in (0.5, 0.6)


def test_a_grid_tries_every_point_once_and_the_published_one_first(tmp_path: Path) -> None:
    protocol = load_protocol("reality_check")
    fastap = load_method("fastap")
    points = grid_of(fastap, protocol, "cub")
    assert points[0] == {"bins": fastap.published["bins"]}
    assert sorted(point["bins"] for point in points) == list(range(2, 33))
    assert sorted(point["bins"] for point in grid_of(fastap, protocol, "sop")) == list(range(3, 33))
    assert (trials_of(fastap, protocol, "cub"), trials_of(load_method("nca"), protocol, "cub")) == (31, 50)
    assert trials_of(fastap, dataclasses.replace(protocol, trials=4), "cub") == 4
    space, published = search_space(fastap, protocol, "cub"), published_values(fastap, protocol, "cub")
    study = Study(Journals(tmp_path), "a", ("names",), space, published, "gp", points)
    assert [study.setting(number)["bins"] for number in range(31)] == [point["bins"] for point in points]
    with pytest.raises(RequestError, match="not a range of whole numbers"):
        grid_of(load_method("triplet"), dataclasses.replace(protocol, grids=("triplet",)), "cub")
