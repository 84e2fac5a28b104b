"""The code that makes a method's numbers, as one hash: it tells finished cells from cells of other code."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

METHODS = Path(__file__).resolve().parents[1] / "methods"


def source_of(module: ModuleType) -> str:
    """sha256 of a method's code without comments and docstrings: its file and the helpers that it reaches."""
    assert module.__file__ is not None
    digest = hashlib.sha256()
    for name, tree in sorted(_reached(Path(module.__file__)).items()):
        digest.update(f"{name}\n{ast.unparse(_without_docstrings(tree))}\n".encode())
    return digest.hexdigest()


def _reached(file: Path) -> Mapping[str, ast.Module]:
    """The syntax trees of a file and of the helpers that it imports, even through each other, by name."""
    trees: dict[str, ast.Module] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path.stem not in trees:
            trees[path.stem] = ast.parse(path.read_text(encoding="utf-8"), str(path))
            waiting += [METHODS / f"{name}.py" for name in _helpers(trees[path.stem])]
    return trees


def _helpers(tree: ast.Module) -> set[str]:
    """Names of the `methods._*` modules that a file imports, however it spells the import."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            package = package if node.level == 0 else f"methods.{package}".rstrip(".")
            names |= {package, *(f"{package}.{alias.name}" for alias in node.names)}
    found = {match[1] for name in names if (match := re.fullmatch(r"methods\.(_\w+)(\.\w+)?", name))}
    return {name for name in found if (METHODS / f"{name}.py").is_file()}


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
