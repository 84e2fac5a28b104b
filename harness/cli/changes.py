"""What `--set` says: words to values of a protocol's fields, and of what unknown weights want to see."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.backbones import InputSpec
from harness.errors import RequestError
from harness.protocol import SETTABLE

#: Prefix of the keys that describe the weights' input rather than the protocol.
INPUT = "input_"
INPUT_FIELDS = {f.name: str(f.type) for f in dataclasses.fields(InputSpec)}
TRIPLE = "tuple[float, float, float]"

#: How a value of each type is spelt.
SPELLINGS = {
    "int": "a whole number, such as 5",
    "float": "a number, such as 1e-4",
    "bool": "true or false",
    "tuple[float, float]": "a pair, such as [0.5, 1]",
    TRIPLE: "three numbers, such as [0.5,0.5,0.5]",
}


@dataclass(frozen=True)
class Changes:
    """values: fields of the protocol and what they become. input: of the weights, None where nothing is said of it."""

    values: Mapping[str, Any]
    input: InputSpec | None


def read_changes(pairs: Sequence[str]) -> Changes:
    """`NAME=VALUE` pairs as values; nothing is loaded to read them.

    Raises RequestError for a name that is no field (with the nearest one) and for a value of the wrong kind.
    """
    values: dict[str, Any] = {}
    spec: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise RequestError(f"--set {pair}: expected NAME=VALUE, such as --set trials=5")
        field = name.removeprefix(INPUT)
        if field != name:
            _check_name(name, [INPUT + known for known in INPUT_FIELDS])
            spec[field] = _value(name, text, INPUT_FIELDS[field])
        else:
            _check_name(name, SETTABLE)
            values[name] = _value(name, text, SETTABLE[name])
    if spec and not {"mean", "std"} <= spec.keys():
        raise RequestError("--set input_...: input_mean and input_std are both needed, such as [0.5,0.5,0.5]")
    return Changes(values, InputSpec(**spec) if spec else None)


def _check_name(name: str, known: Iterable[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise RequestError(f"--set {name}: a protocol has no such field; {hint}")


def _value(name: str, text: str, kind: str) -> Any:
    """The value that a user wrote for a field, in JSON's spelling (`true`, `3`, `1e-3`, `[0.5, 1]`) or as bare text."""
    if "None" in kind and text.strip().lower() in ("none", "null"):
        return None
    kind = kind.removesuffix(" | None")
    if kind == "str":
        return text.strip()
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if not _fits(value, kind):
        raise RequestError(f"--set {name}={text}: expected {SPELLINGS[kind]}")
    if kind.startswith("tuple"):
        return tuple(map(float, value))
    return float(value) if kind == "float" else value


def _fits(value: Any, kind: str) -> bool:
    if kind.startswith("tuple"):
        length = kind.count("float")
        return (
            isinstance(value, list) and len(value) == length and all(type(v) in (int, float) for v in value)
        )
    return type(value) in {"int": (int,), "float": (int, float), "bool": (bool,)}[kind]
