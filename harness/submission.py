"""A submission: embeddings of a dataset's test images that were made elsewhere, scored again by us.

`results/submitted/<dataset>/<name>.json` holds the scores and the sha256 of the file they were made from. It stands on
boards of the same split apart from the entries: nobody tuned it under the protocol, so it carries no verdict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from harness.errors import RequestError
from harness.files import replace_file
from harness.record import Fraction, Part, Sha, Slug


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


def submission_place(results: Path, dataset: str, name: str) -> Path:
    """Where a submission lies under the results folder."""
    return results / "submitted" / dataset / f"{name}.json"


def write_submission(results: Path, submission: Submission) -> Path:
    """Write a submission, replaced whole. Returns its path."""
    path = submission_place(results, submission.dataset, submission.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (submission.model_dump_json(by_alias=True, indent=1) + "\n").encode())
    return path


def read_submissions(results: Path) -> list[Submission]:
    """Every submission, in the order of their paths. Raises RequestError naming the file and the field."""
    return [_read(path) for path in sorted((results / "submitted").glob("*/*.json"))]


def _read(path: Path) -> Submission:
    try:
        submission = Submission.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RequestError(
            f"{path}: {where}: {first['msg']}. This is no submission of schema 1; `evaluate FILE --submit NAME` "
            "writes one"
        ) from None
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
    if submission.name != path.stem or submission.dataset != path.parent.name:
        raise RequestError(
            f"{path}: says it is {submission.dataset}/{submission.name}; its place is its name, so move or remove it"
        )
    return submission
