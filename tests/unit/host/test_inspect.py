"""Reading a machine: recorded output of os-release, apt, binfmt_misc, QEMU and the engine."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from armwright.host import apt, binfmt, inspect, needs
from armwright.host.inspect import Host
from armwright.system.errors import FailedError, InputError

ENTRY = """enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""
BIG_ENDIAN = ENTRY.replace("7f454c4602010100", "7f454c4602020100").replace("0200b700", "000200b7")
PYTHON = "enabled\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n"
JAR = "enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n"

LISTING = """'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_debian_dists_bookworm_InRelease 0
'http://mirror.example/debian/dists/bookworm-updates/InRelease' mirror.example_x 0
'http://security.example/debian-security/dists/bookworm-security/InRelease' security.example_y 0
'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' mirror.example_z 0
"""


def test_aarch64_entry_is_recognized_by_its_magic() -> None:
    entry = binfmt.parse_entry("any-name", ENTRY)
    assert entry == binfmt.BinfmtEntry("any-name", enabled=True, interpreter=ENTRY.split()[2], flags="POF")
    assert entry.serves_containers


@pytest.mark.parametrize("text", [BIG_ENDIAN, PYTHON, JAR, "enabled\n", ""])
def test_entries_for_other_programs_are_ignored(text: str) -> None:
    assert binfmt.parse_entry("x", text) is None


@pytest.mark.parametrize("text", [ENTRY.replace("POF", "PO"), ENTRY.replace("enabled", "disabled")])
def test_entry_without_flag_f_or_disabled_serves_no_containers(text: str) -> None:
    entry = binfmt.parse_entry("x", text)
    assert entry is not None
    assert not entry.serves_containers
    assert not binfmt.Emulation(entries=(entry,)).serves_containers


def test_entries_are_read_from_the_kernels_folder(tmp_path: Path) -> None:
    assert binfmt.read_entries(tmp_path) == ()  # not mounted
    for name, text in {"register": "", "status": "enabled\n", "qemu-aarch64": ENTRY, "python3.11": PYTHON}.items():
        (tmp_path / name).write_text(text)
    assert [entry.name for entry in binfmt.read_entries(tmp_path)] == ["qemu-aarch64"]


def test_qemus_version_and_cpus_are_parsed() -> None:
    assert binfmt.parse_version("qemu-aarch64 version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright") == "10.0.2"
    assert binfmt.parse_version("") is None
    assert binfmt.parse_cpus("Available CPUs:\n  a64fx\n  neoverse-n1\n") == {"a64fx", "neoverse-n1"}
    assert binfmt.parse_cpus("") == frozenset()


def test_mirror_is_that_of_the_release() -> None:
    assert apt.find_mirror("bookworm", LISTING) == "http://mirror.example/debian"
    assert apt.find_mirror("trixie", LISTING) is None
    assert (
        apt.find_mirror("bookworm", "'mirror+file:/etc/apt/list/dists/bookworm/InRelease' x 0")
        == "mirror+file:/etc/apt/list"
    )


def test_machine_without_os_release_has_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inspect.read_os_release()["ID"]

    def absent() -> dict[str, str]:
        raise OSError("Unable to read files /etc/os-release, /usr/lib/os-release")

    monkeypatch.setattr(platform, "freedesktop_os_release", absent)
    assert inspect.read_os_release() == {}


def test_available_memory_is_the_kernels_estimate_in_bytes(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       24689744 kB\nMemFree:         1234 kB\nMemAvailable:   22000000 kB\n")
    assert inspect.read_available_memory(meminfo) == 22_000_000 * 1024
    meminfo.write_text("MemTotal:       24689744 kB\n")
    assert inspect.read_available_memory(meminfo) is None
    assert inspect.read_available_memory(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("version", "minimum", "expected"),
    [
        ("26.1.5+dfsg1", "23.0", True),
        ("23.0", "23.0", True),
        ("20.10.24", "23.0", False),
        ("9.2", "10.0", False),  # by number, not by letter
        ("0.13.1", "0.13", True),
        ("0.9.1", "0.13", False),
        ("", "23.0", True),  # present, version unknown
        (None, None, False),
    ],
)
def test_versions_are_compared_by_number(version: str | None, minimum: str | None, *, expected: bool) -> None:
    assert inspect.is_recent(version, minimum) is expected


def test_arm_host_needs_no_emulator() -> None:
    facts = needs.load_needs().needs
    assert "emulator" in Host(machine="x86_64").missing(facts)
    assert "emulator" not in Host(machine="aarch64").missing(facts)


@pytest.mark.parametrize("file", sorted(needs.RECIPES.glob("*-*.yaml")), ids=lambda file: file.stem)
def test_every_recipe_is_consistent(file: Path) -> None:
    name, _, version = file.stem.partition("-")
    recipe = needs.load_host_recipe(name, version)
    assert recipe is not None
    assert (recipe.id, recipe.version) == (name, version)
    assert {package.need for package in recipe.packages} == set(needs.load_needs().needs), "no package meets a need"
    used = {package.suite for package in recipe.packages} - {None}
    assert used == {suite.name for suite in recipe.suites}, "a suite is not added, or not used"


def test_only_releases_with_a_recipe_are_known() -> None:
    assert needs.load_host_recipe("debian", "11") is None
    assert needs.load_host_recipe("../hosts/debian", "12") is None


def test_every_mistake_in_a_recipe_is_reported(tmp_path: Path) -> None:
    good = (needs.RECIPES / "debian-13.yaml").read_text()
    bad = (
        good.replace('version: "13"', "version: 13")
        .replace("need: buildx", "need: builds")
        .replace("docker.io", "docker;io")
    )
    (tmp_path / "debian-13.yaml").write_text(bad)
    with pytest.raises(InputError) as caught:
        needs.load_host_recipe("debian", "13", tmp_path)
    assert all(
        place in caught.value.what
        for place in ("13.yaml:3:10: 'version'", "13.yaml:12:12: 'name'", "13.yaml:16:33: 'need'")
    )


def test_recipe_that_is_not_yaml_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "needs.yaml").write_text("needs: [\n")
    with pytest.raises(InputError, match=r"needs.yaml:2:1: not YAML"):
        needs.load_needs(tmp_path)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 12 (apt)",
            "another package manager is running",
        ),
        (
            "W: Failed to fetch http://m/dists/x/InRelease  Temporary failure resolving 'm'",
            "the package mirror cannot be reached",
        ),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "the disk is full"),
        ("E: Package 'docker-buildx' has no installation candidate", "the package mirror does not have a package"),
        ("The following packages have unmet dependencies:", "the packages conflict with installed ones"),
    ],
)
def test_apts_output_is_turned_into_a_cause(output: str, why: str) -> None:
    error = apt.explain_failure(output, FailedError("'apt-get install' exited with 100"), "./inv setup")
    assert error is not None
    assert error.what == f"{why}; 'apt-get install' exited with 100"
    assert error.hint.endswith("then run ./inv setup again")


def test_unknown_output_of_apt_has_no_cause() -> None:
    assert apt.explain_failure("something new", FailedError("it failed")) is None
