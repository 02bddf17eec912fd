"""Reads the machine that a container runs on: the CPU, the number of usable CPUs, and whether it is emulated.

Every function reads below `root`, which is empty except in tests. None raises because of a missing or unusual file:
a container may hide or rearrange any of them. Every start of Python in the image may load this module, so it imports
nothing that Python has not loaded already: `re`, `typing` or `pathlib` take longer than all that is done here.

Sources. Feature names and their bits: Linux `arch/arm64/include/uapi/asm/hwcap.h`, which `/proc/cpuinfo` prints in the
order of the bits. Quotas: the kernel's `cgroup-v2` and `sched-bwc` documents. Mounts: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
from sys import byteorder

from record import NamedTuple

TYPE_CHECKING = False  # the constant of `typing`, which type checkers take for true
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Union

    Root = Union[str, os.PathLike[str]]

ROOT = ""
ARCHITECTURE = "aarch64"

# Entries of the auxiliary vector (AT_HWCAP, AT_HWCAP2), and the names of their bits from bit 0 upwards.
_HWCAPS = {
    16: "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 "
    "sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg",
    26: "dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm svebf16 i8mm "
    "bf16 dgh rng bti mte",
}

_PR_SVE_GET_VL = 51
_PR_SVE_VL_LEN_MASK = 0xFFFF


class Processor(NamedTuple):
    """The CPU as the kernel describes it.

    Attributes:
        features: the features that all processors share, named as in /proc/cpuinfo; the intersection, because the
            kernel may move a program between big and little cores.
        parts: the different "implementer:part" pairs, in the order of the processors; empty if hidden.
    """

    features: frozenset[str]
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The product name of this CPU."""
        from naming import PART_NAMES  # noqa: PLC0415  (only messages need it)

        return " + ".join(PART_NAMES.get(part, f"CPU {part}") for part in self.parts) or "unknown part"


class Cpus(NamedTuple):
    """The number of CPUs that this container may use, and the reason for it."""

    number: int
    reason: str


class Emulation(NamedTuple):
    """Whether the CPU is emulated on another architecture.

    Attributes:
        emulated: None if unknown.
        name: the emulator's name; empty if there is none.
        model: the CPU that it was set to emulate; empty if unset.
    """

    emulated: bool | None
    name: str = ""
    model: str = ""


class Machine(NamedTuple):
    """All facts about the machine."""

    architecture: str
    processor: Processor
    vector_bytes: int | None
    cpus: Cpus
    emulation: Emulation


def read_machine(environ: Mapping[str, str], root: Root = ROOT, *, vectors: bool = True) -> Machine:
    """Read all facts about the machine.

    Args:
        environ: the environment.
        root: the directory that stands for /.
        vectors: whether to ask for the length of the SVE vectors, which loads `ctypes`.
    """
    processor = read_processor(root)
    length = vector_bytes(processor.features) if vectors else None
    return Machine(architecture(), processor, length, usable_cpus(root), emulation(environ, root))


def architecture() -> str:
    """Return the kernel's name of the architecture."""
    return os.uname().machine


def read_processor(root: Root = ROOT) -> Processor:
    """Read /proc/cpuinfo; if it lists no Arm features, read them from the auxiliary vector.

    Emulators older than 2023 (QEMU 7.2, Debian 12) show the host's cpuinfo; their auxiliary vector is the guest's.
    """
    features: list[frozenset[str]] = []
    parts: list[str] = []
    implementer = ""
    for line in _text(f"{root}/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        name = key.strip()
        if name == "Features":
            features.append(frozenset(value.split()))
        elif name == "CPU implementer":
            implementer = value.strip().lower()
        elif name == "CPU part":
            parts.append(f"{implementer}:{value.strip().lower()}")
    common = frozenset.intersection(*features) if features else _auxiliary_features(root)
    return Processor(common, tuple(dict.fromkeys(parts)))


def vector_bytes(features: frozenset[str]) -> int | None:
    """Return the length of this process's SVE vectors; None without SVE or if the kernel does not report it."""
    if "sve" not in features:
        return None
    try:
        import ctypes  # noqa: PLC0415  (most CPUs never need it)

        answer = int(ctypes.CDLL(None).prctl(_PR_SVE_GET_VL, 0, 0, 0, 0))
    except (ImportError, OSError, AttributeError, MemoryError):  # a cut-down Python, a hardened kernel
        return None
    return answer & _PR_SVE_VL_LEN_MASK if answer > 0 else None


def usable_cpus(root: Root = ROOT) -> Cpus:
    """Count the CPUs this process may use: its affinity mask, or its cgroup's quota where that is tighter.

    A cpuset narrows the mask. Python enlarges its own copy of the mask until the kernel's fits (posixmodule.c), so
    that machines of more than 1024 CPUs, where C's `cpu_set_t` ends, are counted too.
    """
    present = os.cpu_count() or 1
    try:
        allowed = len(os.sched_getaffinity(0))
    except OSError:  # a sandbox may forbid the call
        allowed = present
    quota = min(_cpu_quotas(root), default=float("inf"))
    if quota < allowed:
        number = int(-(-quota // 1)) or 1
        rounded = "" if number == quota else ", rounded up"
        return Cpus(number, f"cgroup quota {_cpus(quota)}{rounded}; the machine has {present}")
    if allowed < present:
        return Cpus(allowed, f"{_cpus(allowed)} in the affinity mask; the machine has {present}")
    return Cpus(allowed, "the only CPU of the machine" if allowed == 1 else f"all {_cpus(allowed)} of the machine")


def emulation(environ: Mapping[str, str], root: Root = ROOT) -> Emulation:
    """Detect an emulated CPU: /sys always shows the host's CPU, even under an emulator."""
    host = _text(f"{root}/sys/devices/system/cpu/modalias")
    if not host.startswith("cpu:type:"):
        return Emulation(emulated=None)
    if host.startswith("cpu:type:x86") and architecture() == ARCHITECTURE:
        return Emulation(emulated=True, name="QEMU", model=environ.get("QEMU_CPU", ""))
    return Emulation(emulated=False)


def _auxiliary_features(root: Root) -> frozenset[str]:
    if architecture() != ARCHITECTURE:  # the bits have another meaning there
        return frozenset()
    try:
        with open(f"{root}/proc/self/auxv", "rb") as file:  # noqa: PTH123  (pathlib is not loaded)
            data = file.read()
    except OSError:
        return frozenset()
    words = [int.from_bytes(data[start : start + 8], byteorder) for start in range(0, len(data), 8)]
    vector = dict(zip(words[::2], words[1::2]))
    return frozenset(
        name
        for entry, names in _HWCAPS.items()
        for bit, name in enumerate(names.split())
        if vector.get(entry, 0) >> bit & 1
    )


def _cpu_quotas(root: Root) -> Iterator[float]:
    """Yield every CPU quota of this process, in CPUs, from cgroup v1 and v2."""
    own = _own_cgroups(root)
    for version, subtree, mount_point in _cpu_cgroup_mounts(root):
        for folder in _cgroup_levels(f"{root}{mount_point}", subtree, own.get(version, "/")):
            quota = _quota_v2(folder) if version == "cgroup2" else _quota_v1(folder)
            if quota is not None:
                yield quota


def _own_cgroups(root: Root) -> dict[str, str]:
    """Return this process's path in the v2 tree and in the v1 tree of the cpu controller."""
    own: dict[str, str] = {}
    for line in _text(f"{root}/proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            own["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            own["cgroup"] = path
    return own


def _cpu_cgroup_mounts(root: Root) -> Iterator[tuple[str, str, str]]:
    """Yield (version, the part of the tree that is mounted, where) of every mount that can hold CPU quotas.

    A line of mountinfo: id, parent, device, subtree, mount point, options, tags, "-", version, source, options.
    """
    for line in _text(f"{root}/proc/self/mountinfo").splitlines():
        mount, _, system = line.partition(" - ")
        place, kind = mount.split(" ")[3:5], system.split(" ")
        whole = len(place) == 2 and len(kind) == 3  # noqa: PLR2004  (subtree, mount point; version, source, options)
        if whole and (kind[0] == "cgroup2" or (kind[0] == "cgroup" and "cpu" in kind[2].split(","))):
            yield kind[0], place[0], place[1]


def _cgroup_levels(mount_point: str, subtree: str, own: str) -> Iterator[str]:
    """Yield the folders from the mount point down to the process's own.

    A container usually sees its own cgroup as the mount point, while /proc/self/cgroup may give the path on the host;
    folders outside the mounted part of the tree are not visible.
    """
    folder = mount_point
    yield folder
    parts, mounted = _parts(own), _parts(subtree)
    if parts[: len(mounted)] == mounted and ".." not in parts:
        for part in parts[len(mounted) :]:
            folder += f"/{part}"
            yield folder


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _quota_v2(folder: str) -> float | None:
    quota, _, period = _text(f"{folder}/cpu.max").strip().partition(" ")
    return _ratio(quota, period)


def _quota_v1(folder: str) -> float | None:
    return _ratio(_text(f"{folder}/cpu.cfs_quota_us"), _text(f"{folder}/cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """Divide quota by period; None for "max", for -1 and for invalid values."""
    try:
        ratio = int(quota) / int(period)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return ratio if ratio > 0 else None


def _cpus(number: float) -> str:
    return f"{number:g} CPU" if number == 1 else f"{number:g} CPUs"


def _text(path: str) -> str:
    """Read a small file; return an empty text if it is missing, unreadable or not a valid path."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  (pathlib is not loaded)
            return file.read()
    except (OSError, ValueError):
        return ""
