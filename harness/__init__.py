"""The engine of the benchmark. It knows no method, dataset or protocol by name.

from harness import Task, load_method

ms = load_method("ms")
objective = ms.build(Task(classes=100, embedding_size=128), **ms.published)
"""

#: Raised by hand whenever the engine's arithmetic changes, so that cells made by the old one are not reused.
NUMERICS = 1

from harness.discovery import load_method  # noqa: E402  NUMERICS must be there first: cells import it
from harness.errors import BenchmarkError, MissingError, RequestError  # noqa: E402
from harness.method import Method, OwnParameters, Paper, Task  # noqa: E402

__all__ = [
    "NUMERICS",
    "BenchmarkError",
    "Method",
    "MissingError",
    "OwnParameters",
    "Paper",
    "RequestError",
    "Task",
    "load_method",
]
