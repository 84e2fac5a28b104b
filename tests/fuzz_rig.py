"""What the fuzz tests share: ways to damage a valid file, and every reader with valid files for it.

A damaged file is still mostly what it was: parts of it are flipped, cut, doubled, moved or replaced, values of a JSON
document change their type, and members of an .npz are damaged inside a whole archive.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from harness.errors import BenchmarkError

#: What is awkward in most formats: numbers too large, other types, names of other places, no text at all.
PIECES = (
    b"", b"\0", b"\xff\xff\xff\xff", b"\xed\xa0\x80", b"NaN", b"-1", b"0", b"1e999", b"9" * 5000, b"null",
    b"{}", b"[[", b'"', b"'", b",", b"\n", b"\t", b" ", b"../../x", b"/etc/passwd", b"x" * 300, "é\u2028".encode(),
    b"#seed=1", b"[[[[[[[[",
)  # fmt: skip
DEEP = "a place for deep nesting"
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 10**400, 1e308, -0.0, math.nan, math.inf, "", "x" * 5000, "<script>", "../../x",
    "a\0b", "\ud800", [], {}, [[]], [None], {"": None}, DEEP,
)  # fmt: skip
FAULTS = ("flip", "cut", "insert", "double", "move", "end")


@st.composite
def bytes_damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with one to four parts of it changed."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(found)))
        end = min(len(found), start + draw(st.one_of(st.integers(0, 8), st.integers(0, 600))))
        part = bytes(found[start:end])
        match draw(st.sampled_from(FAULTS)):
            case "flip":
                mask = draw(st.integers(1, 255))
                found[start:end] = bytes(byte ^ mask for byte in part)
            case "cut":
                del found[start:end]
            case "insert":
                new = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=16)))
                found[start : end if draw(st.booleans()) else start] = new
            case "double":
                found[start:start] = part
            case "move":
                del found[start:end]
                elsewhere = draw(st.integers(0, len(found)))
                found[elsewhere:elsewhere] = part
            case "end":
                del found[start:]
    return bytes(found)


@st.composite
def json_damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A JSON document with one to three values replaced, left out, renamed, doubled or wrapped."""
    document = [json.loads(content)]
    for _ in range(draw(st.integers(1, 3))):
        holder, key = _place(draw, document)
        match draw(st.sampled_from(("replace", "replace", "leave out", "rename", "double", "wrap"))):
            case "leave out" if holder is not document:
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from(("", "x", "__class__", "../x", f"{key} ")))] = holder.pop(key)
            case "double" if isinstance(holder, list) and holder is not document:
                holder.insert(key, holder[key])
            case "wrap":
                holder[key] = [holder[key]]
            case _:
                holder[key] = draw(st.one_of(st.sampled_from(VALUES), st.integers(), st.floats(), st.text()))
    return json.dumps(document[0]).replace(json.dumps(DEEP), "[" * 3000 + "]" * 3000).encode()


def _place(draw: st.DrawFn, holder: Any) -> tuple[Any, Any]:
    """(holder, key) of a value in a document; what few values stand beside is found as often as what many do."""
    key: Any = 0
    while True:
        value = holder[key]
        inside = isinstance(value, dict | list) and value and draw(st.integers(0, 4))
        if not inside:
            return holder, key
        holder, key = (
            value,
            draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value)))),
        )


@st.composite
def npz_damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """An .npz that is whole as an archive, with one of its arrays' files damaged, left out or called otherwise."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw(st.sampled_from(sorted(members)))
    match draw(st.sampled_from(("damage", "damage", "damage", "leave out", "rename", "exchange"))):
        case "leave out":
            del members[name]
        case "rename":
            members[draw(st.sampled_from(("../x.npy", "x", "embeddings.npy", "\n.npy")))] = members.pop(name)
        case "exchange":
            members[name] = members[draw(st.sampled_from(sorted(members)))]
        case _:
            # The first bytes hold the type and the shape.
            head = draw(bytes_damaged(members[name][:160])) if draw(st.booleans()) else members[name][:160]
            rest = members[name][160:]
            members[name] = head + (draw(bytes_damaged(rest)) if head == members[name][:160] else rest)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return packed.getvalue()


def damaged(name: str, content: bytes) -> st.SearchStrategy[bytes]:
    """Ways to damage a file of this name."""
    inside = {".json": json_damaged, ".npz": npz_damaged}.get(Path(name).suffix)
    plain = bytes_damaged(content)
    return plain if inside is None else st.one_of(inside(content), plain)


@dataclass(frozen=True)
class Reader:
    """A reader of ours.

    make: writes valid files into a folder. damages: those that are damaged, one at a time, relative to the folder;
    patterns. read: reads them all; raises nothing but our own errors.
    """

    make: Callable[[Path], None]
    damages: tuple[str, ...]
    read: Callable[[Path], object]

    def files(self, folder: Path) -> list[Path]:
        """The files to damage, in a folder where they have been made."""
        return sorted(file for pattern in self.damages for file in folder.glob(pattern))

    def survives(self, folder: Path) -> bool:
        """Whether what lies there is read to the end; False where it is refused by an error of ours."""
        try:
            self.read(folder)
        except BenchmarkError:
            return False
        return True
