"""The kernel's table of foreign binary formats: who runs aarch64 programs here, and from where.

The facts of the format: the kernel's Documentation/admin-guide/binfmt-misc.rst. The emulator itself is asked through
the kernel, with an empty aarch64 program and QEMU's own variables, so the answer is that of the emulator a container
would get, wherever its file is (flag F: the kernel holds it open, the file may be gone).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from armwright.system import process
from armwright.system.errors import ArmwrightError, MachineError

FOLDER = Path("/proc/sys/fs/binfmt_misc")
DESCRIPTION = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")

# The first bytes of every aarch64 Linux program: ELF, 64 bits, little-endian, executable, machine 183.
_HEADER = bytes.fromhex("7f454c460201010000000000000000000200b700")
_VERSION = re.compile(r"\bversion (\d+(?:\.\d+)+)")


@dataclass(frozen=True)
class BinfmtEntry:
    """One registered format that aarch64 programs match.

    Attributes:
        name: its file's name in binfmt_misc.
        enabled: whether the kernel uses it.
        interpreter: the emulator's path as it was when it was registered.
        flags: the kernel's letters; F means that the emulator is held open and serves containers.
    """

    name: str
    enabled: bool
    interpreter: str
    flags: str

    @property
    def serves_containers(self) -> bool:
        """Enabled and fixed: usable where the emulator's file does not exist."""
        return self.enabled and "F" in self.flags


@dataclass(frozen=True)
class Emulation:
    """What this machine has for running aarch64 programs.

    Attributes:
        mounted: binfmt_misc is there to be asked.
        entries: the registered formats that aarch64 programs match.
        running: the version of the emulator the kernel starts; None if there is none or it does not tell.
        installed: the version of the emulator the distribution describes in binfmt.d; None if there is none.
    """

    mounted: bool = False
    entries: tuple[BinfmtEntry, ...] = ()
    running: str | None = None
    installed: str | None = None

    @property
    def serves_containers(self) -> bool:
        """Every registered emulator is one that containers can use, and there is one."""
        return bool(self.entries) and all(entry.serves_containers for entry in self.entries)


def parse_entry(name: str, text: str) -> BinfmtEntry | None:
    """Read one entry of binfmt_misc.

    Args:
        name: the file's name.
        text: the file's content.

    Returns:
        the entry, or None if aarch64 programs do not match it.
    """
    lines = text.splitlines()
    fields = dict(line.split(" ", 1) for line in lines if " " in line)
    if "magic" not in fields:  # an entry by file name extension, or a file that is no entry
        return None
    magic = bytes.fromhex(fields["magic"])
    mask = bytes.fromhex(fields["mask"]) if "mask" in fields else b"\xff" * len(magic)
    offset = int(fields.get("offset", "0"))
    start = _HEADER.ljust(128, b"\0")[offset : offset + len(magic)]
    if len(start) < len(magic) or any((a ^ b) & m for a, b, m in zip(start, magic, mask, strict=True)):
        return None
    return BinfmtEntry(name, lines[0] == "enabled", fields.get("interpreter", ""), fields.get("flags:", "").strip())


def read_entries(folder: Path = FOLDER) -> tuple[BinfmtEntry, ...]:
    """Read every registered format that aarch64 programs match; nothing if binfmt_misc is not mounted."""
    if not (folder / "register").exists():
        return ()
    files = sorted(file for file in folder.iterdir() if file.name not in {"register", "status"})
    return tuple(entry for file in files if (entry := parse_entry(file.name, file.read_text())))


def read_emulation() -> Emulation:
    """Read the kernel's table and ask the emulators behind it. Raises nothing: what cannot be read is not there."""
    registered = read_entries()
    running = query_emulator("QEMU_VERSION", "1") if any(entry.enabled for entry in registered) else ""
    return Emulation(
        mounted=(FOLDER / "register").exists(),
        entries=registered,
        running=parse_version(running),
        installed=_installed(),
    )


def query_emulator(variable: str, value: str) -> str:
    """Run an empty aarch64 program and return what the emulator says before it would load it.

    Args:
        variable: an environment variable QEMU's user emulator reads as if it were an option.
        value: its value, e.g. `QEMU_CPU=help`.

    Returns:
        the emulator's standard output; empty if there is no emulator, or not one that answers.
    """
    with tempfile.TemporaryDirectory(prefix="armwright-") as folder:
        program = Path(folder, "nothing")
        program.write_bytes(_HEADER.ljust(128, b"\0"))
        program.chmod(0o755)
        try:
            return process.capture([str(program)], check=False, timeout=10, env={variable: value})
        except (ArmwrightError, OSError):
            return ""


def list_cpus() -> frozenset[str]:
    """Return the CPUs that the registered emulator knows; nothing if there is no emulator."""
    return parse_cpus(query_emulator("QEMU_CPU", "help"))


def parse_cpus(text: str) -> frozenset[str]:
    """Read QEMU's list of CPUs: one indented name on each line below a headline."""
    return frozenset(line.split()[0] for line in text.splitlines() if line.startswith(" ") and line.strip())


def parse_version(text: str) -> str | None:
    """Read the version from what QEMU prints about itself: 'qemu-aarch64 version 10.0.2 (Debian ...)' -> '10.0.2'."""
    found = _VERSION.search(text)
    return found.group(1) if found else None


def register_emulator(stale: Iterable[str]) -> None:
    """Remove stale entries and register the emulator that the distribution describes, if none is left.

    Args:
        stale: names of entries that must go first; one that is gone already is no mistake.

    Raises:
        MachineError: the kernel refuses, or the distribution describes no emulator.
    """
    try:
        (FOLDER / "status").write_text("1")
        for name in stale:
            if (FOLDER / name).exists():
                (FOLDER / name).write_text("-1")
        if not read_entries():
            (FOLDER / "register").write_text(_description() or _absent())
    except OSError as error:
        raise MachineError(
            f"the kernel did not take the emulator: {error.strerror} ({error.filename})",
            "as root on the machine itself (not in a container): ./inv setup",
        ) from error


def _description() -> str:
    """Return the distribution's line for the register, e.g. ':qemu-aarch64:M::<magic>:<mask>:<interpreter>:OPF'."""
    lines = DESCRIPTION.read_text().splitlines() if DESCRIPTION.exists() else []
    return next((line for line in lines if line.startswith(":")), "")


def _absent() -> NoReturn:
    raise MachineError(f"{DESCRIPTION} does not describe an emulator", "apt-get install --reinstall qemu-user-binfmt")


def _installed() -> str | None:
    line = _description()
    if not line:
        return None
    # Resolved: under its own name Debian's link expects to be called by the kernel and takes no options.
    interpreter = Path(line.split(":")[6]).resolve()
    return (
        parse_version(process.capture([str(interpreter), "--version"], check=False)) if interpreter.exists() else None
    )
