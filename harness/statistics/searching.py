"""What a search had found after k trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from harness.errors import RequestError
from harness.statistics.outcomes import Floats


def incumbent_curve(scores: Sequence[float | None]) -> Floats:
    """(k,) the best validation score after each trial, a step line; nan until a trial has one.

    Nothing is resampled: it is what this one search did, in the order in which it asked. A failed trial
    (None) is spent and changes nothing.
    """
    filled = np.array([-np.inf if score is None else score for score in scores], dtype=np.float64)
    best = np.maximum.accumulate(filled) if len(filled) else filled
    return np.where(np.isfinite(best), best, np.nan)


def expected_maximum(scores: Sequence[float | None], k: int) -> float:
    """The expected best of k trials of a RANDOM search; the trials of any other are no independent draws.

    Resampled: k of the n trials without replacement, in closed form: E = sum_i x_(i) C(i - 1, k - 1) / C(n,
    k), which is unbiased. A failed trial (None) is one of the n and is never the best; sets of k failed
    trials are left out.
    Source: Dodge et al., "Show Your Work", EMNLP 2019; the unbiased form: Tang et al., "Showing Your Work
    Doesn't Always Work", ACL 2020.
    """
    n = len(scores)
    if not 1 <= k <= n:
        raise RequestError(f"the expected maximum of {k} trials out of {n}: expected 1 to {n}")
    found = np.sort([score for score in scores if score is not None])
    if not len(found):
        raise RequestError("the expected maximum of trials that all failed is not defined")
    rank = np.arange(n - len(found) + 1, n + 1)
    possible = rank >= k
    weight = np.exp(_log_choose(rank[possible] - 1, k - 1) - _log_choose(np.array(n), k))
    return float(weight @ found[possible] / weight.sum())


def _log_choose(n: npt.NDArray[np.int64], k: int) -> Floats:
    """log C(n, k), elementwise."""
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
