"""The optimism audit of an entry: sealed test curves beside the honest results, for the publisher alone.

`results/audits/<protocol>/<dataset>/<method>.json`, with the key of the record that it belongs to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from harness.record import Fraction, Part, Slug, read_part, write_part


class TestCurve(Part):
    """One final training at the tuned values: the epoch that validation chose, and every metric on the test classes at
    every validation as (epoch, metrics), epoch 0 before the first step."""

    __test__ = False  # not a pytest class

    seed: int
    fold: int
    chosen_epoch: int
    curve: list[tuple[int, dict[str, Fraction]]]


class Audit(Part):
    """The sealed curves of one entry's final trainings at its tuned values."""

    audit_schema: Annotated[Literal[1], Field(alias="schema")] = 1
    protocol: Slug
    dataset: Slug
    method: Slug
    key: str
    """The key of the record: an audit of another entry says nothing about this one."""
    curves: list[TestCurve]


def audit_place(results: Path, protocol: str, dataset: str, method: str) -> Path:
    """Where an entry's audit lies under the results folder."""
    return results / "audits" / protocol / dataset / f"{method}.json"


def write_audit(results: Path, audit: Audit) -> Path:
    """Write an audit, replaced whole. Returns its path."""
    return write_part(audit_place(results, audit.protocol, audit.dataset, audit.method), audit)


def read_audit(path: Path) -> Audit:
    """Read and check an audit. Raises RequestError naming the file and the field."""
    return read_part(Audit, path, "run the entry again with --audit, or remove it")
