"""A record: the raw numbers of one entry (one method on one dataset under one protocol), and nothing averaged.

Two files: `<method>.json`, checked field by field when it is written and when it is read, and `<method>.npz` beside it
with the per-class sums that the class bootstrap needs. Means, intervals and ranks are made when a table is drawn.
All metrics are fractions in [0, 1]; all times are seconds of wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import RequestError
from harness.files import read_npz, replace_file, write_npz
from harness.thumbnails import add_thumbnails

Fraction = Annotated[float, Field(ge=-1e-9, le=1 + 1e-9)]
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{6,64}$")]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@+-]*$", max_length=120)]
Setting = bool | int | float | str | None
"""A value of a hyperparameter."""


class Part(BaseModel):
    """Base of all that a record is made of: unknown fields are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


APart = TypeVar("APart", bound=Part)


class PaperReference(Part):
    """Where the method comes from."""

    authors: str
    title: str
    venue: str
    year: int
    link: str
    batch: int | None = None
    """Images of a step in the paper's own experiments, where known."""


class Trial(Part):
    """One setting of the search, scored on every fold. `score` is the mean of `scores`; empty when it failed."""

    values: dict[str, Setting]
    status: Literal["ok", "nan", "failed"]
    scores: list[Fraction]
    score: Fraction | None
    seconds: float
    error: str = ""


class Finalist(Part):
    """One of a search's best trials after more seeds: the score of each other seed (the mean over folds), and the mean
    over all seeds with the trial's own; empty and null when a training failed."""

    trial: int
    scores: list[Fraction]
    score: Fraction | None


class SearchHistory(Part):
    """One independent search: its trials in the order in which they were asked, and the one that was chosen.

    finalists: the best trials with more seeds, where the protocol chooses among them; else empty.
    """

    trials: list[Trial]
    chosen: int | None
    finalists: list[Finalist] = []


class Run(Part):
    """One final training measured on the test classes (`fold` 0, 1, ...), or a seed's folds joined (`fold` null).

    search: the search whose choice was trained; null for runs at the published values.
    validation: every metric on the validation classes at the best epoch; empty for joined runs.
    ended: `patience`, `cap`, or "" where nothing was trained.
    """

    search: int | None
    seed: int
    fold: int | None
    metrics: dict[str, Fraction]
    queries: int
    excluded: int
    validation: dict[str, Fraction] = {}
    best_epoch: int | None = None
    steps: int | None = None
    ended: str = ""
    curve: list[tuple[int, Fraction]] = []
    seconds: float = 0.0


class Side(Part):
    """Size of one half of the dataset."""

    classes: int
    images: int


class Record(Part):
    """One entry. `results/records/<protocol>/<dataset>/<method>.json` is its place."""

    record_schema: Annotated[Literal[1], Field(alias="schema")] = 1
    method: Slug
    dataset: Slug
    protocol: Slug
    status: Literal["complete", "incomplete", "failed"]
    why: str = ""
    """One line: why the entry is incomplete or failed."""
    published_why: str = ""
    """One line: why there is no row of the published values, or not all of it."""

    key: str = ""
    """sha256 of all that the entry's numbers depend on; a record with another key is another entry's."""
    method_title: str
    method_kind: str
    method_source: str
    """sha256 of the code that makes the method's numbers."""
    paper: PaperReference
    caveat: str = ""
    ranked: bool = True

    dataset_name: str
    """The dataset's own name, without what marks a partial copy."""
    dataset_title: str
    split: Sha
    """sha256 of who is in which role."""
    content: str = ""
    """sha256 of the images of all roles as they are stored."""
    partial: bool
    shareable: bool
    recall_at: list[int]
    development: Side
    test: Side
    test_classes: list[str]
    """Names of the test classes, in the order of the per-class sums (`harness.splits.class_groups`)."""

    protocol_title: str
    protocol_digest: Sha
    settings: dict[str, Any]
    """Every field of the protocol as it held on this dataset."""
    backbone: str
    backbone_note: str = ""
    """What the weights were trained on."""

    space: dict[str, dict[str, Any]]
    published: dict[str, Setting]
    """The settings of trial 0 and of the published-values row."""
    searches: list[SearchHistory]
    runs: list[Run]
    published_runs: list[Run]

    environment: dict[str, Any]
    """Commit, whether the tree was clean, versions, device, threads."""
    seconds: dict[str, float]
    """`training`, `evaluation`, `total`: sums over the entry's cells; `gpu` where there was one."""
    command: str
    """The line that makes this record again."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _demand(_Settings, self.settings, "settings")
        for name, distribution in self.space.items():
            _demand(_Distribution, distribution, f"space.{name}")
            if any(name not in trial.values for search in self.searches for trial in search.trials):
                raise ValueError(f"{name} is searched, and a trial has no value of it")
        for search in self.searches:
            said = [search.chosen, *(finalist.trial for finalist in search.finalists)]
            if any(number is not None and not 0 <= number < len(search.trials) for number in said):
                raise ValueError(f"a search names trials {said}, and has {len(search.trials)}")
        for runs in (self.runs, self.published_runs):
            if len({frozenset(run.metrics) for run in runs}) > 1:
                raise ValueError("its runs were measured by different metrics")
        return self


def _demand(kind: type[BaseModel], facts: dict[str, Any], where: str) -> None:
    try:
        kind.model_validate(facts)
    except ValidationError as error:
        raise ValueError(_first_fault(error, where)) from None


def _first_fault(error: ValidationError, *within: str) -> str:
    """The field that is wrong, and how."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, (*within, *first['loc']))) or 'the file'}: {first['msg']}"


class _Settings(BaseModel):
    """What of a protocol's settings is drawn."""

    folds: Annotated[int, Field(ge=1)]
    trials: Annotated[int, Field(ge=0)]
    embedding_size: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    optimizer: str
    lr: float
    weight_decay: float
    own_lr: float | None = None
    own_weight_decay: float = 0.0


class _Distribution(BaseModel):
    """An Optuna distribution as plain data (`harness.protocol.distribution_json`)."""

    kind: Literal["FloatDistribution", "IntDistribution", "CategoricalDistribution"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[Setting] | None = None

    @model_validator(mode="after")
    def _has_its_ends(self) -> Self:
        if self.kind == "CategoricalDistribution":
            if not self.choices:
                raise ValueError("a choice of nothing")
        elif self.low is None or self.high is None or self.low > self.high or (self.log and self.low <= 0):
            raise ValueError(f"no range from {self.low} to {self.high}")
        return self


def write_part(path: Path, part: Part) -> Path:
    """Write a record, an audit or a submission as JSON, replaced whole. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (part.model_dump_json(by_alias=True, indent=1) + "\n").encode())
    return path


def read_part(kind: type[APart], path: Path, remedy: str) -> APart:
    """Read and check what `write_part` wrote. Raises RequestError naming the file and the field, with the remedy."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RequestError(
            f"{path}: {_first_fault(error)}. This is no {kind.__name__.lower()} of schema 1; {remedy}"
        ) from None
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None


def place(results: Path, protocol: str, dataset: str, method: str) -> Path:
    """Where an entry's JSON lies under the results folder."""
    return results / "records" / protocol / dataset / f"{method}.json"


def write_record(results: Path, record: Record, arrays: Mapping[str, npt.NDArray[Any]]) -> Path:
    """Write a record and its arrays, each replaced whole. Returns the path of the JSON.

    arrays: `class_sums` (runs, metrics, groups) float32 and `class_counts` (groups,) int64 over the tuned runs in
        their order, by `harness.splits.class_groups` of the test classes; `published_class_sums` likewise;
        `metric_names` (metrics,) str; and what pages need (`harness.campaign.shown`). `pictures`, with their
        `picture_ids`, go into the file that all entries of the folder share (`harness.thumbnails`).
    """
    path = place(results, record.protocol, record.dataset, record.method)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: array for name, array in arrays.items() if name not in ("pictures", "picture_ids")}
    if "pictures" in arrays:
        found = dict(zip(arrays["picture_ids"].tolist(), arrays["pictures"], strict=True))
        add_thumbnails(path.parent, found, results / ".work" / "pictures.lock")
    # The arrays first: a JSON that is there always has its arrays.
    write_npz(path.with_suffix(".npz"), kept)
    return write_part(path, record)


def read_record(path: Path) -> Record:
    """Read and check one record. Raises RequestError naming the file and the field."""
    record = read_part(Record, path, "run the entry again, or remove it")
    if record.method != path.stem or record.dataset != path.parent.name:
        raise RequestError(
            f"{path}: says it is {record.dataset}/{record.method}; a record's place is its name, so move or remove it"
        )
    return record


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays beside a record's JSON at `path`. Raises RequestError naming the file."""
    file = path.with_suffix(".npz")
    try:
        return read_npz(file)
    except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
        raise RequestError(
            f"{file}: cannot be read ({error}); run the entry again, or remove the record"
        ) from None


def read_records(results: Path) -> list[tuple[Path, Record]]:
    """Every record under `results/records`, in the order of their paths."""
    return [(path, read_record(path)) for path in sorted((results / "records").glob("*/*/*.json"))]
