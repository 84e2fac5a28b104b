"""`new`: the file of a method to fill in. It is a working loss already, with the contract in its comments."""

from __future__ import annotations

import argparse
import keyword
import re
from pathlib import Path

from harness.cli.lines import again
from harness.cli.main import say, show
from harness.discovery import ROOT, method_names
from harness.errors import RequestError

TEMPLATE = ROOT / "methods" / "_template.py"
CLASS, TITLE = "NewLoss", "New loss"  # what the template calls itself


def main(request: argparse.Namespace) -> int:
    name = checked_name(request.name)
    file = place(name, request.to)
    text = written(TEMPLATE.read_text(encoding="utf-8"), name)
    try:
        with file.open("x", encoding="utf-8") as stream:  # x: refuses a file that is there, whoever made it
            stream.write(text)
    except FileExistsError:
        raise RequestError(f"{file} is there already; choose another name, or remove it first") from None
    show({"file": str(file), "name": name}, str(file), request.json)
    outside = file.resolve().parent != TEMPLATE.parent
    say("Fill it in, then ask whether it keeps the contract, and run it:")
    say(f"  {again(['check', str(file)])}")
    say(f"  {again(['--methods', f'ms,{name}', *(['--plugin', str(file)] if outside else [])])}")
    return 0


def checked_name(name: str) -> str:
    """The name of a method that is not here yet. Raises RequestError."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise RequestError(
            f"{name!r} cannot be a method's name: expected small letters, digits and underscores, "
            "a letter first, such as soft_triple"
        )
    if name == "all" or name in method_names():
        what = "means every method" if name == "all" else "is a method already"
        raise RequestError(f"{name} {what}; choose another name")
    return name


def place(name: str, to: str | None) -> Path:
    """Where the file goes: `methods/`, or the file or folder `to`. Raises RequestError."""
    if to is None:
        return _shown(TEMPLATE.parent / f"{name}.py")
    file = Path(to)
    if file.is_dir():
        file = file / f"{name}.py"
    if file.name != f"{name}.py":
        raise RequestError(
            f"--to {to}: the file's name is the method's name; expected a folder, or a path that ends in {name}.py"
        )
    if not file.parent.is_dir():
        raise RequestError(f"--to {to}: there is no folder {file.parent}; make it first")
    return file


def written(template: str, name: str) -> str:
    """The template under a method's name."""
    words = name.split("_")
    title = " ".join(words)
    text = template.replace(CLASS, "".join(word.capitalize() for word in words))
    return text.replace(TITLE, title[0].upper() + title[1:]).replace("xbm(NAME)", f"xbm({name})")


def _shown(path: Path) -> Path:
    """Relative to the working folder where it lies inside it, as a person would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
