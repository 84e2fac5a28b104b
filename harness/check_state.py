"""What an objective keeps from one batch to the next: in the module, registered, and a place for every class."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from harness.probe import IMAGES, Probe, value_and_gradient

MANY = 1000  # classes, more than anybody's constant in a file


def tensors_are_registered(probe: Probe) -> Iterator[str]:
    """Every tensor and module that an objective holds is one that torch knows of."""
    for module in probe.objective().modules():
        for name, value in vars(module).items():
            what = None if name.startswith("_") else _unregistered(value)
            if what is not None:
                yield (
                    f"self.{name} is {what}, which is neither trained nor saved nor moved to a GPU; make it an "
                    "nn.Parameter if it is learned (several: nn.ParameterList, nn.ModuleList), and a buffer "
                    f'(self.register_buffer("{name}", ...)) if it is a constant or remembers something'
                )


def _unregistered(value: object) -> str | None:
    """What torch does not know of in an attribute of a module, in words."""
    if isinstance(value, Tensor):
        return "a plain tensor"
    inside = list(value.values()) if isinstance(value, dict) else value
    if isinstance(inside, list | tuple) and any(isinstance(item, Tensor | nn.Module) for item in inside):
        return f"a {type(value).__name__} of tensors or modules"
    return None


def state_starts_empty_and_is_kept(probe: Probe) -> Iterator[str]:
    """A new objective knows nothing of an older one, and its state_dict holds all that it learns."""
    used, before = probe.objective(), probe.objective().state_dict()
    x, labels = probe.batch()
    first, _ = value_and_gradient(probe.objective(), x, labels)
    for _ in range(1 + 2 * IMAGES // len(labels)):
        value_and_gradient(used, x, labels)
    changed = any(
        not torch.equal(before[name], value) for name, value in probe.objective().state_dict().items()
    )
    if changed or not torch.equal(first, value_and_gradient(probe.objective(), x, labels)[0]):
        yield "a newly built objective starts with what an earlier one left behind; keep state in the module"
    restored = probe.objective()
    restored.load_state_dict(used.state_dict())
    if not torch.equal(value_and_gradient(used, x, labels)[0], value_and_gradient(restored, x, labels)[0]):
        yield "an objective restored from its state_dict gives another loss; register its state as buffers"


def nothing_is_kept_outside_the_module(probe: Probe) -> Iterator[str]:
    """The method's file and its classes hold nothing that a training changes."""
    assert probe.method.build is not None
    objective = probe.objective()
    places: list[tuple[str, Mapping[str, Any]]] = [
        (f"{kind.__name__}.", vars(kind)) for module in objective.modules() for kind in type(module).__mro__
    ]
    file = sys.modules.get(probe.method.build.__module__)
    places.append(("the file's ", vars(file) if file is not None else {}))
    before = [_shared(names) for _, names in places]
    value_and_gradient(objective, *probe.batch())
    for (where, names), old in zip(places, before, strict=True):
        for name, value in _shared(names).items():
            if old.get(name) != value:
                yield (
                    f"{where}{name} changes in training and is shared by all trainings of a process; make it a buffer "
                    f'of the objective: self.register_buffer("{name.lower()}", ...) in __init__'
                )


def _shared(names: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a class or a file holds: the values that change, each by a sign of its change."""
    signs: dict[str, Any] = {}
    for name, value in names.items():
        if name.startswith("__"):
            continue
        if isinstance(value, Tensor):
            signs[name] = (id(value), value._version)
        elif isinstance(value, list | dict | set):
            signs[name] = (id(value), len(value))
        elif isinstance(value, int | float):
            signs[name] = value
    return signs


def every_class_has_its_place(probe: Probe) -> Iterator[str]:
    """With task.classes = 1000 and the last of their labels the loss is finite.

    Not asked of a loss that looks at the whole training fold, which a batch is not.
    """
    assert probe.method.build is not None
    if hasattr(probe.objective(), "refresh"):
        return
    x, labels = probe.batch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objective = probe.method.build(replace(probe.task, classes=MANY), **probe.method.published)
    loss, gradient = value_and_gradient(objective, x, MANY - 1 - labels)
    if not loss.isfinite() or not gradient.isfinite().all():
        yield f"with {MANY} classes the loss is {loss.item()} or its gradient is not finite"
