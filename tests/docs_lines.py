"""The command lines of the documentation's pages, and the small form in which a test runs each of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from harness.cli.parser import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "methods/README.md",
        "protocols/README.md",
        "results/README.md",
        "results/REPORT.md",
        "results/LEADERBOARD.md",
    )
] + sorted((ROOT / "docs").glob("*.md"))
PROGRAM = "python run_benchmark.py"

#: What placeholders stand for. {made} is a folder that all lines share, {here} one of a line's own.
STANDS_FOR = {
    "/where/the/data/is": "{made}/data",
    "NAME": "somebody",
    "FILE.npz": "{made}/x.npz",
    "FILE.py": "{made}/my_loss.py",
    "folder:PATH#seed=3": "folder:{made}/images#seed=3",
    "methods/my_loss.py": "{made}/my_loss.py",
    "methods/softplus_pairs.py": "{made}/softplus_pairs.py",
    "quick/glyphs/ms": "{entry}",
}
#: What DIR stands for after a word.
DIR_AFTER = {
    "--to": "{here}/out",
    "merge": "{here}/results",
    "--data": "{made}/data",
    "--cache": "{made}/cache",
    "--results": "{here}/results",
}
#: Every stage of a run once, for as long as it takes to see that it works.
TINY = {
    "epochs": 1, "epoch_steps": 2, "evaluate_every": 1, "trials": 1, "searches": 1, "folds": 2, "repetitions": 1,
    "published_repetitions": 0, "batch_size": 16, "images_per_class": 4,
}  # fmt: skip
#: Of a protocol for photographs: small ones, and one method.
SMALL = ["--set", "resize=32", "--set", "size=32", "--methods", "ms"]
#: What a line is given besides for a word of it: what a reader has and a test has not, or small instead of large.
GIVEN_FOR = {
    "ms,softplus_pairs": ["--plugin", "{made}/softplus_pairs.py"],
    "reality_check": ["--set", "backbone=convnet", "--set", "weights=none", *SMALL],
    "frozen": ["--weights", "none", *SMALL],
    "mobilenet_v2": ["--dataset", "folder:{made}/images"],
    "speed": ["--quick", "--rounds", "1", "--methods", "ms", "--dataset", "glyphs"],
}
#: Where commands keep things, unless it is `--results` and `--cache`.
PLACES_OF: dict[str, list[str]] = {
    "new": ["--to", "{here}"],
    "check": [],
    "ui": ["--results", "{here}/results"],
    "merge": ["--results", "{here}/joined"],
    "data": ["--results", "{here}/results", "--cache", "{here}/cache"],
}
PLACES = ["--results", "{here}/results", "--cache", "{made}/cache"]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> Iterator[str]:
    """Every command line of ours, and the flags that stand alone in a table: of the command before them, or a run's."""
    for page in PAGES:
        text = page.read_text()
        for block in blocks(text, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if PROGRAM in line and not line.startswith("#"):
                    yield line[line.index(PROGRAM) :]
        words = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for code in re.findall(r"`([^`\n]+)`", words):
            if code.startswith(PROGRAM):
                yield code
        if page.name == "README.md" and page.parent == ROOT:
            rows = "\n".join(line for line in text.splitlines() if line.startswith("| "))
            for command, flags in re.findall(r"(?:`(\w+)` with )?`(--[^`]+)`", rows):
                yield " ".join(filter(None, (PROGRAM, command, flags)))


#: Without what is said behind them.
LINES = sorted({line.partition(" # ")[0].strip() for line in commands()})


def form(line: str) -> tuple[str, ...]:
    """The words that are run for a line; several lines may have one form. Their braces are filled in for each run."""
    words = shlex.split(line.removeprefix(PROGRAM))
    command = words.pop(0) if words and words[0] in COMMANDS else "run"
    given = [more for word in (command, *words) for more in GIVEN_FOR.get(word, ())]
    rest = [_meant(before, word) for before, word in zip((command, *words), words, strict=False)]
    if "--into" in rest:
        rest = [*rest[: rest.index("--into")], "--into", "{here}/page.md"]
    if command in ("run", "place", "plan"):
        return _tiny(command, rest, given)
    return (command, *rest, *given, *_places(command, rest))


def _meant(before: str, word: str) -> str:
    return DIR_AFTER[before] if word == "DIR" else STANDS_FOR.get(word, word)


def _tiny(command: str, rest: list[str], given: list[str]) -> tuple[str, ...]:
    """A run, or a plan. What the line itself sets comes last, and so holds."""
    sets = (
        [] if command == "plan" else [w for name, value in TINY.items() for w in ("--set", f"{name}={value}")]
    )
    protocol = [] if "--protocol" in rest else ["--protocol", "smoke"]
    file = rest[:1] if command == "place" else []
    flags = rest[len(file) :]
    return (command, *file, *sets, "--workers", "1", *given, *flags, *protocol, *_places(command, flags))


def _places(command: str, rest: list[str]) -> list[str]:
    """The places that a command takes and the line does not name."""
    places = PLACES_OF.get(command, PLACES)
    pairs = zip(places[::2], places[1::2], strict=True)
    return [word for flag, folder in pairs if flag not in rest for word in (flag, folder)]
