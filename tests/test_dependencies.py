"""Dependencies: each is used, each says why, and nothing else is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"harness", "methods", "protocols", "tests", "run_benchmark"}

#: Used by name alone: commands of the Makefile, plugins, types, and what is loaded by another package or late.
NOT_IMPORTED = {
    "ruff", "mypy", "uv", "coverage", "pytest-xdist", "pytest-randomly", "pandas-stubs", "types-tabulate",
    "types-psutil", "psycopg", "faiss-cpu", "timm",
}  # fmt: skip


def name_of(requirement: str) -> str:
    found = re.match(r"[\w-]+", requirement)
    assert found
    return found[0].lower()


NEEDED = {name_of(line) for line in PROJECT["dependencies"]}
EXTRAS = {
    extra: {name_of(line) for line in lines} for extra, lines in PROJECT["optional-dependencies"].items()
}


def imported(*folders: str) -> set[str]:
    """Distributions whose modules the Python files of some folders import."""
    modules = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add((node.module or "").partition(".")[0])
    providers = packages_distributions()
    return {
        name.lower()
        for module in modules - OURS - sys.stdlib_module_names
        for name in providers.get(module, [module])
    }


def test_each_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    needed, extra = text[text.index("## Dependencies") :].split("| package | extra | why |")
    assert re.findall(r"^\| ([\w-]+) \| \w", needed, re.MULTILINE)[1:] == [
        name_of(line) for line in PROJECT["dependencies"]
    ]
    told = re.findall(r"^\| ([\w-]+) \| ([\w, ]+) \| \S", extra.split("\n## ")[0], re.MULTILINE)
    assert {name: set(extras.split(", ")) for name, extras in told} == {
        name: {extra for extra, names in EXTRAS.items() if name in names}
        for name in set().union(*EXTRAS.values())
    }


def test_each_dependency_is_used() -> None:
    used = imported("harness", "methods", "protocols")
    assert used >= NEEDED - NOT_IMPORTED
    assert imported("harness", "methods", "protocols", "tests") >= EXTRAS["dev"] - NOT_IMPORTED


def test_nothing_is_imported_that_is_not_declared() -> None:
    declared = NEEDED.union(*EXTRAS.values())
    optional = declared - EXTRAS["dev"] | {
        name for extra, names in EXTRAS.items() if extra != "dev" for name in names
    }
    # These share a module with what is declared.
    shared = {"mlflow-skinny", "mlflow-tracing", "psycopg-binary"}
    assert imported("harness", "methods", "protocols") <= optional | shared
    assert imported("tests") <= declared | shared


def test_each_dependency_has_a_lowest_version() -> None:
    lines = PROJECT["dependencies"] + [
        line for lines in PROJECT["optional-dependencies"].values() for line in lines
    ]
    assert not [line for line in lines if not re.match(r"[\w-]+(\[\w+\])?(>=|==)\d", line)]
