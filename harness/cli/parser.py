"""The command line: which words there are. Imports nothing heavy, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import NoReturn

from harness.cli.arguments import ARGUMENTS
from harness.discovery import method_names
from harness.errors import RequestError

RUN = "run"
COMMANDS = {
    RUN: "tune, repeat and measure methods on a dataset (the default; the word may be left out)",
    "plan": "what a run would do: cells done and to do, and their cost; trains nothing",
    "list": "methods, pml (another library's losses), datasets, backbones or protocols, and what is missing",
    "leaderboard": "draw LEADERBOARD.md and the site again from the records",
    "evaluate": "score embeddings from a file (.npz or .safetensors)",
    "place": "where a method of yours lands among the recorded entries; runs what is missing",
    "new": "write the file of a new method, to fill in",
    "check": "the contract test for a method's file",
    "export": "a recorded entry's embedder for use elsewhere: safetensors, torch, ONNX, a card",
    "data": "prepare, verify or audit a dataset: fetched, every image decoded, leaks between roles found",
    "merge": "take the finished cells of other results folders: work of several machines joined",
    "sync": "complete the MLflow diary from the finished cells of every run",
    "ui": "the MLflow UI on these runs, on the loopback address",
    "speed": "what this machine does: evaluation, input pipeline, training, objectives, each beside its limit",
    "doctor": "is everything here: packages, devices, data, weights, disk",
}


class Parser(argparse.ArgumentParser):
    """argparse, with our errors and the nearest flag for a wrong one."""

    def error(self, message: str) -> NoReturn:
        words = message.rsplit(": ", 1)[-1].split()
        flags = [flag for action in self._actions for flag in action.option_strings]
        wrong = [word for word in words if word.startswith("-")]
        near = [flag for word in wrong for flag in difflib.get_close_matches(word, flags, 1, cutoff=0.7)]
        hint = f"; did you mean {near[0]}?" if near else f"; see {self.prog} --help"
        raise RequestError(f"{message}{hint}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command and its arguments. Raises RequestError, or SystemExit(0) after `--help`."""
    words = list(arguments)
    command = RUN
    if words and not words[0].startswith("-"):
        command = words.pop(0)
        if command not in COMMANDS:
            raise RequestError(f"no command {command!r}; {_hint(command)}")
    parser = _parser(command)
    known = parser.parse_args(words)
    known.command, known.words = command, list(arguments)
    return known


def _hint(command: str) -> str:
    """What somebody may have meant by a first word that is no command."""
    if near := difflib.get_close_matches(command, [*COMMANDS, "--help"], 1):
        return f"did you mean {near[0]}?"
    if all(name.partition("(")[0] in method_names() for name in command.split(",")):
        return f"did you mean --methods {command}?"
    return f"there are {', '.join(COMMANDS)}"


def _parser(command: str) -> Parser:
    prog = "run_benchmark.py" if command == RUN else f"run_benchmark.py {command}"
    parser = Parser(
        prog=prog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_about() if command == RUN else COMMANDS[command],
    )
    ARGUMENTS[command](parser)
    return parser


def _about() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    return (
        "Which deep-metric-learning method is really better, on your data, and by how much?\n\n"
        "  python run_benchmark.py                                   ms, xbm and nca on the embedded characters\n"
        "  python run_benchmark.py --methods ms,xbm,nca --dataset cub\n\n"
        f"commands (each has its own --help):\n{lines}"
    )
