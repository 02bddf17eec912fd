"""The kernel's table of foreign binary formats, binfmt_misc: which emulator runs aarch64 programs on this machine.

The format is described in the kernel's Documentation/admin-guide/binfmt-misc.rst. The emulator is queried through the
kernel, with an empty aarch64 program and QEMU's environment variables, so the answer is that of the emulator which
containers get. Its file may be anywhere, or even deleted: with flag F the kernel keeps it open.
"""

from __future__ import annotations

import os
import re
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
    """A registered format that matches aarch64 programs.

    Attributes:
        name: the name of its file in binfmt_misc.
        enabled: whether the kernel uses it.
        interpreter: the emulator's path when it was registered.
        flags: the kernel's letters; F means that the kernel keeps the emulator open, so that containers can use it.
    """

    name: str
    enabled: bool
    interpreter: str
    flags: str

    @property
    def serves_containers(self) -> bool:
        """Whether it works in containers, which do not contain the emulator's file."""
        return self.enabled and "F" in self.flags


@dataclass(frozen=True)
class Emulation:
    """What this machine has for running aarch64 programs.

    Attributes:
        mounted: whether binfmt_misc is mounted.
        entries: the registered formats that match aarch64 programs.
        running: the version of the emulator that the kernel starts; None if there is none or it is unknown.
        installed: the version of the emulator that the distribution describes in binfmt.d; None if there is none.
    """

    mounted: bool = False
    entries: tuple[BinfmtEntry, ...] = ()
    running: str | None = None
    installed: str | None = None

    @property
    def serves_containers(self) -> bool:
        """Whether an emulator is registered and containers can use every registered one."""
        return bool(self.entries) and all(entry.serves_containers for entry in self.entries)


def parse_entry(name: str, text: str) -> BinfmtEntry | None:
    """Parse one entry of binfmt_misc.

    Args:
        name: the file's name.
        text: the file's content.

    Returns:
        the entry; None if it does not match aarch64 programs.
    """
    lines = text.splitlines()
    fields = dict(line.split(" ", 1) for line in lines if " " in line)
    if "magic" not in fields:  # a format by file name extension, or not an entry
        return None
    magic = bytes.fromhex(fields["magic"])
    mask = bytes.fromhex(fields["mask"]) if "mask" in fields else b"\xff" * len(magic)
    offset = int(fields.get("offset", "0"))
    start = _HEADER.ljust(128, b"\0")[offset : offset + len(magic)]
    if len(start) < len(magic) or any((a ^ b) & m for a, b, m in zip(start, magic, mask, strict=True)):
        return None
    return BinfmtEntry(name, lines[0] == "enabled", fields.get("interpreter", ""), fields.get("flags:", "").strip())


def read_entries(folder: Path = FOLDER) -> tuple[BinfmtEntry, ...]:
    """Return the registered formats that match aarch64 programs; none if binfmt_misc is not mounted."""
    if not (folder / "register").exists():
        return ()
    files = sorted(file for file in folder.iterdir() if file.name not in {"register", "status"})
    return tuple(entry for file in files if (entry := parse_entry(file.name, file.read_text())))


def read_emulation() -> Emulation:
    """Read the kernel's table and query the emulators in it. What cannot be read counts as absent."""
    registered = read_entries()
    running = query_emulator("QEMU_VERSION", "1") if any(entry.enabled for entry in registered) else ""
    return Emulation(
        mounted=(FOLDER / "register").exists(),
        entries=registered,
        running=parse_version(running),
        installed=_read_installed(),
    )


def query_emulator(variable: str, value: str) -> str:
    """Start an empty aarch64 program and return what the emulator prints before it would load the program.

    Args:
        variable: an environment variable that QEMU's user emulator reads like an option.
        value: its value, e.g. `help` for `QEMU_CPU`.

    Returns:
        the emulator's standard output; empty if there is no emulator or it prints nothing.
    """
    if not hasattr(os, "memfd_create"):  # no Linux, so no table of foreign programs
        return ""
    program = os.memfd_create("nothing", os.MFD_CLOEXEC)  # in memory: the folder of TMPDIR may forbid programs
    try:
        os.write(program, _HEADER.ljust(128, b"\0"))
        name = f"/proc/self/fd/{program}"
        return process.capture([name], check=False, timeout=10, env={variable: value}, pass_fds=[program])
    except (ArmwrightError, OSError):
        return ""
    finally:
        os.close(program)


def list_cpus() -> frozenset[str]:
    """Return the CPUs that the registered emulator knows; none if there is no emulator."""
    return parse_cpus(query_emulator("QEMU_CPU", "help"))


def parse_cpus(text: str) -> frozenset[str]:
    """Parse QEMU's list of CPUs: one indented name per line below a heading."""
    return frozenset(line.split()[0] for line in text.splitlines() if line.startswith(" ") and line.strip())


def parse_version(text: str) -> str | None:
    """Parse QEMU's version: 'qemu-aarch64 version 10.0.2 (Debian ...)' -> '10.0.2'; None if the text has none."""
    match = _VERSION.search(text)
    return match.group(1) if match else None


def register_emulator(stale: Iterable[str]) -> None:
    """Remove stale entries; if none is left, register the emulator that the distribution describes.

    Args:
        stale: names of the entries to remove; they may be gone already.

    Raises:
        MachineError: the kernel refuses, or the distribution describes no emulator.
    """
    try:
        (FOLDER / "status").write_text("1")
        for name in stale:
            if (FOLDER / name).exists():
                (FOLDER / name).write_text("-1")
        if not read_entries():
            (FOLDER / "register").write_text(_read_description() or _raise_absent())
    except OSError as error:
        raise MachineError(
            f"the kernel did not register the emulator: {error.strerror} ({error.filename})",
            "sudo ./inv setup",
            hint="run it on the machine itself, not in a container",
        ) from error


def _read_description() -> str:
    """Return the distribution's line for `register`, e.g. ':qemu-aarch64:M::<magic>:<mask>:<interpreter>:OPF'."""
    lines = DESCRIPTION.read_text().splitlines() if DESCRIPTION.exists() else []
    return next((line for line in lines if line.startswith(":")), "")


def _raise_absent() -> NoReturn:
    raise MachineError(f"{DESCRIPTION} does not describe an emulator", "apt-get install --reinstall qemu-user-binfmt")


def _read_installed() -> str | None:
    line = _read_description()
    if not line:
        return None
    # Resolved, because Debian's link expects to be started by the kernel and takes no options under its own name.
    interpreter = Path(line.split(":")[6]).resolve()
    if not interpreter.exists():
        return None
    return parse_version(process.capture([str(interpreter), "--version"], check=False))
