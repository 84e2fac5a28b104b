"""The optimiser of one training: the network at one rate, the objective's own parameters at theirs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from harness.cell import Training
from harness.engine.embedder import Embedder
from harness.method import LEARNING_RATE, OWN_LEARNING_RATE, Method
from harness.protocol import Protocol


def build_optimizer(
    cell: Training, method: Method, protocol: Protocol, embedder: Embedder, objective: nn.Module
) -> torch.optim.Optimizer:
    """One optimiser; the objective's own parameters are groups with their own rate and decay.

    Raises ValueError where the objective learns parameters and the method does not say at which rate.
    """
    rate = float(cell.values.get(LEARNING_RATE, protocol.lr))
    groups: list[dict[str, Any]] = [
        {"params": [p for p in embedder.parameters() if p.requires_grad], "lr": rate}
    ]
    groups += _own_groups(cell, method, protocol, objective, rate)
    groups = [g for g in groups if g["params"]]
    if protocol.optimizer == "rmsprop":
        return torch.optim.RMSprop(
            groups, lr=rate, momentum=protocol.momentum, weight_decay=protocol.weight_decay
        )
    return torch.optim.AdamW(groups, lr=rate, weight_decay=protocol.weight_decay, fused=True)


def _own_groups(
    cell: Training, method: Method, protocol: Protocol, objective: nn.Module, rate: float
) -> list[dict[str, Any]]:
    learned = dict(objective.named_parameters())
    if not learned:
        return []
    own = method.own
    if own is None:
        raise ValueError(
            f"the objective learns {', '.join(learned)}, but METHOD.own is not set: say at which rate they are learned"
        )
    if protocol.own_lr is not None:
        own_rate = float(cell.values.get(OWN_LEARNING_RATE, protocol.own_lr))
    else:
        own_rate = rate * float(cell.values.get(OWN_LEARNING_RATE, own.published_lr))
    decay = protocol.own_weight_decay if own.weight_decay is None else own.weight_decay
    return [{"params": list(learned.values()), "lr": own_rate, "weight_decay": decay}]
