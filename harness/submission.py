"""A submission: embeddings of a dataset's test images that were made elsewhere, scored again by us.

`results/submitted/<dataset>/<name>.json` holds the scores and the sha256 of the file they were made from. It stands on
boards of the same split apart from the entries: nobody tuned it under the protocol, so it carries no verdict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from harness.errors import RequestError
from harness.record import Fraction, Part, Sha, Slug, read_part, write_part


class Submission(Part):
    """Scores of one file of embeddings; metrics are fractions."""

    submission_schema: Annotated[Literal[1], Field(alias="schema")] = 1
    name: Slug
    title: str
    dataset: Slug
    dataset_title: str
    split: Sha
    """Of the dataset whose test images were embedded: it stands beside entries of the same split alone."""
    dimension: Annotated[int, Field(ge=1)]
    file_sha256: Sha
    metrics: dict[str, Fraction]
    queries: int
    excluded: int


def write_submission(results: Path, submission: Submission) -> Path:
    """Write a submission, replaced whole. Returns its path."""
    return write_part(results / "submitted" / submission.dataset / f"{submission.name}.json", submission)


def read_submissions(results: Path) -> list[Submission]:
    """Every submission, in the order of their paths. Raises RequestError naming the file and the field."""
    return [_read(path) for path in sorted((results / "submitted").glob("*/*.json"))]


def _read(path: Path) -> Submission:
    submission = read_part(Submission, path, "`evaluate FILE --submit NAME` writes one")
    if submission.name != path.stem or submission.dataset != path.parent.name:
        raise RequestError(
            f"{path}: says it is {submission.dataset}/{submission.name}; its place is its name, so move or remove it"
        )
    return submission
