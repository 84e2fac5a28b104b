"""The search for hyperparameters: one Optuna study, asked and told by the driver alone.

The settings that were asked stand in a journal or a database (`harness.campaign.studies`); the scores stand in the
cell store. Every ask has a sampler of its own, seeded by (study, trial), so an ask depends on the trials before it and
on nothing else: a study that is rebuilt after a crash, or whose journal was lost, goes on with the same settings.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from harness.campaign.database import named_faults
from harness.campaign.studies import Studies
from harness.errors import RequestError
from harness.method import LEARNING_RATE, OWN_LEARNING_RATE, Method, contains
from harness.protocol import Protocol
from harness.seeding import seed_of


def search_space(method: Method, protocol: Protocol, dataset: str) -> dict[str, BaseDistribution]:
    """What is searched: the method's ranges, or the protocol's own for it, and the learning rates.

    A floor is solved in closed form or left as it is: it takes no steps, so it has no rate.
    """
    if method.build is None:
        return {}
    own = protocol.space_of(method.name, dataset)
    space = dict(method.space if own is None else own)
    if protocol.lr_range is not None and method.kind != "floor":
        space[LEARNING_RATE] = FloatDistribution(*protocol.lr_range, log=True)
    if method.own is not None:
        absolute = protocol.own_lr_range
        space[OWN_LEARNING_RATE] = FloatDistribution(*absolute, log=True) if absolute else method.own.lr
    return space


def published_values(method: Method, protocol: Protocol, dataset: str) -> dict[str, Any]:
    """Trial 0: the authors' values and the protocol's rates, brought inside ranges that the protocol has narrowed."""
    if method.build is None:
        return {}
    values = dict(method.published)
    if protocol.lr_range is not None and method.kind != "floor":
        values[LEARNING_RATE] = protocol.lr
    if method.own is not None:
        values[OWN_LEARNING_RATE] = method.own.published_lr if protocol.own_lr is None else protocol.own_lr
    space = search_space(method, protocol, dataset)
    return {name: _inside(space[name], value) if name in space else value for name, value in values.items()}


def grid_of(method: Method, protocol: Protocol, dataset: str) -> list[dict[str, Any]]:
    """The points that are tried in order where the protocol asks for a grid, the published values first; else none.

    Raises RequestError where a range is not of whole numbers.
    """
    if method.name not in protocol.grids:
        return []
    space = search_space(method, protocol, dataset)
    for name, distribution in space.items():
        if not isinstance(distribution, IntDistribution):
            raise RequestError(
                f"protocol {protocol.name} tries every point of {method.name}, but {name} is not a range of whole "
                "numbers; take the method out of the protocol's grids"
            )
    axes = [range(d.low, d.high + 1, d.step) for d in space.values() if isinstance(d, IntDistribution)]
    points = [dict(zip(space, values, strict=True)) for values in itertools.product(*axes)]
    published = published_values(method, protocol, dataset)
    first = {name: published[name] for name in space}
    return [first, *(point for point in points if point != first)][: protocol.trials]


def trials_of(method: Method, protocol: Protocol, dataset: str) -> int:
    """How many trials a search of this method takes."""
    if not search_space(method, protocol, dataset):
        return 1
    return len(grid_of(method, protocol, dataset)) or protocol.trials


def _inside(distribution: BaseDistribution, value: Any) -> Any:
    if contains(distribution, value) or not hasattr(distribution, "low"):
        return value
    return min(max(value, distribution.low), distribution.high)  # type: ignore[attr-defined]


class Study:
    """One search of one entry: settings by number, told a score each. Numbers run from 0; 0 is the published values.

    seeds: the names that an ask may depend on, besides its number and the trials before it.
    grid: the points to try in order, where nothing is searched for.
    """

    def __init__(
        self,
        studies: Studies,
        name: str,
        seeds: Sequence[object],
        space: Mapping[str, BaseDistribution],
        published: Mapping[str, Any],
        sampler: str,
        grid: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.seeds, self.space, self.sampler = tuple(seeds), dict(space), sampler
        self.published, self.grid = dict(published), list(grid)
        with named_faults():
            self._study = studies.open(name, self.space)

    def setting(self, number: int) -> dict[str, Any]:
        """The values of trial `number`: those that were asked before, or new ones. Trials are asked in order."""
        with named_faults():
            trials = self._study.get_trials(deepcopy=False)
            if number >= len(trials):
                self._ask(number)
                trials = self._study.get_trials(deepcopy=False)
        # Keywords that are never tuned keep their published values.
        return {**self.published, **trials[number].params}

    def _ask(self, number: int) -> None:
        self._study.sampler = make_sampler(self.sampler, seed_of("ask", *self.seeds, number) % 2**32)
        if self.grid:
            self._study.enqueue_trial(dict(self.grid[number]))
        elif number == 0:
            start = {name: self.published[name] for name in self.space}
            self._study.enqueue_trial(start)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.ask(self.space)

    def tell(self, number: int, score: float | None) -> None:
        """Tell a trial's score, or None where it failed (counted, and never asked for again by chance alone)."""
        with named_faults():
            if self._study.get_trials(deepcopy=False)[number].state.is_finished():
                return
            if score is None:
                self._study.tell(number, state=TrialState.FAIL)
            else:
                self._study.tell(number, score)


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Optuna's sampler of that name: `tpe`, `gp` (Gaussian process, log expected improvement) or `random`."""
    if name == "gp":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return GPSampler(seed=seed, deterministic_objective=False)
    if name == "tpe":
        # Few trials: the model takes over from random draws after the first quarter of a usual search.
        return TPESampler(seed=seed, n_startup_trials=3, multivariate=False)
    return RandomSampler(seed=seed)
