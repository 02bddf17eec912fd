"""`./inv setup build` on a bare Debian 13: a privileged container from this machine's archive, with its own engine.

It takes 10 minutes or more and is in no tier: python -m pytest tests/hosts -s

The container gets this machine's settings for apt, pip and certificates. The kernel, and with it the table of
emulators, is this machine's; an emulator of another release is therefore not registered here.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from armwright.host import apt_sources, inspect
from armwright.system import http_session, process
from tests.support import ROOT

SUITES = ("trixie", "trixie-updates", "trixie-security")
PACKAGES = ("python3", "python3-venv", "ca-certificates")
COMBO = "pytorch-2.10.0-n1-openblas"
PASSED = (
    "PIP_",
    "UV_",
    "SSL_",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
)
SETTINGS = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/apt/apt.conf.d", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PATIENCE = 3600  # seconds; a busy machine needs half an hour


def run(*arguments: str, given: bytes | None = None) -> str:
    program = process.require_program(arguments[0])
    done = subprocess.run([program, *arguments[1:]], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return done.stdout.decode().strip()


def list_sources() -> list[str]:
    mirrors = apt_sources.find_mirrors(SUITES, inspect.read_os_release())
    assert mirrors, "this machine has no mirror of Debian: ARMWRIGHT_MIRROR=ADDRESS names one"
    return [
        f"deb [{' '.join([f'signed-by={KEYRING}', *mirror.age_options])}] {mirror.site} {suite} main"
        for suite, mirror in mirrors.items()
    ]


def list_local_folders() -> list[str]:
    """Return the folders that pip's settings name: find-links and indexes on this machine's disk."""
    words = " ".join(line.partition("=")[2].strip("'") for line in run("pip", "config", "list").splitlines()).split()
    paths = [word.removeprefix("file://").removesuffix("/simple") for word in words]
    return sorted({path for path in paths if path.startswith("/opt/") and Path(path).is_dir()})


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """An image of a minimal Debian 13, from this machine's mirror."""
    name = f"armwright-test-debian-13:{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="armwright-") as folder:
        root = Path(folder, "root.tar")
        run("unshare", "--mount", "mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "trixie",
            str(root), *list_sources())  # fmt: skip
        run("docker", "import", str(root), name)
    yield name
    run("docker", "image", "rm", name)


@pytest.fixture(scope="module")
def machine(image: str) -> Iterator[str]:
    """A running container with a checkout of this commit and this machine's settings."""
    name, folders = f"armwright-test-{uuid.uuid4().hex[:8]}", list_local_folders()
    volumes = [word for folder in folders for word in ("--volume", f"{folder}:{folder}:ro")]
    variables = [word for key in os.environ if key.startswith(PASSED) for word in ("--env", key)]
    run("docker", "network", "create", name)  # not the default bridge, which another dockerd may have removed
    options = ["--network", name, "--privileged", "--cgroupns", "private"]
    options += ["--tmpfs", "/run", "--volume", "/var/lib/docker"]
    run("docker", "run", "--detach", "--name", name, *options, *volumes, *variables, image, "sleep", str(PATIENCE))
    try:
        for path in SETTINGS:
            if Path(path).exists():
                run("docker", "exec", name, "mkdir", "-p", str(Path(path).parent))
                run("docker", "cp", path, f"{name}:{Path(path).parent}")
        if bundle := http_session.find_ca_bundle():
            run("docker", "cp", "--follow-link", str(bundle), f"{name}:/etc/ssl/certs/ca-certificates.crt")
        commit = subprocess.run(
            [process.require_program("git"), "archive", "--prefix=armwright/", "HEAD"], cwd=ROOT, capture_output=True,
            check=True,
        )  # fmt: skip
        run("docker", "cp", "-", f"{name}:/root", given=commit.stdout)
        yield name
    finally:
        run("docker", "rm", "--force", "--volumes", name)
        run("docker", "network", "rm", name)


def follow(machine: str, *command: str) -> tuple[int, str]:
    """Run a command in the machine, print what it prints, and return its exit code and output."""
    docker, lines = process.require_program("docker"), []
    with subprocess.Popen(
        [docker, "exec", "--workdir", "/root/armwright", machine, *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)  # noqa: T201 - it takes minutes
            lines.append(line)
        code = running.wait(PATIENCE)
    return code, "".join(lines)


def test_bare_debian_13_is_set_up_and_builds(machine: str) -> None:
    code, plan = follow(machine, "./inv", "setup", "--dry-run")
    assert code == 0
    assert "apt-get install docker.io containerd" in plan
    try:
        code, output = follow(machine, "./inv", "setup", "build", "--combo", COMBO)
        assert code == 0
        assert "setup: done" in output
        assert "checks hold" in output
        code, output = follow(machine, "./inv", "setup")
        assert (code, "nothing to do" in output) == (0, True)
        code, output = follow(machine, "./inv", "doctor", "--json")
        assert code == 0, output
    finally:
        with contextlib.suppress(AssertionError):
            log = run("docker", "exec", machine, "tail", "-n", "20", "/var/log/armwright-dockerd.log")
            print(log)  # noqa: T201 - what the engine inside said
