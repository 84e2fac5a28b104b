"""The check tells an author what is wrong and in which line: each test makes one slip in a file of a method."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.check import check
from harness.discovery import load_method
from harness.errors import RequestError

SOUND = '''
"""Class centres that are learned, and a moving average of the loss's scale."""
import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from harness.method import Method, OwnParameters, Paper, Task
from methods._pairs import full_precision, unit


class Centres(nn.Module):
    def __init__(self, classes: int, size: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.centres = nn.Parameter(torch.randn(classes, size))
        self.register_buffer("mean", torch.ones(()))

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        x = unit(embeddings)
        with torch.no_grad():
            self.mean.lerp_(embeddings.norm(dim=1).mean(), 0.1)
        loss = cross_entropy(self.scale * x @ unit(self.centres).T, labels)
        return loss + 0.01 * (embeddings.norm(dim=1) / self.mean).mean()


def build(task: Task, *, scale: float) -> nn.Module:
    return Centres(task.classes, task.embedding_size, scale)


METHOD = Method(
    title="Centres", paper=Paper("A", "B", "C", 2020, ""), build=build, kind="proxy",
    own=OwnParameters(lr=FloatDistribution(1, 100, log=True), published_lr=10.0),
    space={"scale": FloatDistribution(1.0, 30.0)}, published={"scale": 10.0},
)
'''.lstrip()
WIDE = """
class Wide(nn.Module):
    def __init__(self, sizes: list[int], size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(sizes[-1], SIZE)

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.linear(features[-1])


METHOD = Method(head=Wide,""".lstrip()


def found(folder: Path, *slips: tuple[str, str]) -> str:
    """What the check finds in the sound file after some slips."""
    text = SOUND
    for right, wrong in slips:
        assert right in text
        text = text.replace(right, wrong)
    file = folder / "centres.py"
    file.write_text(text)
    return "\n".join(check(load_method("centres", [file])))


def line(folder: Path, words: str) -> str:
    """The place of the first line of the file with these words, as the check writes it."""
    lines = (folder / "centres.py").read_text().splitlines()
    return f"(centres.py, line {1 + next(k for k, text in enumerate(lines) if words in text)})"


def test_the_sound_file_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("return loss +", "return losses +", "NameError: name 'losses' is not defined"),
        ("loss + 0.01", "loss[:, None] + 0.01", "IndexError: too many indices"),
        ("x = unit(embeddings)", "x = unit(embeddings) if labels.max() > 0 else 0", ".item(), or a tensor"),
        ("x = unit(embeddings)", "x = unit(embeddings)[labels >= 0]", "x[mask]"),
    ],
)
def test_a_slip_is_named_with_its_line(tmp_path: Path, right: str, wrong: str, words: str) -> None:
    text = found(tmp_path, (right, wrong))
    assert words in text and line(tmp_path, wrong) in text


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("return loss + 0.01", "loss = loss + 0.01", "forward gives nothing"),
        ("return loss + 0.01 * (embeddings.norm(dim=1) / self.mean).mean()", "return loss.item()", "gives a float"),
        ("return loss + 0.01 * (", "return loss, (", "forward gives a tuple"),
        ("def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:", "def forward(self, e, labels):\n"
         "        embeddings = e.detach()", "the loss does not use the embeddings"),
        ("x = unit(embeddings)", "embeddings -= embeddings.mean(0)\n        x = unit(embeddings)", "in place"),
    ],
)  # fmt: skip
def test_a_loss_that_is_no_number_on_the_graph_is_explained(
    tmp_path: Path, right: str, wrong: str, words: str
) -> None:
    assert words in found(tmp_path, (right, wrong))


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        (
            'self.register_buffer("mean", torch.ones(()))',
            "self.mean = torch.ones(())",
            "self.mean is a plain",
        ),
        ("nn.Parameter(torch.randn(classes, size))", "torch.randn(classes, size)", "self.centres is a plain"),
        (
            "self.scale = scale",
            "self.scale = scale\n        self.more = [nn.Linear(2, 2)]",
            "self.more is a list",
        ),
        (
            "self.scale = scale",
            "self.scale = scale\n        self.more = {1: torch.ones(1)}",
            "self.more is a dict",
        ),
    ],
)
def test_tensors_that_torch_does_not_know_of_are_found(
    tmp_path: Path, right: str, wrong: str, words: str
) -> None:
    assert words in found(tmp_path, (right, wrong))


BUFFER = '        self.register_buffer("mean", torch.ones(()))\n'


def test_state_of_a_class_is_found(tmp_path: Path) -> None:
    slip = ("class Centres(nn.Module):", "class Centres(nn.Module):\n    mean = torch.ones(())\n")
    assert "Centres.mean changes in training" in found(tmp_path, (BUFFER, ""), slip)


def test_state_of_a_file_is_found(tmp_path: Path) -> None:
    slips = [
        (BUFFER, ""),
        ("self.mean", "MEAN"),
        ("class Centres", "MEAN = torch.ones(())\n\n\nclass Centres"),
    ]
    assert "the file's MEAN changes in training" in found(tmp_path, *slips)


def test_state_that_hangs_in_a_default_is_found(tmp_path: Path) -> None:
    """In none of the places that are looked at: what a new objective's loss is tells of it."""
    slips = [
        (BUFFER, ""),
        ("labels: Tensor) -> Tensor:", "labels: Tensor, mean=torch.ones(())) -> Tensor:"),
        ("self.mean", "mean"),
    ]
    assert "starts with what an earlier one left behind" in found(tmp_path, *slips)


def test_a_memory_with_a_graph_is_explained(tmp_path: Path) -> None:
    slip = ("with torch.no_grad():\n            self.mean.lerp_(", "self.mean = self.mean.lerp(")
    assert "change it under torch.no_grad()" in found(tmp_path, slip)


def test_a_number_of_classes_in_the_file_is_found(tmp_path: Path) -> None:
    text = found(tmp_path, ("Centres(task.classes,", "Centres(100,"))
    assert "With task.classes = 1000" in text and "IndexError" in text


def test_a_loss_in_float32_alone_is_asked_about_the_order_too(tmp_path: Path) -> None:
    slip = (
        "x = unit(embeddings)",
        "x = unit(embeddings)\n        labels @ labels + torch.ones(4).dot(x[0, :4])",
    )
    assert found(tmp_path, slip) == ""
    text = found(tmp_path, slip, ("return loss +", "return loss * (1 + x.detach()[0, 0] ** 2) +"))
    assert "depends on the order" in text


@pytest.mark.parametrize(("size", "wrong"), [("size // 2", True), ("size", False), ("size + 3", False)])
def test_the_head_of_a_method_that_trains_is_looked_at(tmp_path: Path, size: str, wrong: bool) -> None:
    slips = [
        ("METHOD = Method(", WIDE.replace("SIZE", size)),
        ("x = unit(embeddings)", "x = unit(embeddings[:, :16])"),
    ]
    text = found(tmp_path, *slips)
    assert text == (
        "the head gives (3, 8) for 3 images and an embedding_size of 16; expected (3, 16)" if wrong else ""
    )


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("METHOD = Method(", "METHOD = Metod(", r"NameError: .* \(centres.py, line 30\)"),
        ('kind="proxy",', "", r"missing 1 required .* 'kind' \(centres.py, line 30\)"),
        (
            '{"scale": FloatDistribution(1.0, 30.0)}',
            '{"scale": (1.0, 30.0)}',
            r"range of scale is \(1.0, 30.0\)",
        ),
        (
            "lr=FloatDistribution(1, 100, log=True)",
            "lr=10.0",
            r"range of own.lr is 10.0; expected one of optuna",
        ),
        ("def build(task: Task,", "def build(task: Task", r"SyntaxError: .*\(centres.py, line 26\)"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, right: str, wrong: str, words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        found(tmp_path, (right, wrong))
