"""Every method that discovery finds keeps the contract."""

from __future__ import annotations

import pytest

from harness.check import check
from harness.discovery import load_method, method_names


@pytest.mark.parametrize("name", [*method_names(), "xbm(ms)", "xbm(triplet)"])
def test_method_keeps_the_contract(name: str) -> None:
    assert check(load_method(name)) == []
