"""The arguments of each command. Imports nothing heavy, so that `--help` answers at once."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable

from harness.cli.numbers import amount, whole, whole_numbers, whole_or_auto


def _places(parser: ArgumentParser) -> None:
    places = parser.add_argument_group("places")
    places.add_argument("--data", metavar="DIR", help="data root (DML_DATA)")
    places.add_argument(
        "--cache", metavar="DIR", help="decoded images, features, weights (DML_CACHE); 'none' keeps no images"
    )
    places.add_argument(
        "--results", metavar="DIR", default="results", help="records, boards, work in progress"
    )


def _json(parser: ArgumentParser) -> None:
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
    _places(parser)


def _storage(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="database of the searches, for many machines: postgresql+psycopg://USER@HOST/DB or sqlite:///FILE; "
        "default: a journal each in the results",
    )


def _run(parser: ArgumentParser) -> None:
    """A run; a plan takes the same arguments, so that one line can be planned and then run."""
    _experiment(parser)
    parser.add_argument(
        "--workers",
        type=whole_or_auto,
        metavar="N",
        help="trainings at once, or auto: tried out first; default: the cores, or 1 on a GPU",
    )
    parser.add_argument(
        "--executor", choices=("local", "processes", "ray"), help="default: processes if workers > 1"
    )
    parser.add_argument(
        "--per-gpu",
        type=whole(1),
        default=1,
        metavar="N",
        help="trainings that share a GPU of a Ray cluster (default 1)",
    )
    parser.add_argument(
        "--max-hours", type=amount("hours"), metavar="H", help="start nothing new after so long"
    )
    parser.add_argument(
        "--max-cell-minutes",
        type=amount("minutes"),
        metavar="M",
        help="a training that takes longer is ended and has failed",
    )
    parser.add_argument(
        "--max-cell-gb",
        type=amount("gigabytes"),
        metavar="GB",
        help="likewise one whose process takes more memory of its own",
    )
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
    parser.add_argument(
        "--tracker",
        default="mlflow",
        metavar="NAME",
        help="mlflow (default), none, or module:Class of your own",
    )
    _storage(parser)
    said = parser.add_mutually_exclusive_group()
    said.add_argument("--quiet", action="store_true", help="while it runs, say only what failed")
    said.add_argument("--verbose", action="store_true", help="a line for every cell, and for every validation")
    _json(parser)


def _plan(parser: ArgumentParser) -> None:
    _run(parser)
    price = parser.add_argument_group("price")
    price.add_argument(
        "--calibrate",
        action="store_true",
        help="do a few steps of every method, to know what its cells take here",
    )
    price.add_argument(
        "--price-per-hour", type=amount("money"), metavar="X", help="of this machine, in whatever currency"
    )


def _list(parser: ArgumentParser) -> None:
    what = ("methods", "pml", "datasets", "backbones", "protocols")
    parser.add_argument("what", choices=what, metavar="|".join(what))
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a method's file from elsewhere"
    )
    parser.add_argument(
        "--into", metavar="FILE", help="draw methods, pml or protocols as a table between their marks in FILE"
    )
    _places(parser)
    _json(parser)


def _leaderboard(parser: ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if what is there differs")
    parser.add_argument(
        "--with-images",
        action="store_true",
        help="a site with pictures in .work/site under the results, for this machine alone",
    )
    parser.add_argument("--data", metavar="DIR", help="data root, for the pictures (or DML_DATA)")
    parser.add_argument("--cache", metavar="DIR", help="where prepared datasets lie (or DML_CACHE)")
    parser.add_argument("--results", metavar="DIR", default="results")
    _json(parser)


def _evaluate(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="embeddings (N, D), labels (N,), optional gallery_*")
    parser.add_argument(
        "--recall-at", default="1,2,4,8", metavar="K,K", help="the K of Recall@K (default 1,2,4,8)"
    )
    submit = parser.add_argument_group("to stand on the boards of a dataset, apart from the tuned entries")
    submit.add_argument("--submit", metavar="NAME", help="keep the scores under this name in the results")
    submit.add_argument(
        "--dataset", metavar="NAME", help="whose test images were embedded, in their own order"
    )
    submit.add_argument("--title", metavar="TEXT", help="for tables (default: the name)")
    submit.add_argument("--partial", action="store_true", help="accept a copy with fewer classes")
    _places(parser)
    _json(parser)


def _place(parser: ArgumentParser) -> None:
    """A run of one method, compared with the entries that are recorded under equal conditions."""
    parser.add_argument("file", metavar="FILE", help="a method's file, or the name of a method that is here")
    _run(parser)


def _new(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=("method",), metavar="method", help="what to begin")
    parser.add_argument("name", metavar="NAME", help="small letters, digits and underscores: the file's name")
    parser.add_argument("--to", metavar="FILE", help="or a folder; default: methods/NAME.py")
    _json(parser)


def _check(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a method's file, or the name of a method that is here")
    _json(parser)


def _export(parser: ArgumentParser) -> None:
    parser.add_argument(
        "entry", metavar="ENTRY", help="protocol/dataset/method, as the record's path says it"
    )
    parser.add_argument("--to", metavar="DIR", help="a new or an empty folder")
    parser.add_argument("--mlflow", action="store_true", help="keep it as a model on the entry's run in MLflow")
    parser.add_argument("--register", metavar="NAME", help="--mlflow, and a new version of this registered model")
    parser.add_argument(
        "--fold", type=whole(1), default=1, metavar="N", help="which of the folds' models (default 1)"
    )
    parser.add_argument("--no-onnx", dest="onnx", action="store_false", help="leave the ONNX file out")
    parser.add_argument("--device", metavar="NAME", help="to train on; default: what the record says")
    here = parser.add_argument_group("where things lie that the record names without their place")
    here.add_argument("--dataset", metavar="NAME", help="folder:PATH or table:FILE.csv")
    here.add_argument("--weights", metavar="FILE", help="of the backbone")
    here.add_argument("--plugin", action="append", default=[], metavar="FILE", help="the method's file")
    _places(parser)
    _json(parser)


def _data(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("prepare", "verify", "audit"),
        help="prepare: fetch and unpack into the cache; verify: decode and count every image; audit: look for leaks",
    )
    parser.add_argument("dataset", metavar="NAME", help="a name, folder:PATH or table:FILE.csv")
    parser.add_argument(
        "--from",
        dest="by_hand",
        action="append",
        default=[],
        metavar="FILE",
        help="prepare from archives that are here already; nothing is fetched",
    )
    parser.add_argument("--partial", action="store_true", help="accept a copy with fewer classes")
    looks = parser.add_argument_group("audit: near duplicates, always sought by thumbnails")
    looks.add_argument("--backbone", metavar="NAME", help="seek them by this network's features too")
    looks.add_argument("--weights", metavar="FILE", help="of the backbone")
    looks.add_argument(
        "--threshold", type=float, metavar="X", help="cosine similarity that makes a near duplicate"
    )
    looks.add_argument("--device", metavar="NAME", help="of the backbone")
    _places(parser)
    _json(parser)


def _merge(parser: ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="DIR", help="another results folder, with its .work")
    parser.add_argument("--results", metavar="DIR", default="results", help="takes the cells")
    _json(parser)


def _sync(parser: ArgumentParser) -> None:
    _places(parser)
    _storage(parser)
    _json(parser)


def _ui(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=whole(1, 65535), default=5000, metavar="N", help="of the page's address (default 5000)"
    )
    parser.add_argument("--results", metavar="DIR", default="results")


def _speed(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="*",
        metavar="PART",
        help="evaluation, growth, input, training, settings, steps, campaign; default: all",
    )
    parser.add_argument(
        "--compiled",
        action="store_true",
        help="steps also by torch.compile: seconds of a compiler for each method",
    )
    parser.add_argument(
        "--batches",
        type=whole_numbers,
        metavar="N,N",
        help="images of the objectives' batches (default 32,120,1024)",
    )
    parser.add_argument(
        "--rounds", type=whole(1), default=5, metavar="N", help="alternating rounds (default 5)"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it works, not how fast")
    parser.add_argument(
        "--embeddings", type=whole(1000), metavar="N", help="how many are scored (default 20000)"
    )
    parser.add_argument("--dataset", metavar="NAME", help="default: photographs where they are, else glyphs")
    parser.add_argument("--partial", action="store_true", help="accept a copy with fewer classes")
    parser.add_argument("--methods", default="all", metavar="A,B", help="whose objectives (default all)")
    parser.add_argument(
        "--threads", type=whole(1), default=1, metavar="N", help="of the arithmetic (default 1)"
    )
    _places(parser)
    _json(parser)


def _doctor(parser: ArgumentParser) -> None:
    _places(parser)
    _json(parser)


#: What adds a command's arguments to its parser.
ARGUMENTS: dict[str, Callable[[ArgumentParser], None]] = {
    "run": _run,
    "plan": _plan,
    "list": _list,
    "leaderboard": _leaderboard,
    "evaluate": _evaluate,
    "place": _place,
    "new": _new,
    "check": _check,
    "export": _export,
    "data": _data,
    "merge": _merge,
    "sync": _sync,
    "ui": _ui,
    "speed": _speed,
    "doctor": _doctor,
}
