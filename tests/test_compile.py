"""torch.compile takes the objectives whole: no break of the graph, so no wait for the host in a training step.

`tests/test_methods_gate.py` compiles every method, unless its docstring speaks of torch.compile. Here is which ones do.
"""

from __future__ import annotations

import copy
import importlib

import pytest
import torch
from torch import Tensor, nn

from harness.discovery import load_method, method_names
from harness.probe import Probe, value_and_gradient

#: Methods whose loss cannot be compiled whole, and why.
BREAKS = {
    "clustering": "each step looks for the medoids that violate most, by a search whose length the data decide"
}
#: Methods whose loss compiles, but whose work between epochs stays outside: their docstrings say so.
BETWEEN_EPOCHS = {
    "htl": "the tree of classes and the batches laid out by it",
    "smart_mining": "the graph of neighbours and the batches laid out by it",
}


def test_only_these_speak_of_torch_compile() -> None:
    speaking = {
        name
        for name in method_names()
        if "torch.compile" in (importlib.import_module(f"methods.{name}").__doc__ or "")
    }
    assert speaking == {*BREAKS, *BETWEEN_EPOCHS}


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    torch.compiler.reset()


def compiled(objective: nn.Module) -> nn.Module:
    whole = torch.compile(objective, fullgraph=True, backend="eager")
    assert isinstance(whole, nn.Module)
    return whole


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_said_to_break_the_graph_does(name: str) -> None:
    probe = Probe(load_method(name))
    with pytest.raises(Exception, match=r"graph|unsupported|Unsupported|data-dependent"):
        value_and_gradient(compiled(probe.objective()), *probe.batch())


@pytest.mark.parametrize(
    "name", [*BETWEEN_EPOCHS, "xbm", "xbm(ms)", "ms", "proxy_anchor", "margin", "triplet"]
)
def test_one_graph_serves_every_step(name: str) -> None:
    """What a loss remembers from step to step, or draws, makes no new graph: values are those of the plain loss."""
    probe = Probe(load_method(name))
    plain = probe.objective()
    whole = compiled(copy.deepcopy(plain))
    batches: list[tuple[Tensor, Tensor]] = [probe.batch(seed=seed) for seed in range(3)]
    value_and_gradient(whole, *batches[0])
    value_and_gradient(plain, *batches[0])
    with torch.compiler.set_stance("fail_on_recompile"):
        for batch in batches[1:]:
            for ours, expected in zip(
                value_and_gradient(whole, *batch), value_and_gradient(plain, *batch), strict=True
            ):
                torch.testing.assert_close(ours, expected)
