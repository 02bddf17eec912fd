"""Which engine is used: docker's own order, compared with what docker's command line says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from armwright.engine import address
from armwright.engine.address import EngineAddress, TlsFiles
from armwright.engine.ssh_tunnel import list_ssh_arguments
from armwright.system import process
from armwright.system.errors import InputError
from tests.engines import make_certificates

DEFAULT = "unix:///var/run/docker.sock"


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A folder of docker's configuration with two contexts, written by docker; `far` is the current one."""
    for name, host in (("near", "unix:///run/near.sock"), ("far", "ssh://me@far:2222")):
        _docker(tmp_path, {}, "context", "create", name, "--docker", f"host={host}")
    _docker(tmp_path, {}, "context", "use", "far")
    return tmp_path


def _docker(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    program = process.require_program("docker")
    done = subprocess.run(
        [program, *arguments], env={"DOCKER_CONFIG": str(folder), **environment}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(
    ("environment", "host", "context", "origin"),
    [
        ({}, "ssh://me@far:2222", "far", "configuration"),
        ({"DOCKER_CONTEXT": "near"}, "unix:///run/near.sock", "near", "DOCKER_CONTEXT"),
        ({"DOCKER_CONTEXT": "default"}, DEFAULT, "default", "DOCKER_CONTEXT"),
        ({"DOCKER_CONTEXT": ""}, "ssh://me@far:2222", "far", "configuration"),
        ({"DOCKER_HOST": "tcp://arm:2375", "DOCKER_CONTEXT": "near"}, "tcp://arm:2375", "default", "DOCKER_HOST"),
        ({"DOCKER_HOST": "arm"}, "tcp://arm:2375", "default", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://[::1]:2375"}, "tcp://[::1]:2375", "default", "DOCKER_HOST"),
        ({"DOCKER_HOST": "unix://"}, DEFAULT, "default", "DOCKER_HOST"),
        ({"DOCKER_HOST": ""}, "ssh://me@far:2222", "far", "configuration"),
    ],
)
def test_engine_is_the_one_that_docker_uses(
    configuration: Path, environment: dict[str, str], host: str, context: str, origin: str
) -> None:
    found = address.find_engine_address({"DOCKER_CONFIG": str(configuration), **environment})
    assert (found.host, found.context, found.origin) == (host, context, origin)
    (inspected,) = json.loads(_docker(configuration, environment, "context", "inspect"))
    assert (inspected["Endpoints"]["docker"]["Host"], inspected["Name"]) == (host, context)


def test_engine_without_any_setting_is_the_service(tmp_path: Path) -> None:
    found = address.find_engine_address({"DOCKER_CONFIG": str(tmp_path)})
    assert found == EngineAddress()
    assert found.is_service
    assert not address.find_engine_address({"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}).is_service


def test_docker_is_pinned_to_the_engine_that_was_found(configuration: Path) -> None:
    found = address.find_engine_address({"DOCKER_CONFIG": str(configuration)})
    _docker(configuration, {}, "context", "use", "near")  # while a build runs
    assert _docker(configuration, found.client_environment, "context", "show").strip() == "far"
    assert address.find_engine_address({"DOCKER_HOST": "tcp://a:1"}).client_environment == {}


@pytest.mark.parametrize(
    ("environment", "what", "next_step"),
    [
        ({"DOCKER_CONTEXT": "gone"}, "DOCKER_CONTEXT names the docker context 'gone'", "docker context ls"),
        ({"DOCKER_HOST": "http://arm:1"}, "DOCKER_HOST is not the address", "docker context ls"),
        ({"DOCKER_HOST": "fd://"}, "DOCKER_HOST is not the address", "docker context ls"),
        ({"DOCKER_HOST": "ssh://me:hush@arm"}, "DOCKER_HOST is not the address", "docker context ls"),
        ({"DOCKER_HOST": "unix:///a b"}, "DOCKER_HOST is not the address", "docker context ls"),
    ],
)
def test_address_of_no_engine_is_refused(
    tmp_path: Path, environment: dict[str, str], what: str, next_step: str
) -> None:
    with pytest.raises(InputError, match=what) as refused:
        address.find_engine_address({"DOCKER_CONFIG": str(tmp_path), **environment})
    assert refused.value.next_step == next_step
    assert "hush" not in refused.value.what


def test_current_context_that_is_gone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "gone"}')
    with pytest.raises(InputError, match="docker's configuration names the docker context 'gone'"):
        address.find_engine_address({"DOCKER_CONFIG": str(tmp_path)})


@pytest.mark.parametrize("text", ["not json", "[]", '{"auths": {}}'])
def test_configuration_without_a_context_means_the_service(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert address.find_engine_address({"DOCKER_CONFIG": str(tmp_path)}) == EngineAddress()


def test_certificates_come_from_the_variables_or_the_context(tmp_path: Path) -> None:
    settings = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": "tcp://arm:2376"}
    assert address.find_engine_address({**settings, "DOCKER_CERT_PATH": "/c"}).tls is None  # as docker does
    found = address.find_engine_address({**settings, "DOCKER_CERT_PATH": "/c", "DOCKER_TLS_VERIFY": "1"})
    assert found.tls == TlsFiles(Path("/c"), verify=True)
    assert address.find_engine_address({**settings, "DOCKER_TLS": "1"}).tls == TlsFiles(tmp_path, verify=False)
    make_certificates(tmp_path)
    files = ",".join(f"{name}={tmp_path}/{name}.pem" for name in ("ca", "cert", "key"))
    _docker(tmp_path, {}, "context", "create", "safe", "--docker", f"host=tcp://arm:2376,{files}")
    tls = address.find_engine_address({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "safe"}).tls
    assert tls is not None
    assert tls.verify
    assert all(tls.find(name) for name in ("ca.pem", "cert.pem", "key.pem"))


@pytest.mark.parametrize(
    ("host", "arguments"),
    [
        ("ssh://arm", ["--", "arm", "docker", "system", "dial-stdio"]),
        ("ssh://me@arm:2222", ["-l", "me", "-p", "2222", "--", "arm", "docker", "system", "dial-stdio"]),
        (
            "ssh://[::1]/run/user/1000/docker.sock",
            ["--", "::1", "docker", "--host", "unix:///run/user/1000/docker.sock", "system", "dial-stdio"],
        ),
        ("ssh://arm/a;b", ["--", "arm", "docker", "--host", "'unix:///a;b'", "system", "dial-stdio"]),
    ],
)
def test_ssh_is_called_as_docker_calls_it(host: str, arguments: list[str]) -> None:
    assert list_ssh_arguments(host)[6:] == arguments
