"""The arguments of each command. Imports nothing heavy, so that `--help` answers at once."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable

from harness.cli.numbers import whole, whole_numbers
from harness.cli.run_arguments import add_json, add_place, add_places, add_plan, add_run, add_storage


def _list(parser: ArgumentParser) -> None:
    what = ("methods", "pml", "datasets", "backbones", "protocols")
    parser.add_argument("what", choices=what, metavar="|".join(what))
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a method's file from elsewhere"
    )
    parser.add_argument(
        "--into", metavar="FILE", help="draw methods, pml or protocols as a table between their marks in FILE"
    )
    add_places(parser)
    add_json(parser)


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
    add_json(parser)


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
    add_places(parser)
    add_json(parser)


def _new(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=("method",), metavar="method", help="what to begin")
    parser.add_argument("name", metavar="NAME", help="small letters, digits and underscores: the file's name")
    parser.add_argument("--to", metavar="FILE", help="or a folder; default: methods/NAME.py")
    add_json(parser)


def _check(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a method's file, or the name of a method that is here")
    add_json(parser)


def _export(parser: ArgumentParser) -> None:
    parser.add_argument(
        "entry", metavar="ENTRY", help="protocol/dataset/method, as the record's path says it"
    )
    parser.add_argument("--to", metavar="DIR", help="a new or an empty folder")
    parser.add_argument(
        "--mlflow", action="store_true", help="keep it as a model on the entry's run in MLflow"
    )
    parser.add_argument(
        "--register", metavar="NAME", help="--mlflow, and a new version of this registered model"
    )
    parser.add_argument(
        "--fold", type=whole(1), default=1, metavar="N", help="which of the folds' models (default 1)"
    )
    parser.add_argument("--no-onnx", dest="onnx", action="store_false", help="leave the ONNX file out")
    parser.add_argument("--device", metavar="NAME", help="to train on; default: what the record says")
    here = parser.add_argument_group("where things lie that the record names without their place")
    here.add_argument("--dataset", metavar="NAME", help="folder:PATH or table:FILE.csv")
    here.add_argument("--weights", metavar="FILE", help="of the backbone")
    here.add_argument("--plugin", action="append", default=[], metavar="FILE", help="the method's file")
    add_places(parser)
    add_json(parser)


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
    add_places(parser)
    add_json(parser)


def _merge(parser: ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="DIR", help="another results folder, with its .work")
    parser.add_argument("--results", metavar="DIR", default="results", help="takes the cells")
    add_json(parser)


def _sync(parser: ArgumentParser) -> None:
    add_places(parser)
    add_storage(parser)
    add_json(parser)


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
    add_places(parser)
    add_json(parser)


def _doctor(parser: ArgumentParser) -> None:
    add_places(parser)
    add_json(parser)


#: What adds a command's arguments to its parser.
ARGUMENTS: dict[str, Callable[[ArgumentParser], None]] = {
    "run": add_run,
    "plan": add_plan,
    "list": _list,
    "leaderboard": _leaderboard,
    "evaluate": _evaluate,
    "place": add_place,
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
