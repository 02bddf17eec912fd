"""What setup does to a machine. Actions are data, so that plans can be compared; `perform` executes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from armwright.host import apt, binfmt, inspect
from armwright.system import daemon, process
from armwright.system.errors import FailedError, MachineError
from armwright.system.files import write_whole

ENGINE_LOG = Path("/var/log/armwright-dockerd.log")
ENGINE_PID = Path("/var/run/docker.pid")
CONTAINERD_PID = Path("/var/run/docker/containerd/containerd.pid")


@dataclass(frozen=True)
class Write:
    """Replace a file; a new one gets the mode."""

    path: Path
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Configure:
    """Configure the packages that an interrupted package manager left."""


@dataclass(frozen=True)
class Install:
    """Fetch the package lists and install packages."""

    packages: tuple[str, ...]


@dataclass(frozen=True)
class Disable:
    """Stop and disable a service that a package starts."""

    service: str


@dataclass(frozen=True)
class Mount:
    """Mount binfmt_misc."""


@dataclass(frozen=True)
class Register:
    """Register the emulator, after removing stale entries."""

    stale: tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """Start or restart the engine."""

    again: bool = False


Action = Write | Configure | Install | Disable | Mount | Register | Start


def perform(action: Action) -> None:
    """Execute an action. Raises MachineError with the cause and the next command."""
    match action:
        case Write(path, text, mode):
            write_whole(path, text, mode)
        case Configure():
            apt.configure_pending()
        case Install(packages):
            apt.install_packages(packages)
        case Disable(service):
            _disable(service)
        case Mount():
            _mount()
        case Register(stale):
            binfmt.register_emulator(stale)
        case Start(again):
            _start(again=again)


def _disable(service: str) -> None:
    """Stop and disable a service, which may be stopped already."""
    systemd = Path("/run/systemd/system").is_dir()
    commands = (
        (["systemctl", "disable", "--now", service],)
        if systemd
        else (["service", service, "stop"], ["update-rc.d", service, "disable"])
    )
    for command in commands:
        if process.find_program(command[0]):
            process.capture(command, check=False)


def _mount() -> None:
    if not (binfmt.FOLDER / "register").exists():
        try:
            process.capture(["mount", "-t", "binfmt_misc", "binfmt_misc", str(binfmt.FOLDER)])
        except FailedError as failure:
            raise MachineError(
                f"the kernel refuses to mount binfmt_misc: {failure.what}",
                "modprobe binfmt_misc",
                hint="inside a container, run ./inv setup on the machine itself",
            ) from failure


def _start(*, again: bool) -> None:
    """Start or restart the engine and wait until it answers; do not start one that answers."""
    if not again and inspect.is_engine_answering():
        return
    if Path("/run/systemd/system").is_dir():
        try:
            process.capture(["systemctl", "enable", "docker"])
            process.capture(["systemctl", "restart" if again else "start", "docker"])
        except FailedError as failure:
            raise MachineError(failure.what, "journalctl -u docker", hint="then run ./inv setup again") from failure
        return
    running = daemon.find_daemon(ENGINE_PID, "dockerd")
    if running and not again:
        raise MachineError(
            f"dockerd (process {running}) runs but does not answer",
            f"kill {running}",
            hint="then run ./inv setup again",
        )
    if running:
        daemon.stop_daemon(running)
    for pid_file, name in ((ENGINE_PID, "dockerd"), (CONTAINERD_PID, "containerd")):
        if not daemon.find_daemon(pid_file, name):  # a crash left it, and the kernel may reuse its process id
            pid_file.unlink(missing_ok=True)
    daemon.start_daemon(["dockerd"], ENGINE_LOG, inspect.is_engine_answering)
