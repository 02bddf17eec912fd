"""Registers the emulator for real, in a user namespace with its own table: the machine's table is not changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from armwright.host import binfmt

ROOT = Path(__file__).resolve().parents[2]
OWN_TABLE = 'mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && exec "$0" -c "$1"'

SCRIPT = """
import json
from dataclasses import asdict, replace
from armwright.host import actions, binfmt

assert binfmt.read_entries() == (), "this is the machine's own table"
seen = []
def perform(*stale):
    actions.perform(actions.Mount())
    actions.perform(actions.Register(stale))
    seen.append(asdict(binfmt.read_emulation()))

perform()                       # an empty table
perform()                       # again: nothing changes
line = binfmt.DESCRIPTION.read_text().strip()
(binfmt.FOLDER / "register").write_text(line.replace(":qemu-aarch64:", ":other:").rpartition(":")[0] + ":P")
seen.append(asdict(binfmt.read_emulation()))
perform("other")                # the entry without F is removed, the good one stays
perform("qemu-aarch64", "gone")  # replaced; an absent entry is not an error
print(json.dumps({"seen": seen, "cpus": sorted(binfmt.list_cpus())}))
"""


def in_own_table(script: str) -> subprocess.CompletedProcess[str]:
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", OWN_TABLE, sys.executable, script]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def own_table() -> None:
    """Skip on kernels before 6.7, which have one table for all namespaces and refuse to mount it here."""
    if binfmt.read_emulation().installed is None:
        pytest.fail("binfmt.d describes no emulator: ./inv setup")
    if in_own_table("from armwright.host import binfmt; assert not binfmt.read_entries()").returncode:
        pytest.skip("this kernel has no binfmt_misc per user namespace (Linux 6.7 and later have)")


@pytest.mark.usefixtures("own_table")
def test_emulator_is_registered_once_and_stale_entries_go() -> None:
    done = in_own_table(SCRIPT)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    first, again, spoiled, fixed, replaced = (
        [(entry["name"], "F" in entry["flags"]) for entry in reading["entries"]] for reading in result["seen"]
    )
    assert first == again == fixed == replaced == [("qemu-aarch64", True)]
    assert spoiled == [("other", False), ("qemu-aarch64", True)]
    assert all(reading["running"] == reading["installed"] for reading in result["seen"])
    assert "neoverse-n1" in result["cpus"]


NOEXEC = 'mount -t tmpfs -o noexec tmpfs "$2" && TMPDIR=$2 exec "$0" -c "$1"'


def test_temporary_folder_that_forbids_programs_is_no_obstacle(tmp_path: Path) -> None:
    script = "from armwright.host import binfmt; print(binfmt.read_emulation().running, *sorted(binfmt.list_cpus()))"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", NOEXEC, sys.executable, script]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == binfmt.read_emulation().running
    assert "neoverse-n1" in done.stdout.split()
