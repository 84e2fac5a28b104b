"""What every test may ask for."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

# One thread a process, as cells have: two processes of several threads each get in each other's way. Set before torch
# is imported, and handed on to the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# A shell lets what it starts in the background ignore Ctrl-C, and so would every command that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


#: Files that take minutes each: begun first, so that no core waits at the end for one that was begun last.
LONGEST = (
    "test_interrupted.py", "test_chaos.py", "test_docs_commands.py", "test_methods_gate.py", "test_ray.py",
    "test_storage.py",
)  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real images and weights: DML_DATA, or `shared/data` beside the checkout.

    A test that needs it is skipped only where the folder is absent; where it is there, what cannot be read fails.
    """
    root = Path(os.environ.get("DML_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not root.is_dir():
        pytest.skip(f"no real images here: {root} is absent (set DML_DATA)")
    return root


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Connections to other machines are errors, and such that no code takes them for a network that is down."""
    connect = socket.socket.connect
    here = {address.address for card in psutil.net_if_addrs().values() for address in card} | {"localhost"}

    def checked(self: socket.socket, address: tuple[str, int]) -> None:
        # Datagram sockets are "connected" to learn this machine's own address; nothing is sent.
        internet = self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM
        if internet and address[0] not in here:
            raise RuntimeError(f"a test reached for the network: {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked)
        yield
