"""Names become methods, protocols and datasets; wrong names get the nearest right one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from harness import Task, discovery, method_source
from harness.discovery import dataset_names, load_method, load_protocol, method_names, select_methods
from harness.errors import RequestError

TASK = Task(classes=4, embedding_size=8, images=40, images_per_class=4, batch_size=8, steps=100)

PLUGIN = '''
"""A plugin."""
from optuna.distributions import FloatDistribution
from torch import nn
from harness.method import Method, Paper
from methods._pairs import PairLoss

def spread(s, positive, negative, *, width):
    return (s * negative).mean() * width

def build(task, *, width=1.0):
    return PairLoss(lambda s, p, n: spread(s, p, n, width=width))

METHOD = Method(title="Spread", paper=Paper("A", "B", "C", 2020, ""), build=build, kind="pair",
                space={"width": FloatDistribution(0, 2)}, published={"width": 1.0})
'''


def write(folder: Path, name: str, text: str = PLUGIN) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_importing_the_harness_imports_no_torch() -> None:
    code = (
        "import sys, harness, harness.discovery; sys.exit(any(m in sys.modules for m in ('torch', 'optuna')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=discovery.ROOT, check=False).returncode == 0


def test_every_method_loads_and_none_is_a_helper() -> None:
    names = method_names()
    assert {"ms", "xbm", "nca", "untrained"} <= set(names)
    assert not [name for name in names if name.startswith("_")]
    for name in names:
        method = load_method(name)
        assert method.name == name
        assert len(method.source) == 64


def test_a_wrong_name_gets_the_nearest_one() -> None:
    with pytest.raises(
        RequestError, match=r"no method 'trplet'; did you mean triplet\?.*elsewhere: --plugin FILE"
    ):
        load_method("trplet")
    with pytest.raises(RequestError, match=r"no protocol 'realty_check'; did you mean reality_check\?"):
        load_protocol("realty_check")
    with pytest.raises(RequestError, match="no dataset 'nowhere'"):
        discovery.load_dataset_source("nowhere")


def test_protocols_carry_their_file_s_name() -> None:
    assert all(load_protocol(name).name == name for name in discovery.protocol_names())


def test_helpers_of_the_data_folder_are_no_datasets() -> None:
    assert "__init__" not in dataset_names()
    for name in dataset_names():
        assert discovery.load_dataset_source(name).title


def test_selection_keeps_order_and_drops_doubles() -> None:
    chosen = [m.name for m in select_methods("xbm(ms), lifted*,ms,lifted,xbm( ms )")]
    assert chosen == ["xbm(ms)", "lifted", "lifted_seed", "ms"]
    assert [m.name for m in select_methods("all")] == method_names()


@pytest.mark.parametrize("text", ["nothing*", "", " , ", "ms,mss"])
def test_selection_of_nothing_is_an_error(text: str) -> None:
    with pytest.raises(RequestError):
        select_methods(text)


def test_composition_joins_names_spaces_and_values() -> None:
    ms, xbm, both = load_method("ms"), load_method("xbm"), load_method("xbm(ms)")
    assert (both.name, both.slug, both.title) == ("xbm(ms)", "xbm--ms", "XBM (Multi-Similarity)")
    assert set(both.space) == set(ms.space) | {"memory", "start", "memory_weight"}
    assert both.published == {
        **ms.published,
        **{k: v for k, v in xbm.published.items() if k in both.published},
    }
    assert len({ms.source, xbm.source, both.source}) == 3
    assert both.build is not None
    objective = both.build(TASK, **{**both.published, "alpha": 3.0, "memory": 0.5})
    assert objective.memory.shape == (20, 8)
    assert objective.inner.formula.keywords["alpha"] == 3.0


def test_plain_xbm_wraps_the_authors_loss() -> None:
    method = load_method("xbm")
    assert (method.name, method.title) == ("xbm", "XBM")
    assert method.published["margin"] == 0.5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("xbm(untrained)", "trains nothing"),
        ("xbm(lifted)", "cannot look into a memory"),
        ("ms(nca)", "stands alone"),
        ("xbm(mss)", "no method 'mss'"),
    ],
)
def test_compositions_that_make_no_sense_say_why(name: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        load_method(name)


def test_a_composition_refuses_unknown_values() -> None:
    method = load_method("xbm(ms)")
    assert method.build is not None
    with pytest.raises(TypeError):
        method.build(TASK, **method.published, gamma=1.0)


def test_shared_hyperparameters_are_refused(tmp_path: Path) -> None:
    plugin = write(tmp_path, "clash.py", PLUGIN.replace("width", "memory"))
    with pytest.raises(RequestError, match="both have a hyperparameter memory"):
        load_method("xbm(clash)", [plugin])


def test_a_plugin_is_a_file(tmp_path: Path) -> None:
    plugin = write(tmp_path, "spread.py")
    assert "spread" in method_names([plugin])
    method = load_method("spread", [plugin])
    assert method.build is not None
    loss = method.build(TASK, width=2.0)(torch.ones(2, 8), torch.arange(2))
    assert loss.item() == pytest.approx(1.0)
    assert load_method("xbm(spread)", [plugin]).slug == "xbm--spread"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("ms.py", PLUGIN, "already a method called ms"),
        ("broken.py", "import no_such_module", r"broken: .*ModuleNotFoundError"),
        ("empty.py", "", "expected a value METHOD"),
    ],
)
def test_bad_plugins_say_what_is_wrong(tmp_path: Path, name: str, text: str, words: str) -> None:
    plugin = write(tmp_path, name, text)
    with pytest.raises(RequestError, match=words):
        load_method(plugin.stem, [plugin])


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no such file"):
        load_method("gone", [tmp_path / "gone.py"])


def test_source_follows_code_and_not_words(tmp_path: Path) -> None:
    def source(text: str) -> str:
        return load_method("spread", [write(tmp_path, "spread.py", text)]).source

    original = source(PLUGIN)
    assert source(PLUGIN.replace('"""A plugin."""', '"""Other words."""\n# and a comment')) == original
    assert source(PLUGIN.replace(".mean()", ".sum()")) != original


def test_source_reaches_helpers_of_helpers() -> None:
    # ms imports the miner, and the miner the pairs.
    assert {"ms", "_mining", "_pairs"} <= set(method_source._reached(method_source.METHODS / "ms.py"))


@pytest.mark.parametrize(
    "spelling",
    [
        "from their_losses import sums",
        "from . import sums",
        "import their_losses.sums",
        "from .sums import total",
        "from their_losses.sums import total",
    ],
)
def test_source_reaches_the_package_of_a_method_from_elsewhere(tmp_path: Path, spelling: str) -> None:  # fmt: skip
    """Or finished cells of other code would pass for this one's."""
    package = tmp_path / "their_losses"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "spread.py").write_text(f"{spelling}\nimport torch\n")

    def source(deep: str) -> str:
        (package / "sums.py").write_text("from their_losses.deep import x\n\ndef total(): return x\n")
        (package / "deep.py").write_text(deep)
        module = ModuleType("their_losses.spread")
        module.__file__ = str(package / "spread.py")
        return method_source.source_of(module)

    assert source("x = 1\n") == source("x = 1  # one\n") != source("x = 2\n")


def test_source_reaches_a_file_beside_a_plugin(tmp_path: Path) -> None:
    """One that lies on PYTHONPATH; what only has the name of a package elsewhere is left alone."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("x = 1")
    plugin, module = write(tmp_path, "spread.py", "import sums, torch\n"), ModuleType("spread")
    module.__file__ = str(plugin)
    write(tmp_path, "sums.py", "x = 1")
    before = method_source.source_of(module)
    assert set(method_source._reached(plugin)) == {"spread", "sums.py"}
    write(tmp_path, "sums.py", "x = 2")
    assert method_source.source_of(module) != before
