"""`check`: the contract test for a method's file."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.check import check
from harness.cli.main import say, show
from harness.discovery import load_method
from harness.errors import RequestError


def main(request: argparse.Namespace) -> int:
    file = Path(request.file)
    if file.suffix == ".py" or file.exists():
        if not file.is_file() or file.suffix != ".py":
            what = "not a Python file" if file.exists() else "no such file"
            raise RequestError(
                f"{file}: {what}; expected a method's file, such as methods/ms.py, or its name"
            )
        say(f"running the code in {file}")
        method = load_method(file.stem, [file.resolve()])
    else:
        method = load_method(request.file)
    findings = check(method)
    text = "\n".join(f"- {finding}" for finding in findings) or f"{method.name}: keeps the contract"
    show({"method": method.name, "findings": findings}, text, request.json)
    return 1 if findings else 0
