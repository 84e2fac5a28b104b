"""The arguments of a run, which planning it and placing a method in it take too, and those that many commands share."""

from __future__ import annotations

from argparse import ArgumentParser

from harness.cli.numbers import amount, whole, whole_or_auto


def add_places(parser: ArgumentParser) -> None:
    places = parser.add_argument_group("places")
    places.add_argument("--data", metavar="DIR", help="data root (DML_DATA)")
    places.add_argument(
        "--cache", metavar="DIR", help="decoded images, features, weights (DML_CACHE); 'none' keeps no images"
    )
    places.add_argument(
        "--results", metavar="DIR", default="results", help="records, boards, work in progress"
    )


def add_json(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="one JSON value on standard output, nothing else there"
    )


def _experiment(parser: ArgumentParser) -> None:
    """What `run` and `plan` share: the experiment."""
    parser.add_argument(
        "--methods", default="ms,xbm,nca", metavar="A,B", help="names, wildcards, xbm(ms), or all"
    )
    parser.add_argument(
        "--dataset", default="glyphs", metavar="NAME", help="a name, folder:PATH or table:FILE.csv"
    )
    parser.add_argument("--protocol", metavar="NAME", help="default: the dataset's own")
    parser.add_argument("--backbone", metavar="NAME", help="where the protocol leaves it free")
    parser.add_argument("--weights", metavar="FILE", help="of the backbone; 'none' trains it from scratch")
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="change a field of the protocol"
    )
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a method's file from elsewhere"
    )
    parser.add_argument(
        "--partial", action="store_true", help="accept a copy of the dataset with fewer classes"
    )
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--device", metavar="NAME", help="cpu, cuda, cuda:1; default: cuda where there is one"
    )
    machine.add_argument(
        "--threads", type=whole(1), default=1, metavar="N", help="of a training on a CPU (default 1)"
    )
    machine.add_argument(
        "--deterministic",
        action="store_true",
        help="a GPU gives the same digits in every run, which costs time; on a CPU with as many threads they are the "
        "same anyway",
    )
    add_places(parser)


def add_storage(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="database of the searches, for many machines: postgresql+psycopg://USER@HOST/DB or sqlite:///FILE; "
        "default: a journal each in the results",
    )


def add_run(parser: ArgumentParser) -> None:
    """A run; a plan takes the same arguments, so that one line can be planned and then run."""
    _experiment(parser)
    _executor(parser)
    _limits(parser)
    parser.add_argument(
        "--force",
        action="store_true",
        help="work entries off again from their finished cells, complete ones too; cells that failed are run again",
    )
    parser.add_argument(
        "--audit",
        action="store_true",
        help="keep test curves of the final trainings, to show what choosing the epoch on them would have claimed",
    )
    _diary(parser)
    add_storage(parser)
    said = parser.add_mutually_exclusive_group()
    said.add_argument("--quiet", action="store_true", help="while it runs, say only what failed")
    said.add_argument(
        "--verbose", action="store_true", help="a line for every cell, and for every validation"
    )
    add_json(parser)


def _executor(parser: ArgumentParser) -> None:
    """Where trainings are worked off, and how many at once."""
    work = parser.add_argument_group("trainings at once")
    work.add_argument(
        "--workers",
        type=whole_or_auto,
        metavar="N",
        help="trainings at once, or auto: tried out first; default: the cores, or 1 on a GPU",
    )
    work.add_argument(
        "--executor", choices=("local", "processes", "ray"), help="default: processes if workers > 1"
    )
    work.add_argument(
        "--per-gpu",
        type=whole(1),
        default=1,
        metavar="N",
        help="trainings that share a GPU of a Ray cluster (default 1)",
    )


def _limits(parser: ArgumentParser) -> None:
    """Of the command and of a training."""
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max-hours", type=amount("hours"), metavar="H", help="start nothing new after so long"
    )
    limits.add_argument(
        "--max-cell-minutes",
        type=amount("minutes"),
        metavar="M",
        help="a training that takes longer is ended and has failed",
    )
    limits.add_argument(
        "--max-cell-gb",
        type=amount("gigabytes"),
        metavar="GB",
        help="likewise one whose process takes more memory of its own",
    )


def _diary(parser: ArgumentParser) -> None:
    """What follows the run."""
    parser.add_argument(
        "--tracker",
        default="mlflow",
        metavar="NAME",
        help="mlflow (default), none, or module:Class of your own",
    )
    parser.add_argument(
        "--log-models",
        action="store_true",
        help="then train one model of every entry again and log it in MLflow; `export` does so for one entry",
    )


def add_plan(parser: ArgumentParser) -> None:
    add_run(parser)
    price = parser.add_argument_group("price")
    price.add_argument(
        "--calibrate",
        action="store_true",
        help="do a few steps of every method, to know what its cells take here",
    )
    price.add_argument(
        "--price-per-hour", type=amount("money"), metavar="X", help="of this machine, in whatever currency"
    )


def add_place(parser: ArgumentParser) -> None:
    """A run of one method, compared with the entries that are recorded under equal conditions."""
    parser.add_argument("file", metavar="FILE", help="a method's file, or the name of a method that is here")
    add_run(parser)
