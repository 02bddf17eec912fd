"""The command `registry` before it starts anything: its action, its port, and where images go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armwright.cli import registry
from armwright.system.errors import InputError


@pytest.mark.parametrize(
    ("action", "port", "message"),
    [
        ("strat", "5000", "registry has no action 'strat': did you mean 'start'"),
        ("start", "70000", "'70000' is not a port"),
        ("start", "0", "'0' is not a port"),
        ("start", "x", "'x' is not a port"),
        ("start", "\u0665", "is not a port"),  # a digit, but not of ASCII
        ("start", "9" * 5000, "is not a port"),
    ],
)
def test_wrong_arguments_start_nothing(tmp_path: Path, action: str, port: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        registry.run(tmp_path, action, port)
    assert refused.value.next_step.startswith("invoke registry ")
    assert not list(tmp_path.iterdir())


def test_gc_of_a_remote_registry_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARMWRIGHT_REGISTRY", "ghcr.io/acme")
    with pytest.raises(InputError, match=r"images go to ghcr\.io/acme .*only the registry itself") as refused:
        registry.run(tmp_path, "gc")
    assert refused.value.next_step == "env -u ARMWRIGHT_REGISTRY invoke registry gc"
    assert not list(tmp_path.iterdir())


def test_superseded_belongs_to_gc(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--superseded belongs to gc, not to show"):
        registry.run(tmp_path, "show", superseded=True)


def test_show_says_where_images_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARMWRIGHT_REGISTRY", "ghcr.io/acme")
    registry.run(tmp_path, "show")
    assert "images go to ghcr.io/acme (ARMWRIGHT_REGISTRY)" in capsys.readouterr().out
    registry.run(tmp_path, "show", as_json=True)
    assert json.loads(capsys.readouterr().out)["destination"] == "ghcr.io/acme"
