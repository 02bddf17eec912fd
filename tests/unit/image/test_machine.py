"""The readings of the machine, on made-up file trees with the real strings of real and emulated CPUs."""

from __future__ import annotations

import math
import os
import platform
import struct
import tempfile
from pathlib import Path

import machine
import naming
import pytest
from hypothesis import given
from hypothesis import strategies as st

# CPUs as QEMU 10.0.2 shows them (ThunderX2 and Docker Desktop: hrw/arm-socs-table#22, docker/for-mac#6512).
PARTS = {
    "cortex-a72": "0x41:0xd08",
    "neoverse-n1": "0x41:0xd0c",
    "neoverse-v1": "0x41:0xd40",
    "neoverse-n2": "0x41:0xd49",
    "a64fx": "0x46:0x001",
    "thunderx2": "0x43:0x0af",
    "docker-desktop": "0x00:0x000",
}
FEATURES = {
    "cortex-a72": "fp asimd aes pmull sha1 sha2 crc32 cpuid",
    "neoverse-n1": "fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    "neoverse-v1": "fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 "
    "sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm paca pacg dcpodp svei8mm svebf16 i8mm bf16 rng",
    "neoverse-n2": "fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 "
    "sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp sve2 sveaes svepmull svebitperm "
    "svesha3 svesm4 flagm2 frint svei8mm svebf16 i8mm bf16 rng bti mte",
    "a64fx": "fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm fcma dcpop sve",
    "thunderx2": "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics cpuid asimdrdm",
    "docker-desktop": "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc "
    "dcpop sha3 asimddp sha512 asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp flagm2 frint",
}
V1_MOUNT = "130 129 0:29 {subtree} /sys/fs/cgroup/{folder} ro,nosuid,relatime - cgroup cgroup rw,{controllers}"
V2_MOUNT = (
    "41 31 0:38 {subtree} /sys/fs/cgroup{folder} ro,nosuid,relatime shared:9 master:3 - cgroup2 cgroup rw,nsdelegate"
)
X86_MODALIAS = "cpu:type:x86,ven0002fam001Amod0002:feature:,0000,0001,0002"
ARM_MODALIAS = "cpu:type:aarch64:feature:,0000,0001,0002"


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def cpuinfo(*names: str) -> str:
    """Spell out /proc/cpuinfo for a machine with these processors."""
    blocks = []
    for number, name in enumerate(names):
        implementer, part = PARTS[name].split(":")
        blocks.append(
            f"processor\t: {number}\nBogoMIPS\t: 100.00\nFeatures\t: {FEATURES[name]}\n"
            f"CPU implementer\t: {implementer}\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {part}\n"
        )
    return "\n".join(blocks)


@pytest.fixture
def eight_of_sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.fixture
def on_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "architecture", lambda: "aarch64")


@pytest.mark.parametrize(
    ("cpu", "name", "has", "lacks"),
    [
        ("cortex-a72", "Arm Cortex-A72", {"asimd", "crc32"}, {"atomics", "asimddp", "sve"}),
        ("neoverse-n1", "Arm Neoverse N1", {"atomics", "asimddp", "fphp"}, {"bf16", "i8mm", "sve"}),
        ("neoverse-v1", "Arm Neoverse V1", {"bf16", "i8mm", "sve"}, {"sve2"}),
        ("neoverse-n2", "Arm Neoverse N2", {"bf16", "sve2"}, {"ssbs"}),
        ("a64fx", "Fujitsu A64FX", {"sve", "fcma"}, {"asimddp", "bf16"}),
        ("thunderx2", "Cavium ThunderX2", {"atomics"}, {"fphp", "asimddp"}),
        ("docker-desktop", "Arm CPU hidden by its hypervisor", {"asimddp"}, {"sve"}),
    ],
)
def test_a_cpu_is_named_and_its_features_listed(
    tmp_path: Path, cpu: str, name: str, has: set[str], lacks: set[str]
) -> None:
    processor = machine.read_processor(plant(tmp_path, {"proc/cpuinfo": cpuinfo(cpu, cpu)}))
    assert processor.name == name
    assert processor.parts == (PARTS[cpu],)
    assert has <= processor.features
    assert not lacks & processor.features


def test_only_what_every_processor_has_counts(tmp_path: Path) -> None:
    root = plant(tmp_path, {"proc/cpuinfo": cpuinfo("cortex-a72", "neoverse-n1", "cortex-a72")})
    processor = machine.read_processor(root)
    assert processor.features == set(FEATURES["cortex-a72"].split())
    assert processor.parts == ("0x41:0xd08", "0x41:0xd0c")
    assert processor.name == "Arm Cortex-A72 + Arm Neoverse N1"


def test_a_part_without_a_name_keeps_its_numbers(tmp_path: Path) -> None:
    text = cpuinfo("neoverse-n1").replace("0xd0c", "0xABC")
    assert machine.read_processor(plant(tmp_path, {"proc/cpuinfo": text})).name == "CPU 0x41:0xabc"


def test_no_cpuinfo_is_an_unknown_cpu_without_features(tmp_path: Path) -> None:
    assert machine.read_processor(tmp_path) == (frozenset(), ())
    assert machine.read_processor(tmp_path).name == "unknown part"


@pytest.mark.usefixtures("on_arm")
def test_the_auxiliary_vector_is_read_if_cpuinfo_is_the_hosts(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu sse avx2\n"})
    (tmp_path / "proc/self").mkdir()
    # The two words of a Neoverse V1 under QEMU 10.0.2.
    vector = struct.pack("=8Q", 6, 4096, 16, 0xCFFFFFFB, 26, 0x17201, 0, 0)
    (tmp_path / "proc/self/auxv").write_bytes(vector)
    assert machine.read_processor(tmp_path).features == set(FEATURES["neoverse-v1"].split())


@pytest.mark.usefixtures("on_arm")
def test_a_damaged_auxiliary_vector_has_no_features(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/auxv").write_bytes(b"seventeen bytes!!")
    assert machine.read_processor(tmp_path).features == frozenset()


def test_another_architectures_auxiliary_vector_is_not_read() -> None:
    if platform.machine() == "aarch64":
        pytest.skip("this machine is an Arm")
    assert machine.read_processor().features == frozenset()


def test_without_sve_there_is_no_vector_length() -> None:
    assert machine.vector_bytes(frozenset({"asimd"})) is None


def test_asking_for_the_vector_length_never_raises() -> None:
    answer = machine.vector_bytes(frozenset({"sve"}))
    assert answer is None or 16 <= answer <= 256


@pytest.mark.usefixtures("on_arm")
@pytest.mark.parametrize(
    ("modalias", "environ", "expected"),
    [
        (X86_MODALIAS, {"QEMU_CPU": "neoverse-n1"}, (True, "QEMU", "neoverse-n1")),
        (X86_MODALIAS, {}, (True, "QEMU", "")),
        (ARM_MODALIAS, {}, (False, "", "")),
        ("", {}, (None, "", "")),
        ("nonsense", {}, (None, "", "")),
    ],
)
def test_an_emulated_cpu_is_detected_by_the_hosts_sysfs(
    tmp_path: Path, modalias: str, environ: dict[str, str], expected: tuple[object, ...]
) -> None:
    plant(tmp_path, {"sys/devices/system/cpu/modalias": modalias})
    assert machine.emulation(environ, tmp_path) == expected


def test_an_x86_machine_is_not_emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "architecture", lambda: "x86_64")
    plant(tmp_path, {"sys/devices/system/cpu/modalias": X86_MODALIAS})
    assert machine.emulation({}, tmp_path).emulated is False


@pytest.mark.usefixtures("eight_of_sixteen")
class TestCpus:
    def v2(self, root: Path, cgroup: str, limits: dict[str, str], subtree: str = "/") -> machine.Cpus:
        """Count the CPUs on a cgroup v2 host; each limit is a folder and its cpu.max."""
        files = {
            "proc/self/cgroup": f"0::{cgroup}\n",
            "proc/self/mountinfo": "\n".join(
                [
                    "22 1 8:1 / / rw,relatime - ext4 /dev/vda1 rw",
                    V2_MOUNT.format(subtree=subtree, folder=""),
                ]
            ),
        }
        for folder, limit in limits.items():
            files[f"sys/fs/cgroup/{folder}/cpu.max"] = limit
        return machine.usable_cpus(plant(root, files))

    def v1(
        self, root: Path, cgroup: str, subtree: str, limits: dict[str, tuple[str, str]], controllers: str = "cpu"
    ) -> machine.Cpus:
        """Count the CPUs on a hybrid host (v1 controllers, v2 unified without any), as Docker shows it."""
        files = {
            "proc/self/cgroup": f"2:cpuset:/other\n1:{controllers}:{cgroup}\n0::{cgroup}\n",
            "proc/self/mountinfo": "\n".join(
                [
                    V1_MOUNT.format(subtree="/other", folder="cpuset", controllers="cpuset"),
                    V1_MOUNT.format(subtree=subtree, folder=controllers, controllers=controllers),
                    V2_MOUNT.format(subtree=subtree, folder="/unified"),
                ]
            ),
            "sys/fs/cgroup/cpuset/cpu.cfs_quota_us": "1000\n",
            "sys/fs/cgroup/cpuset/cpu.cfs_period_us": "100000\n",
        }
        for folder, (quota, period) in limits.items():
            files[f"sys/fs/cgroup/{controllers}/{folder}/cpu.cfs_quota_us"] = f"{quota}\n"
            files[f"sys/fs/cgroup/{controllers}/{folder}/cpu.cfs_period_us"] = f"{period}\n"
        return machine.usable_cpus(plant(root, files))

    def test_without_a_quota_the_affinity_mask_decides(self, tmp_path: Path) -> None:
        assert machine.usable_cpus(tmp_path) == (8, "8 CPUs in the affinity mask; the machine has 16")

    def test_without_any_limit_all_cpus_count(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        assert machine.usable_cpus(tmp_path) == (8, "all 8 CPUs of the machine")

    def test_one_cpu_is_written_in_the_singular(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "cpu_count", lambda: 1)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
        assert machine.usable_cpus(tmp_path) == (1, "the only CPU of the machine")

    def test_the_quota_of_the_containers_own_root_is_rounded_up(self, tmp_path: Path) -> None:
        cpus = self.v2(tmp_path, "/", {".": "250000 100000\n"})
        assert cpus == (3, "cgroup quota 2.5 CPUs, rounded up; the machine has 16")

    def test_a_whole_quota_is_not_rounded(self, tmp_path: Path) -> None:
        assert self.v2(tmp_path, "/", {".": "400000 100000\n"}).reason == "cgroup quota 4 CPUs; the machine has 16"

    def test_the_tightest_limit_on_the_way_up_wins(self, tmp_path: Path) -> None:
        limits = {".": "max 100000", "a.slice": "200000 100000", "a.slice/b.scope": "600000 100000"}
        assert self.v2(tmp_path, "/a.slice/b.scope", limits).number == 2

    def test_the_path_on_the_host_leads_to_the_mounted_part(self, tmp_path: Path) -> None:
        assert self.v2(tmp_path, "/docker/abc", {".": "150000 100000"}, subtree="/docker/abc").number == 2

    def test_a_cgroup_outside_the_namespace_is_not_followed(self, tmp_path: Path) -> None:
        plant(tmp_path, {"sys/fs/other/cpu.max": "100000 100000"})
        assert self.v2(tmp_path, "/../other", {".": "max 100000"}).number == 8

    def test_a_quota_above_the_mask_does_not_matter(self, tmp_path: Path) -> None:
        assert self.v2(tmp_path, "/", {".": "1200000 100000"}).reason.startswith("8 CPUs in the affinity mask")

    def test_less_than_one_cpu_is_one(self, tmp_path: Path) -> None:
        assert self.v2(tmp_path, "/", {".": "10000 100000"}).number == 1

    @pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
    def test_version_1_under_docker_on_a_hybrid_host(self, tmp_path: Path, controllers: str) -> None:
        cpus = self.v1(tmp_path, "/docker/abc", "/docker/abc", {".": ("150000", "100000")}, controllers)
        assert cpus == (2, "cgroup quota 1.5 CPUs, rounded up; the machine has 16")

    def test_version_1_walks_up_too(self, tmp_path: Path) -> None:
        limits = {".": ("-1", "100000"), "pod": ("300000", "100000"), "pod/c": ("-1", "100000")}
        assert self.v1(tmp_path, "/pod/c", "/", limits).number == 3

    @pytest.mark.parametrize(
        "limit", ["max", "max 100000", "-1 100000", "0 100000", "5 0", "x y", "", "1e5 1e5", "1 2 3"]
    )
    def test_an_invalid_quota_limits_nothing(self, tmp_path: Path, limit: str) -> None:
        assert self.v2(tmp_path, "/", {".": limit}).number == 8


GARBAGE = st.one_of(st.binary(max_size=200), st.from_regex(rb"-?[0-9]{0,40}( -?[0-9]{0,400})?\n?", fullmatch=True))
PATHS = st.one_of(st.just("/"), st.text(max_size=30))


@given(maximum=GARBAGE, quota=GARBAGE, period=GARBAGE, cgroup=st.one_of(GARBAGE, PATHS.map("0::{}".format)), path=PATHS)
def test_garbage_in_cgroup_files_leaves_at_least_one_cpu(
    maximum: bytes, quota: bytes, period: bytes, cgroup: bytes | str, path: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        mounts = [
            V2_MOUNT.format(subtree=path, folder=""),
            V1_MOUNT.format(subtree=path, folder="cpu", controllers="cpu"),
        ]
        plant(root, {"proc/self/mountinfo": "\n".join(mounts), "sys/fs/cgroup/cpu/x": ""})
        encoded = cgroup if isinstance(cgroup, bytes) else cgroup.encode()
        (root / "proc/self/cgroup").write_bytes(encoded)
        (root / "sys/fs/cgroup/cpu.max").write_bytes(maximum)
        (root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").write_bytes(quota)
        (root / "sys/fs/cgroup/cpu/cpu.cfs_period_us").write_bytes(period)
        cpus = machine.usable_cpus(root)
    assert 1 <= cpus.number <= len(os.sched_getaffinity(0))
    assert cpus.reason


@given(quota=st.integers(1, 10**9), period=st.integers(1000, 10**6))
def test_a_quota_is_never_rounded_down(quota: int, period: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = plant(
            Path(folder),
            {
                "proc/self/mountinfo": V2_MOUNT.format(subtree="/", folder=""),
                "sys/fs/cgroup/cpu.max": f"{quota} {period}\n",
            },
        )
        allowed = len(os.sched_getaffinity(0))
        assert machine.usable_cpus(root).number == min(allowed, max(1, math.ceil(quota / period)))


@given(mountinfo=GARBAGE, cpuinfo_bytes=GARBAGE)
def test_garbage_anywhere_is_read_without_raising(mountinfo: bytes, cpuinfo_bytes: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = plant(Path(folder), {"proc/self/cgroup": "0::/\n"})
        (root / "proc/self/mountinfo").write_bytes(mountinfo)
        (root / "proc/cpuinfo").write_bytes(cpuinfo_bytes)
        reading = machine.read_machine({}, root)
    assert reading.cpus.number >= 1
    assert reading.processor.name


def test_a_feature_is_described_if_a_description_exists() -> None:
    assert naming.describe_feature("asimddp") == "asimddp (dot product)"
    assert naming.describe_feature("newfangled") == "newfangled"
