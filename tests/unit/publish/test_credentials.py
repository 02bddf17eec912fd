"""The credentials of `docker login`: each place where they can be, and that they are shown nowhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from armwright.publish import credentials
from armwright.publish.credentials import Login, login_command, read_login
from armwright.system.errors import MachineError

HOST = "registry.example:5000"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
Write = Callable[[object], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def write_config(document: object) -> Path:
        (tmp_path / "config.json").write_text(json.dumps(document))
        return tmp_path / "config.json"

    return write_config


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("host", "auths"),
    [
        (HOST, {HOST: {"auth": encode("ada:s3cret:word")}}),
        (HOST, {f"https://{HOST}/v1/": {"auth": encode("ada:s3cret:word")}}),
        (HOST, {HOST: {"username": "ada", "password": "s3cret:word"}}),
        ("docker.io", {"https://index.docker.io/v1/": {"auth": encode("ada:s3cret:word")}}),
    ],
)
def test_login_in_the_file_is_read(write: Write, host: str, auths: object) -> None:
    path = write({"auths": auths})
    login = read_login(host)
    assert login == Login("ada", "s3cret:word", source=str(path))
    assert login.for_engine() == {"username": "ada", "password": "s3cret:word"}
    assert "s3cret" not in repr(login)


def test_identity_token_replaces_the_password(write: Write) -> None:
    write({"auths": {HOST: {"auth": encode("ada:"), "identitytoken": "t0ken"}}})
    login = read_login(HOST)
    assert login is not None
    assert login.for_engine() == {"username": "", "identitytoken": "t0ken"}
    assert "t0ken" not in repr(login)


@pytest.mark.parametrize(
    "document", [{}, {"auths": {"other:5000": {"auth": "x"}}}, {"auths": {HOST: {}}}, {"auths": []}]
)
def test_no_login_is_none(write: Write, document: object) -> None:
    write(document)
    assert read_login(HOST) is None


def test_absent_file_is_no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "absent"))
    assert read_login(HOST) is None


@pytest.mark.parametrize("text", ['{"auths": {"x": {"auth": "czNjcmV0"', "[]", "\udcff"])
def test_damaged_file_is_named_and_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(MachineError, match=r"config\.json is not") as refused:
        read_login(HOST)
    assert "czNjcmV0" not in refused.value.what
    assert refused.value.__cause__ is None


def test_helper_of_the_registry_goes_before_the_common_one(write: Write) -> None:
    write({"credsStore": "all", "credHelpers": {HOST: "special"}, "auths": {HOST: {"auth": encode("a:b")}}})
    with pytest.raises(MachineError, match=r"credHelpers in .* names the helper 'special', but the program"):
        read_login(HOST)
    with pytest.raises(MachineError, match=r"credsStore in .* names the helper 'all'") as refused:
        read_login("other.example")
    assert refused.value.next_step == f"grep -n credsStore {credentials.config_path()}"
    assert "docker login other.example" in refused.value.hint


def test_helper_is_no_path(write: Write, tmp_path: Path) -> None:
    (tmp_path / "docker-credential-x").write_text("#!/bin/sh\n")
    write({"credsStore": f"../..{tmp_path}/x"})
    with pytest.raises(MachineError, match="is not installed"):
        read_login(HOST)


@pytest.mark.parametrize(
    ("host", "command"),
    [
        ("ghcr.io", "docker login ghcr.io"),
        ("docker.io", "docker login"),
        (ECR, f"aws ecr get-login-password --region eu-west-1 | docker login --username AWS --password-stdin {ECR}"),
    ],
)
def test_login_command_fits_the_registry(host: str, command: str) -> None:
    assert login_command(host) == command
