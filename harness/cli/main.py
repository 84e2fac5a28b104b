"""Arguments to work: the only place that prints and exits."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from harness.addresses import without_password
from harness.cli.lines import again
from harness.cli.parser import parse
from harness.cli.places import disk_fault
from harness.errors import BenchmarkError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 something failed, 2 wrong request, 3 data missing, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        request = parse(words)
        # By name, because most commands import torch, and `--help` need not wait for it.
        command = import_module(f"harness.cli.commands.{request.command}")
        return int(command.main(request))
    except BenchmarkError as error:
        print(f"error: {without_password(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output left (`| head`); nothing is wrong.
        with suppress(BrokenPipeError):
            sys.stderr.close()
        return 0
    except OSError as error:
        fault = disk_fault(error)
        if fault is None:
            raise
        print(f"error: {fault}", file=sys.stderr)
        return fault.exit_code
    except KeyboardInterrupt:
        say(f"\ninterrupted; what is finished is kept. To go on: {again(words)}")
        return INTERRUPTED


def say(text: str) -> None:
    """A line for a person. Standard output belongs to results, so it goes to standard error."""
    print(text, file=sys.stderr, flush=True)


def show(value: Any, text: str, as_json: bool) -> None:
    """The result of a command: JSON, or its words, on standard output."""
    print(json.dumps(value, indent=1, allow_nan=False) if as_json else text, flush=True)
