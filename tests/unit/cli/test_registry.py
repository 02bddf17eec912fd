"""The command `registry` before it starts anything: its action and its port."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.cli import registry
from armwright.system.errors import InputError


@pytest.mark.parametrize(("text", "port"), [("", 5000), ("1", 1), ("65535", 65535)])
def test_port_is_parsed_and_has_a_default(text: str, port: int) -> None:
    assert registry._parse_port(text) == port


@pytest.mark.parametrize(
    ("action", "port", "message"),
    [
        ("strat", "5000", "registry has no action 'strat': did you mean 'start'"),
        ("start", "70000", "'70000' is not a port"),
        ("start", "0", "'0' is not a port"),
        ("start", "x", "'x' is not a port"),
        ("start", "\u0665", "is not a port"),  # a digit, but not of ASCII
    ],
)
def test_wrong_arguments_start_nothing(tmp_path: Path, action: str, port: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        registry.run(tmp_path, action, port)
    assert refused.value.next_step.startswith("invoke registry ")
    assert not list(tmp_path.iterdir())
