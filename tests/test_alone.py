"""Tests stand alone: none needs the network."""

from __future__ import annotations

import socket

import pytest


def test_no_test_reaches_another_machine() -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match="reached for the network"):
        outside.connect(("192.0.2.1", 80))


def test_this_machine_may_be_talked_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address, timeout=5) as connection:
            assert connection.getpeername() == address
