"""From names to values: methods, protocols and datasets are files, found by name and imported by string.

Nothing is registered anywhere: `methods/ms.py` is the method `ms`. A leading underscore says "a helper".
Third parties add files (`plugins`) or the entry-point group `dml_benchmark.methods`, whose values are modules
that hold a `METHOD`. Nothing here imports torch; loading a method does.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from harness.check_words import line_of
from harness.errors import RequestError
from harness.method import Method, Task
from harness.method_source import source_of

if TYPE_CHECKING:
    from torch import nn

    from harness.dataset import DatasetSource
    from harness.protocol import Protocol

ROOT = Path(__file__).resolve().parents[1]
ENTRY_POINTS = "dml_benchmark.methods"
BRIDGE = "pml:"

Value = TypeVar("Value")


# -- what there is -------------------------------------------------------------------------------------------
def method_names(plugins: Sequence[Path] = ()) -> list[str]:
    """Names of all methods: ours, those of installed packages and those of the plugin files, sorted."""
    return sorted(_method_places(plugins))


def bridged_names() -> list[str]:
    """Names of the losses of another library that can be methods; `all` does not mean them."""
    return _bridge().pml_names()  # type: ignore[no-any-return]


def protocol_names() -> list[str]:
    """Names of all protocols, sorted."""
    return sorted(_files("protocols"))


def dataset_names() -> list[str]:
    """Names of all datasets, sorted: those files of `harness/data` that define SOURCE; the others help."""
    defines = re.compile(r"^SOURCE\b", re.MULTILINE)
    return sorted(
        name
        for name, file in _files("harness/data").items()
        if defines.search(file.read_text(encoding="utf-8"))
    )


# -- loading -------------------------------------------------------------------------------------------------
def load_method(name: str, plugins: Sequence[Path] = ()) -> Method:
    """The method called `name` (`ms`, `xbm(ms)`, `pml:NCALoss`), with its `name` and `source` set.

    Raises RequestError for an unknown name, with the nearest one, and for a file that holds no method.
    """
    outer, inner = _parts(name)
    if outer.startswith(BRIDGE) and inner is None:
        return _bridge().pml_method(outer)  # type: ignore[no-any-return]
    places = _method_places(plugins)
    if outer not in places:
        raise _unknown("method", outer, list(places))
    module = _imported(outer, places[outer])
    method = _value(module, "METHOD", Method)
    method = replace(method, name=outer, source=source_of(module))
    if inner is None and method.inner is None:
        return method
    if method.inner is None:
        raise RequestError(
            f"{name}: {outer} stands alone; only a method around another one (xbm) takes parentheses"
        )
    return _composed(method, load_method(inner or method.inner, plugins), named=inner is not None)


def load_protocol(name: str) -> Protocol:
    """The protocol called `name`. Raises RequestError for an unknown name, with the nearest one."""
    from harness.protocol import Protocol  # methods need no protocol, and load faster without

    if name not in _files("protocols"):
        raise _unknown("protocol", name, protocol_names())
    return replace(_value(_imported(name, f"protocols.{name}"), "PROTOCOL", Protocol), name=name)


def load_dataset_source(name: str) -> DatasetSource:
    """Where the dataset `name` comes from. Raises RequestError for an unknown name, with the nearest one."""
    from harness.dataset import DatasetSource  # methods need no dataset, and load faster without

    if name not in dataset_names():
        raise _unknown("dataset", name, dataset_names())
    return _value(_imported(name, f"harness.data.{name}"), "SOURCE", DatasetSource)


def select_methods(text: str, plugins: Sequence[Path] = ()) -> list[Method]:
    """The methods that `text` asks for, in its order, each once.

    text: names separated by commas, wildcards and `all` among them: "ms,xbm(ms),proxy*".
    Raises RequestError for a name or wildcard that fits nothing.
    """
    known = method_names(plugins)
    names: dict[str, None] = {}
    for part in _split(text):
        if part == "all":
            found = known
        elif re.search(r"[*?\[]", part):
            found = fnmatch.filter(bridged_names() if part.startswith(BRIDGE) else known, part)
        else:
            found = [part]
        if not found:
            raise RequestError(f"no method fits {part!r}; there are {', '.join(known)}")
        names.update(dict.fromkeys(found))
    if not names:
        raise RequestError(f"no method is named in {text!r}; there are {', '.join(known)}")
    return [load_method(name, plugins) for name in names]


# -- composition ---------------------------------------------------------------------------------------------
def _composed(outer: Method, inner: Method, *, named: bool) -> Method:
    """`outer` around `inner`, as one method with the hyperparameters of both."""
    if outer.build is None or inner.build is None:
        raise RequestError(
            f"{outer.name}({inner.name}): {inner.name} trains nothing, so there is no loss to wrap"
        )
    ours, theirs = _keywords(outer), _keywords(inner)
    if shared := sorted(ours & theirs):
        raise RequestError(
            f"{outer.name}({inner.name}): both have a hyperparameter {', '.join(shared)}; rename one"
        )
    make_outer, make_inner = outer.build, inner.build

    def build(task: Task, **values: Any) -> nn.Module:
        own = {name: value for name, value in values.items() if name in ours}
        rest = {name: value for name, value in values.items() if name not in ours}
        return make_outer(task, make_inner(task, **rest), **own)

    method = replace(
        outer,
        build=build,
        space={**inner.space, **outer.space},
        published={**inner.published, **outer.published},
        own=inner.own,
        images_per_class=inner.images_per_class,
        head=inner.head,
        ranked=outer.ranked and inner.ranked,
        source=hashlib.sha256(f"{outer.source}({inner.source})".encode()).hexdigest(),
    )
    if named:
        method = replace(method, name=f"{outer.name}({inner.name})", title=f"{outer.title} ({inner.title})")
    _try_build(method)
    return method


def _try_build(method: Method) -> None:
    """Refuse a pair of methods that do not fit before any image is read; the outer method says why."""
    assert method.build is not None
    try:
        method.build(
            Task(classes=2, embedding_size=2, images=4, images_per_class=2, batch_size=4), **method.published
        )
    except ValueError as error:
        raise RequestError(f"{method.name}: {error}") from None


def _keywords(method: Method) -> set[str]:
    assert method.build is not None
    if method.inner is None and "(" in method.name:  # a composition hides its keywords behind **values
        return set(method.published)
    parameters = inspect.signature(method.build).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} | set(method.published)


def _parts(name: str) -> tuple[str, str | None]:
    """`xbm(ms)` as ("xbm", "ms"); a plain name has no second part."""
    match = re.fullmatch(r"([^()]+)\((.+)\)", name.strip())
    return (match[1].strip(), match[2].strip()) if match else (name.strip(), None)


def _split(text: str) -> list[str]:
    """Names between commas, without blanks; commas inside parentheses do not count."""
    return [part for part in re.split(r",(?![^()]*\))", re.sub(r"\s", "", text)) if part]


# -- files and modules ---------------------------------------------------------------------------------------
def _files(folder: str) -> dict[str, Path]:
    return {file.stem: file for file in (ROOT / folder).glob("*.py") if not file.name.startswith("_")}


def _method_places(plugins: Sequence[Path]) -> dict[str, str | Path]:
    """Where each method is: the name of a module, or the path of a plugin's file."""
    places: dict[str, str | Path] = {name: f"methods.{name}" for name in _files("methods")}
    installed = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    ours = ROOT / "methods"
    given: dict[str, str | Path] = {p.stem: p for p in plugins if p.resolve().parent != ours}
    for name, place in [*installed.items(), *given.items()]:
        if name in places:
            raise RequestError(
                f"plugin {place}: there is already a method called {name}; give it another name"
            )
        places[name] = place
    return places


def _bridge() -> ModuleType:  # imports torch and optuna, which names alone do not need
    return importlib.import_module("harness.bridges.pml")


def _imported(name: str, place: str | Path) -> ModuleType:
    """The module at `place`. Whatever its own code raises becomes one RequestError that names it."""
    try:
        return importlib.import_module(place) if isinstance(place, str) else _executed(place)
    except RequestError:
        raise
    except Exception as error:
        raise RequestError(
            f"{name}: {place} cannot be imported: {type(error).__name__}: {error}{_line(error, place)}"
        ) from error


def _line(error: Exception, place: str | Path) -> str:
    """The line of the file at `place` at which its import ended; a syntax error names its own."""
    folder = place.resolve().parent if isinstance(place, Path) else ROOT.joinpath(*place.split(".")).parent
    return line_of(error, folder)


def _executed(path: Path) -> ModuleType:
    if not path.is_file():
        raise RequestError(f"plugin {path}: there is no such file")
    spec = importlib.util.spec_from_file_location(f"dml_benchmark_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise RequestError(f"plugin {path}: expected a Python file, name.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses and pickle look a class's module up there
    spec.loader.exec_module(module)
    return module


def _value(module: ModuleType, name: str, kind: type[Value]) -> Value:
    value = getattr(module, name, None)
    if not isinstance(value, kind):
        raise RequestError(
            f"{module.__file__}: expected a value {name} = {kind.__name__}(...) at the top level"
        )
    return value


def _unknown(kind: str, name: str, known: Sequence[str]) -> RequestError:
    near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    hint = f"; did you mean {near[0]}? There are" if near else "; there are"
    elsewhere = (
        ". One from elsewhere: --plugin FILE, or its package installed here" if kind == "method" else ""
    )
    return RequestError(f"there is no {kind} {name!r}{hint}: {', '.join(sorted(known))}{elsewhere}")
