"""Where images go: the option, the variable, the local registry's port; and what is advised."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.publish import destination, local_registry, lookup
from armwright.publish.reference import Destination
from armwright.system.errors import InputError


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(destination.VARIABLE, raising=False)


def test_option_goes_before_variable_before_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert destination.choose_destination(tmp_path) == Destination("127.0.0.1:5000", "staging")
    monkeypatch.setenv(destination.VARIABLE, "ghcr.io/acme")
    assert str(destination.choose_destination(tmp_path)) == "ghcr.io/acme"
    assert str(destination.choose_destination(tmp_path, "quay.io/acme")) == "quay.io/acme"


def test_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(destination.VARIABLE, "https://ghcr.io/acme")
    with pytest.raises(InputError, match=r"^ARMWRIGHT_REGISTRY 'https://ghcr\.io/acme' is not") as refused:
        destination.choose_destination(tmp_path)
    assert refused.value.hint == "for example ARMWRIGHT_REGISTRY=ghcr.io/acme"
    reading = lookup.read_destination(tmp_path)
    assert (reading.answers, reading.found) == (False, refused.value.what)


def test_last_port_of_the_local_registry_is_used(tmp_path: Path) -> None:
    _write_port(tmp_path, 5001)
    to = destination.choose_destination(tmp_path)
    assert to.host == "127.0.0.1:5001"
    assert destination.is_local(tmp_path, to)
    assert destination.is_local(tmp_path, Destination("localhost:5001"))
    assert not destination.is_local(tmp_path, Destination("127.0.0.1:5000"))


def test_doctor_advises_a_start_of_the_local_registry_only(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_port(tmp_path, port)
    assert lookup.read_destination(tmp_path).fix == "invoke registry start"
    monkeypatch.setenv(destination.VARIABLE, "registry.invalid/acme")
    reading = lookup.read_destination(tmp_path)
    assert (reading.answers, reading.fix) == (False, "getent hosts registry.invalid")


def test_shared_command_follows_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert destination.share_command("a-1-n1-acl") == "./inv registry start && ./inv stage --combo a-1-n1-acl"
    monkeypatch.setenv(destination.VARIABLE, "ghcr.io/acme")
    assert destination.share_command("a-1-n1-acl") == "./inv stage --combo a-1-n1-acl"


def _write_port(root: Path, port: int) -> None:
    home = root / local_registry.HOME
    home.mkdir(parents=True)
    (home / "config.yml").write_text(local_registry._render_configuration(port, home / "data"))
