"""One engine, the right one: every part uses the engine that docker uses, and each dead end has its own sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from armwright.assembly import buildx
from armwright.cli import doctor
from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.engine.probe import NoEngineError
from armwright.host import inspect, needs
from armwright.host.setup import plan_setup
from armwright.plan.plan import COMPRESSION
from armwright.system import process
from armwright.system.errors import MachineError
from tests.engines import OLD_STORE, STORE, SecondEngine, make_certificates, start_engine

Start = Callable[..., SecondEngine]
Context = Callable[..., Path]
# `ssh` of the tests: it runs the command that it is given for the other machine, after a line about its arguments.
SSH = """#!/bin/sh
echo "$*" >> "$SSH_LOG"
while [ "$1" != -- ]; do shift; done
shift 2
DOCKER_HOST=$SSH_ENGINE exec "$@"
"""


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Start engines, once for each setting; they are stopped after the last test."""
    running: dict[str, SecondEngine] = {}
    with ExitStack() as stack:

        def begin(settings: dict[str, object], *options: str, listener: socket.socket | None = None) -> SecondEngine:
            key = str((settings, options))
            if key not in running:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-")))
                running[key] = stack.enter_context(start_engine(folder, settings, *options, listener=listener))
            return running[key]

        yield begin


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of docker's configuration for the test, and no variable that names an engine."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "BUILDX_BUILDER"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "docker"
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def use_context(name: str, host: str) -> None:
    docker = process.require_program("docker")
    for arguments in (["create", name, "--docker", f"host={host}"], ["use", name]):
        subprocess.run([docker, "context", *arguments], check=True, capture_output=True)


def build(engine: Engine, folder: Path, tmp_path: Path, name: str, builder: str = "") -> None:
    buildx.run_build(
        folder, tmp_path / "log", name=name, epoch=0, compression=COMPRESSION, builder=builder, address=engine.address
    )


def plan_for_this_machine() -> None:
    """Plan the setup of this machine as it is, without doing a step."""
    machine = inspect.inspect_host()
    assert plan_setup(machine, needs.load_needs(), needs.load_host_recipe(machine.id, machine.version)) == ()


def check_engine() -> dict[str, doctor.MachineCheck]:
    machine = inspect.inspect_host()
    return {check.name: check for check in doctor._check_engine(machine, needs.load_needs())}


def test_context_is_used_by_client_builder_and_load(start: Start, context: Context, tmp_path: Path) -> None:
    second = start(STORE)
    use_context("second", second.host)
    engine = Engine()
    assert (engine.address.host, engine.address.context) == (second.host, "second")
    assert engine.reading.is_here
    build(engine, context("FROM scratch\nCOPY f /f\n", f="1"), tmp_path, "second-image:1")
    assert engine.find("second-image:1") is not None
    assert "second-image:1" in second.docker("images", "--format", "{{.Repository}}:{{.Tag}}")
    build(engine, context("FROM scratch\nCOPY f /f\n", f="2"), tmp_path, "second-image:2", builder="second")
    assert engine.find("second-image:2") is not None
    assert check_engine()["engine answers"].found.endswith(f" at {second.host} (docker's current context 'second')")
    plan_for_this_machine()
    assert PLATFORM in buildx.read_platforms("second", engine.address)


def test_build_stays_in_its_engine_when_the_context_changes(start: Start, context: Context, tmp_path: Path) -> None:
    use_context("second", start(STORE).host)
    engine = Engine()
    use_context("third", f"unix://{tmp_path}/dead.sock")
    build(engine, context("FROM scratch\nCOPY f /f\n", f="3"), tmp_path, "second-image:3")
    assert engine.find("second-image:3") is not None


def test_variable_wins_over_the_context(
    start: Start, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_context("dead", f"unix://{tmp_path}/dead.sock")
    monkeypatch.setenv("DOCKER_HOST", start(STORE).host)
    engine = Engine()
    build(engine, context("FROM scratch\nCOPY f /f\n", f="4"), tmp_path, "second-image:4")
    assert engine.find("second-image:4") is not None


def test_dead_context_does_not_reach_the_service(tmp_path: Path) -> None:
    use_context("dead", f"unix://{tmp_path}/dead.sock")
    with pytest.raises(
        NoEngineError, match=r"dead\.sock \(docker's current context 'dead'\): there is no such"
    ) as refused:
        plan_for_this_machine()
    assert refused.value.next_step == "docker context use default"
    assert "kill" not in f"{refused.value.what}{refused.value.hint}"
    answers = check_engine()["engine answers"]
    assert (answers.state, answers.fix.split("  #")[0]) == ("fail", "docker context use default")


def test_old_store_elsewhere_is_not_setups_to_change(start: Start) -> None:
    second = start(OLD_STORE)
    use_context("old", second.host)
    for attempt in (Engine, plan_for_this_machine):
        with pytest.raises(
            MachineError, match=r"\(docker's current context 'old'\) does not use the containerd"
        ) as refused:
            attempt()
        assert '"containerd-snapshotter": true' in refused.value.hint
        assert refused.value.next_step == "docker context use default"
    assert check_engine()["containerd image store"].state == "fail"


def test_driver_of_the_old_store_is_refused_before_a_build(start: Start, tiny_tar: bytes) -> None:
    second = start({**STORE, "storage-driver": "overlay2"})
    with pytest.raises(AssertionError, match="snapshotter not loaded: overlay2"):  # what the engine says, too late
        second.docker("import", "-", "tiny:1", given=tiny_tar)
    use_context("mixed", second.host)
    for attempt in (Engine, plan_for_this_machine):
        with pytest.raises(MachineError, match="cannot start containers: its storage driver overlay2"):
            attempt()
    assert "overlay2" in check_engine()["containerd image store"].found


def test_engine_over_ssh_builds(
    start: Start, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_LOG", str(tmp_path / "ssh.log"))
    monkeypatch.setenv("SSH_ENGINE", start(STORE).host)
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@far:2222")
    engine = Engine()
    assert engine.address.host == "ssh://me@far:2222"
    build(engine, context("FROM scratch\nCOPY f /f\n", f="5"), tmp_path, "second-image:5")
    assert engine.find("second-image:5") is not None
    assert "-l me -p 2222 -- far docker system dial-stdio" in (tmp_path / "ssh.log").read_text()
    plan_for_this_machine()
    ssh.write_text("#!/bin/sh\necho 'me@far: Permission denied (publickey).' >&2\nexit 255\n")
    with pytest.raises(NoEngineError, match=r"ssh says: me@far: Permission denied \(publickey\)") as refused:
        Engine()
    assert refused.value.next_step == "unset DOCKER_HOST"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_engine_behind_tls_needs_its_certificates(
    start: Start, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    good, other = tmp_path / "good", tmp_path / "other"
    for folder in (good, other):
        folder.mkdir()
        make_certificates(folder)
    files = [f"--tls{name}={good}/{file}.pem" for name, file in (("cacert", "ca"), ("cert", "cert"), ("key", "key"))]
    start(STORE, "--tlsverify", *files, listener=listener)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    with pytest.raises(NoEngineError, match="it expects TLS: set DOCKER_TLS_VERIFY=1"):
        Engine()
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    with pytest.raises(MachineError, match=r"has no ca\.pem, which the Docker Engine at tcp://127"):
        Engine()
    monkeypatch.setenv("DOCKER_CERT_PATH", str(other))
    with pytest.raises(NoEngineError, match=r"its certificate is not signed by the given ca\.pem"):
        Engine()
    monkeypatch.setenv("DOCKER_CERT_PATH", str(good))
    engine = Engine()
    build(engine, context("FROM scratch\nCOPY f /f\n", f="6"), tmp_path, "second-image:6")
    assert engine.find("second-image:6") is not None


@pytest.mark.parametrize(
    "log",
    [{"log-driver": "none"}, {"log-driver": "local", "log-opts": {"max-size": "1k"}}],
    ids=["none", "short"],
)
def test_output_of_a_container_is_kept_under_any_log_driver(
    start: Start, log: dict[str, object], shell: str, tmp_path: Path
) -> None:
    saved = tmp_path / "shell.tar"
    subprocess.run([process.require_program("docker"), "save", "--output", str(saved), shell], check=True)
    second = start({**STORE, **log})
    second.docker("load", "--input", str(saved))
    use_context("quiet", second.host)
    ran = Engine().run(shell, ["sh", "-c", "for i in $(seq 2000); do echo $i; done; echo aside >&2"], {}, 60)
    assert ran.out.split() == [str(number) for number in range(1, 2001)]
    assert ran.err.endswith("aside\n")
