"""Losses of pytorch-metric-learning as methods: `pml:TripletMarginLoss`, or with a miner of the library's
`pml:TripletMarginLoss+MultiSimilarityMiner`.

They gather pairs and triplets by index, so that shapes depend on the data: torch.compile does not take them whole, and
a GPU waits for each step. Hyperparameters have the library's own names; a miner's begin with `miner_`. The same losses
in `methods/` are faster and have been held against the papers.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import torch
from optuna.distributions import BaseDistribution, FloatDistribution
from torch import Tensor, nn

from harness.bridges.pml_losses import LOSSES, Known
from harness.errors import MissingError, RequestError
from harness.method import Method, OwnParameters, Task
from harness.method_source import source_of

LIBRARY = "pytorch_metric_learning"
PREFIX = "pml:"
MINER = "miner_"

#: What the task says, under the names of the library's constructors.
OF_TASK: Mapping[str, Callable[[Task], int]] = {
    "num_classes": lambda task: task.classes,
    "embedding_size": lambda task: task.embedding_size,
    "descriptors_dim": lambda task: task.embedding_size,
}
#: Keywords that take objects of the library's own.
OBJECTS = {"weight_regularizer", "weight_reg_weight", "weight_init_func", "mat_based_loss"}


@dataclass(frozen=True)
class KnownMiner:
    """A miner: ranges and first values of its own keywords, which become `miner_...`."""

    space: Mapping[str, BaseDistribution] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)


#: Losses of the library that are no method here: why, and what to use instead where there is something.
UNFIT: Mapping[str, str] = {
    "CrossBatchMemory": "it wraps another loss; use xbm(ms) or xbm around another of ours",
    "GenericPairLoss": "it is a base class without a formula",
    "InstanceLoss": "it takes the first images of a batch for the classes; use norm_softmax",
    "ManifoldLoss": "it takes no labels",
    "MultipleLosses": "it is a sum of other losses; write a method's file (run_benchmark.py new method NAME)",
    "SelfSupervisedLoss": "it wraps another loss for two views of an image without labels",
    "SmoothAPLoss": "it takes batches sorted by class, with as many classes as images of each; use smooth_ap",
    "VICRegLoss": "it takes two views of an image and no labels",
}

MINERS: Mapping[str, KnownMiner] = {
    "AngularMiner": KnownMiner({"angle": FloatDistribution(10, 60)}, {"angle": 20.0}),
    "BatchEasyHardMiner": KnownMiner(),
    "BatchHardMiner": KnownMiner(),
    "DistanceWeightedMiner": KnownMiner(),
    "HDCMiner": KnownMiner({"filter_percentage": FloatDistribution(0.1, 1)}, {"filter_percentage": 0.5}),
    "MultiSimilarityMiner": KnownMiner({"epsilon": FloatDistribution(0, 1)}, {"epsilon": 0.1}),
    "PairMarginMiner": KnownMiner(
        {"pos_margin": FloatDistribution(0, 0.8), "neg_margin": FloatDistribution(0.2, 1.4)},
        {"pos_margin": 0.2, "neg_margin": 0.8},
    ),
    "TripletMarginMiner": KnownMiner({"margin": FloatDistribution(0.01, 1, log=True)}, {"margin": 0.2}),
    "UniformHistogramMiner": KnownMiner(),
}


def pml_names() -> list[str]:
    """Names of the methods that this bridge offers without a miner, sorted."""
    return sorted(PREFIX + name for name in LOSSES)


def pml_method(name: str) -> Method:
    """The method `pml:LOSS` or `pml:LOSS+MINER`.

    Raises RequestError for a name that the library does not have or that does not fit, MissingError without it.
    """
    loss, plus, miner = name.removeprefix(PREFIX).partition("+")
    known = _known_loss(name, loss)
    mined = _known_miner(name, miner) if plus else None
    build = _builder(_found("losses", loss), _found("miners", miner) if plus else None)
    method = Method(
        title=f"{' + '.join([loss, miner] if plus else [loss])} (PML {_version()})",
        paper=known.paper,
        build=build,
        kind=known.kind,
        space={**known.space, **({MINER + k: v for k, v in mined.space.items()} if mined else {})},
        published={
            **known.published,
            **({MINER + k: v for k, v in mined.published.items()} if mined else {}),
        },
        own=_own(known),
        images_per_class=None if known.own_rate is None else 1,
        cost="pairs and triplets gathered by index",
        caveat=known.caveat,
        name=name,
        source=_source(name, known, mined),
    )
    _try(method)
    return method


class Bridged(nn.Module):
    """A loss of the library behind our call, with its miner where one is named."""

    def __init__(self, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        with torch.autocast(embeddings.device.type, enabled=False):
            x = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
            mined = None if self.miner is None else self.miner(x, labels)
            loss: Tensor = self.loss(x, labels, mined).reshape(())
        # What the library remembers from step to step (a running histogram) it leaves on the graph of this step.
        for name, remembered in self.loss.named_buffers(recurse=False):
            setattr(self.loss, name, remembered.detach())
        return loss


# -- names --------------------------------------------------------------------------------------------------
def _known_loss(name: str, loss: str) -> Known:
    if loss in UNFIT:
        raise RequestError(f"{name}: {loss} is no method here: {UNFIT[loss]}")
    if loss not in LOSSES:
        raise _unknown(name, "loss", loss, LOSSES)
    return LOSSES[loss]


def _known_miner(name: str, miner: str) -> KnownMiner:
    if miner not in MINERS:
        raise _unknown(name, "miner", miner, MINERS)
    return MINERS[miner]


def _unknown(name: str, what: str, word: str, known: Mapping[str, object]) -> RequestError:
    near = get_close_matches(word, known, 1, cutoff=0.5)
    hint = f"did you mean {near[0]}? There are" if near else "there are"
    return RequestError(
        f"{name}: pytorch-metric-learning has no {what} {word!r} that fits; {hint} {', '.join(known)}"
    )


def _found(module: str, name: str) -> Callable[..., nn.Module]:
    """A class of the library. It is an extra of ours, so it is imported when it is asked for."""
    try:
        library = import_module(f"{LIBRARY}.{module}")
    except ImportError:
        raise MissingError(
            f"{PREFIX}{name} needs pytorch-metric-learning, which is not installed here: pip install -e '.[pml]'"
        ) from None
    found: Callable[..., nn.Module] | None = getattr(library, name, None)
    if found is None:
        raise RequestError(
            f"{PREFIX}{name}: pytorch-metric-learning {_version()} has no {name}; it is known of 2.9"
        )
    return found


def _version() -> str:
    return str(import_module(LIBRARY).__version__)


# -- building -----------------------------------------------------------------------------------------------
def _builder(
    loss: Callable[..., nn.Module], miner: Callable[..., nn.Module] | None
) -> Callable[..., nn.Module]:
    """`build(task, *, ...)` with the keywords of the library's constructors; others are errors."""
    ours = _keywords(loss)
    mine = {} if miner is None else {MINER + name: p for name, p in _keywords(miner).items()}

    def build(task: Task, **values: Any) -> nn.Module:
        signature.bind(task, **values)  # TypeError for a keyword that nobody has
        given = {name: of(task) for name, of in OF_TASK.items() if name in _demanded(loss)}
        with warnings.catch_warnings():
            # Of values that the papers themselves use, and of the library's ways with NumPy.
            warnings.simplefilter("ignore")
            made = loss(**given, **{name: v for name, v in values.items() if name in ours})
            mined = miner and miner(
                **{name.removeprefix(MINER): v for name, v in values.items() if name in mine}
            )
        _keep_state(made)
        return Bridged(made, mined)

    task = inspect.Parameter("task", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    keywords = [p.replace(name=name, kind=p.KEYWORD_ONLY) for name, p in {**ours, **mine}.items()]
    signature = inspect.Signature([task, *keywords])
    build.__signature__ = signature  # type: ignore[attr-defined]
    return build


def _keep_state(loss: nn.Module) -> None:
    """Tensors that the library keeps as plain attributes become buffers: they move and are stored with the rest."""
    for name, value in list(vars(loss).items()):
        if isinstance(value, Tensor):
            delattr(loss, name)
            loss.register_buffer(name, value)


def _keywords(made: Callable[..., nn.Module]) -> dict[str, inspect.Parameter]:
    """What a constructor, or one that it hands **kwargs on to, takes besides the task's facts and objects."""
    return {name: p for name, p in _parameters(made).items() if name not in {*OF_TASK, *OBJECTS}}


def _demanded(made: Callable[..., nn.Module]) -> set[str]:
    """Names without a default."""
    return {name for name, p in _parameters(made).items() if p.default is p.empty}


def _parameters(made: Any) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    for part in inspect.getmro(made):
        if part.__name__ in ("BaseMetricLossFunction", "BaseMiner"):
            break
        constructor = vars(part).get("__init__")
        for p in [] if constructor is None else list(inspect.signature(constructor).parameters.values())[1:]:
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
                found.setdefault(p.name, p)
    return found


def _own(known: Known) -> OwnParameters | None:
    if known.own_rate is None:
        return None
    return OwnParameters(lr=FloatDistribution(1, 1000, log=True), published_lr=known.own_rate)


def _source(name: str, known: Known, mined: KnownMiner | None) -> str:
    """sha256 of this file, the library's version, and what is known of the loss: all that can change its numbers."""
    facts = (source_of(sys.modules[__name__]), _version(), name, repr(known), repr(mined))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _try(method: Method) -> None:
    """Refuse, before any image is read, what raises on the smallest batch: a loss that takes no miner, say."""
    assert method.build is not None
    labels = torch.arange(8) // 2
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would come again, and more to the point, in training
        torch.manual_seed(0)
        try:
            method.build(Task(classes=4, embedding_size=8), **method.published)(torch.randn(8, 8), labels)
        except Exception as error:
            words = f"{type(error).__name__}: {error}".splitlines()[0]
            hint = "; does it take a miner at all? Try it without" if "+" in method.name else ""
            raise RequestError(f"{method.name}: a batch of 8 images: {words}{hint}") from None
