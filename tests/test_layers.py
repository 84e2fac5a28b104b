"""Who may import whom: the never-list of the design, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(p for folder in ("harness", "methods", "protocols") for p in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILE_OF = {module_of(path): path for path in FILES}
MODULES = set(FILE_OF)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Every module that a file imports, and when: "at once", "late" (inside a function), or for "types" alone."""
    tree = ast.parse(path.read_text())
    when: dict[int, str] = {}
    for branch in ast.walk(tree):
        late = isinstance(branch, ast.FunctionDef | ast.AsyncFunctionDef)
        types = isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        if late or types:
            when |= {id(node): "types" if types else "late" for node in ast.walk(branch)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, when.get(id(node), "at once")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                # `from harness.engine import training` is about the module, `from harness.record import Run` its file.
                whole = f"{node.module}.{alias.name}"
                name = whole if whole in MODULES else node.module or ""
                yield name, when.get(id(node), "at once")


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def importers(*packages: str) -> set[str]:
    return {
        module_of(path)
        for path in FILES
        for name, when in imports(path)
        if when != "types" and within(name, *packages)
    }


def test_the_engine_names_no_method_and_no_protocol() -> None:
    assert not {m for m in importers("methods", "protocols") if within(m, "harness")}


def test_a_method_imports_the_contract_torch_and_helpers() -> None:
    outside = {"os", "subprocess", "socket", "pathlib", "urllib", "pickle"}
    allowed = ("harness.method", "torch", "optuna.distributions", *(sys.stdlib_module_names - outside))
    wrong = []
    for path in (ROOT / "methods").glob("*.py"):
        for name, _ in imports(path):
            helper = name.startswith("methods._")
            if not helper and not within(name, *allowed):
                wrong.append(f"{path.name}: {name}")
    assert not wrong


def test_only_tables_and_numbers_know_no_torch() -> None:
    heavy = ("torch", "torchvision", "optuna", "mlflow", "ray")
    light = ("harness.statistics", "harness.record", "harness.publish", "harness.seeding", "harness.errors")
    assert not {m for m in importers(*heavy) if within(m, *light)}


@pytest.mark.parametrize(
    ("package", "places"),
    [
        (
            "mlflow",
            {f"harness.campaign.tracking.{name}" for name in ("ledger", "inputs", "machine", "models")},
        ),
        # The contract check reads a method's ranges, which are Optuna's distributions; bridges state them.
        (
            "optuna",
            {
                "harness.campaign.tuning",
                "harness.campaign.database",
                "harness.campaign.studies",
                "harness.check",
                "harness.bridges.pml",
                "harness.bridges.pml_losses",
            },
        ),
        ("ray", {"harness.campaign.ray_executor"}),
        ("argparse", None),
    ],
)
def test_each_library_has_its_place(package: str, places: set[str] | None) -> None:
    found = {m for m in importers(package) if within(m, "harness")}
    if places is None:
        assert all(within(m, "harness.cli") for m in found)
    else:
        assert found <= places


def test_only_the_command_line_prints_and_reads_the_environment() -> None:
    wrong = []
    for path in FILES:
        module = module_of(path)
        # The last two are scripts: one drew the glyphs, one goes out with every exported model.
        if within(module, "harness.cli", "harness.data.draw_glyphs", "harness.export.load"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(f"{module}:{node.lineno} prints")
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "getcwd"):
                wrong.append(f"{module}:{node.lineno} {node.attr}")
            if isinstance(node, ast.Attribute) and node.attr == "cwd":
                wrong.append(f"{module}:{node.lineno} cwd")
    # MLflow takes some settings through the environment alone: ours are handed on to it, the user's win.
    assert [w for w in wrong if not w.startswith("harness.campaign.tracking.")] == []


def test_tuning_is_never_given_a_dataset() -> None:
    path = ROOT / "harness" / "campaign" / "tuning.py"
    assert not [
        name for name, _ in imports(path) if within(name, "harness.dataset", "harness.engine", "harness.data")
    ]


def test_no_circles() -> None:
    graph = {
        module_of(path): {
            name
            for name, when in imports(path)
            if when != "types" and name in MODULES and name != module_of(path)
        }
        for path in FILES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail, module])
        if module not in done:
            for other in sorted(graph[module]):
                visit(other, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_the_engine_imports_torch_torchvision_numpy_and_three_libraries_of_files_alone() -> None:
    """Whatever the engine reaches when it is imported. Besides torch, torchvision and numpy that is filelock and
    safetensors (the cache) and PIL (images)."""
    allowed = {"torch", "torchvision", "numpy", "filelock", "safetensors", "PIL"}
    reached, waiting = set(), [name for name in MODULES if within(name, "harness.engine")]
    foreign = set()
    while waiting:
        module = waiting.pop()
        if module in reached:
            continue
        reached.add(module)
        # A module's package is run before it.
        waiting += [module.rpartition(".")[0]] if "." in module else []
        for name in (name for name, when in imports(FILE_OF[module]) if when == "at once"):
            if name in MODULES:
                waiting.append(name)
            elif name.partition(".")[0] not in sys.stdlib_module_names:
                foreign.add((module, name.partition(".")[0]))
    assert not {(module, name) for module, name in foreign if name not in allowed}
    assert {name for _, name in foreign} >= {"torch", "numpy"}, "the walk sees imports"


def test_the_engine_imports_where_nothing_else_is_installed() -> None:
    """Blocked: tracking (mlflow), search (optuna, whose distributions only methods need), tables and pages (pandas,
    matplotlib, pydantic, jinja2, rich, tabulate), the network (requests, pooch), and what is optional (faiss, ray,
    timm, scipy)."""
    code = """
import sys
for name in (
    "mlflow", "optuna", "pandas", "matplotlib", "pydantic", "jinja2", "rich", "tabulate", "requests", "pooch",
    "faiss", "ray", "timm", "scipy", "psutil", "platformdirs",
):
    sys.modules[name] = None  # importing it raises ImportError
import harness.engine.training, harness.engine.measuring, harness.engine.features
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120)


def test_help_needs_no_torch() -> None:
    code = "import sys; from harness.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += (
        "heavy = {'torch', 'optuna', 'mlflow', 'pandas', 'numpy'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60, stdout=subprocess.DEVNULL)
