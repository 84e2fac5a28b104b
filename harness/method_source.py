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
    """sha256 of a method's code without comments and docstrings: its file and the helpers that it reaches.

    Helpers are `methods._*`, and for a file from elsewhere the files of its own package or folder that it imports.
    """
    assert module.__file__ is not None
    digest = hashlib.sha256()
    for name, tree in sorted(_reached(Path(module.__file__)).items()):
        digest.update(f"{name}\n{ast.unparse(_without_docstrings(tree))}\n".encode())
    return digest.hexdigest()


def _reached(file: Path) -> Mapping[str, ast.Module]:
    """The syntax trees of a file and of the helpers that it imports, even through each other, by name."""
    trees: dict[str, ast.Module] = {}
    waiting = [(file.stem, file)]
    while waiting:
        name, path = waiting.pop()
        if name not in trees:
            trees[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
            waiting += [(helper, METHODS / f"{helper}.py") for helper in _helpers(trees[name])]
            if not path.resolve().is_relative_to(METHODS.parent):
                waiting += [item for item in _beside(trees[name], path).items() if item[1] != file]
    return trees


def _helpers(tree: ast.Module) -> set[str]:
    """Names of the `methods._*` modules that a file imports, however it spells the import."""
    found = {match[1] for name in _imports(tree) if (match := re.fullmatch(r"methods\.(_\w+)(\.\w+)?", name))}
    return {name for name in found if (METHODS / f"{name}.py").is_file()}


def _imports(tree: ast.Module, package: str = "methods") -> set[str]:
    """Dotted names of all that a file of a package may import; of `from a import b` both `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def _beside(tree: ast.Module, path: Path) -> dict[str, Path]:
    """The files of its own package that a file from elsewhere imports; without a package, those of its folder."""
    root = path.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    package = ".".join(path.parent.relative_to(root).parts)
    top = package.partition(".")[0]
    found: dict[str, Path] = {}
    for name in _imports(tree, package):
        if top and name.partition(".")[0] != top:
            continue
        place = root.joinpath(*name.split("."))
        files = [place.with_name(f"{place.name}.py"), *([place / "__init__.py"] if top else [])]
        found |= {f"{name}.py": file for file in files if file.is_file()}
    return found


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
