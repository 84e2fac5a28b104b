"""`make mutants`: of many small faults put into the code, one at a time, how many the tests notice, by area.

mutmut makes the faults and runs for each the tests that reach it; `[tool.mutmut]` in pyproject.toml names the files and
the tests. It works on a copy, in `results/.work/mutants`, and goes on where it was interrupted. mutmut leaves decorated
functions alone, so in the copy decorators are written as what they stand for: `f = decorator(f)` after `def f`.

Arguments are mutmut's: `python tests/mutants.py 'methods.ms.*'` does these again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import libcst as cst
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parents[1]
COPY = ROOT / "results" / ".work" / "mutants"
#: What the issue of each area is, by how its files' paths start.
AREAS = {
    "metrics": ("harness/metrics", "harness/ranking", "harness/symmetric"),
    "statistics": ("harness/statistics/",),
    "splits": ("harness/splits",),
    "seeding": ("harness/seeding",),
    "cell store": ("harness/cell", "harness/campaign/store"),
    "records": ("harness/record",),
    "methods": ("methods/",),
}
LEAST = 0.85
NOTICED = ("killed", "timeout", "segfault", "suspicious")


class Plain(cst.CSTTransformer):
    """Writes `@decorator def f` as `def f` and `f = decorator(f)`; mutmut knows classmethod and staticmethod itself."""

    def leave_FunctionDef(  # noqa: N802  libcst's name
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef | cst.FlattenSentinel[cst.BaseStatement]:
        decorators = [decorator.decorator for decorator in updated_node.decorators]
        known = (cst.Name("classmethod"), cst.Name("staticmethod"))
        if not decorators or any(decorators[0].deep_equals(name) for name in known):
            return updated_node
        wrapped: cst.BaseExpression = updated_node.name
        for decorator in reversed(decorators):
            wrapped = cst.Call(decorator, [cst.Arg(wrapped)])
        after = cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(updated_node.name)], wrapped)])
        return cst.FlattenSentinel([updated_node.with_changes(decorators=[]), after])


def main(names: list[str]) -> int:
    with (ROOT / "pyproject.toml").open("rb") as file:
        mutated = tomllib.load(file)["tool"]["mutmut"]["only_mutate"]
    tracked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(tracked, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for path in filter(None, listed.split("\0")):
        if not path.startswith("results/") and (ROOT / path).is_file():
            _copy(path, plain=any(fnmatch(path, pattern) for pattern in mutated))
    # Of the tests' processes one runs at a time, and none takes the checkout's code for the copy's.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DML_DATA": str(_data_root())}
    workers = ["--max-children", str(max(1, (os.cpu_count() or 2) // 2))]
    command = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", "run", *workers, *names]
    done = subprocess.run(command, cwd=COPY, env=environment).returncode
    return done or _report()


def _data_root() -> Path:
    return Path(os.environ.get("DML_DATA") or ROOT.parent / "shared" / "data")


def _copy(path: str, plain: bool) -> None:
    """Copy a file where it differs; what mutmut made of the old one goes."""
    content, target = (ROOT / path).read_bytes(), COPY / path
    if plain:
        content = cst.parse_module(content).visit(Plain()).bytes
    if not target.exists() or target.read_bytes() != content:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if not plain:
            (COPY / "mutants" / path).unlink(missing_ok=True)


def _report() -> int:
    """Print the share of each area and what was not noticed; 1 where an area is below `LEAST` or has no mutant."""
    found: dict[str, Counter[str]] = {area: Counter() for area in AREAS}
    missed = []
    for meta in sorted((COPY / "mutants").rglob("*.meta")):
        path = meta.relative_to(COPY / "mutants").as_posix()
        (area,) = (area for area, starts in AREAS.items() if path.startswith(starts))
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
            status = status_by_exit_code[code]
            found[area]["noticed" if status in NOTICED else "missed"] += status != "not checked"
            missed += [f"{status}: {name}"] if status not in (*NOTICED, "not checked") else []
    print(*missed, sep="\n")
    shares = {area: count["noticed"] / max(1, count.total()) for area, count in found.items()}
    for area, count in found.items():
        print(f"{area:12} {count['noticed']:5} of {count.total():5} noticed: {shares[area]:.1%}")
    return int(min(shares.values()) < LEAST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
