"""Registering the emulator for real, in a user namespace with a table of its own: the machine's is not touched."""

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
from armwright.machine import actions, binfmt

assert binfmt.entries() == (), "this is the machine's own table"
seen = []
def perform(*stale):
    actions.perform(actions.Mount())
    actions.perform(actions.Register(stale))
    seen.append(asdict(binfmt.look()))

perform()                       # an empty table
perform()                       # again: nothing more
line = binfmt.DESCRIPTION.read_text().strip()
(binfmt.FOLDER / "register").write_text(line.replace(":qemu-aarch64:", ":other:").rpartition(":")[0] + ":P")
seen.append(asdict(binfmt.look()))
perform("other")                # the one without F goes, the good one stays
perform("qemu-aarch64", "gone")  # replaced; what is gone already is no mistake
print(json.dumps({"seen": seen, "cpus": sorted(binfmt.cpus())}))
"""


def in_own_table(script: str) -> subprocess.CompletedProcess[str]:
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", OWN_TABLE, sys.executable, script]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def own_table() -> None:
    """Kernels before 6.7 have one table for everybody and refuse to mount it here, so nothing can be harmed."""
    if binfmt.read_emulation().installed is None:
        pytest.fail("no emulator is described in binfmt.d: ./inv setup")
    if in_own_table("from armwright.host import binfmt; assert not binfmt.entries()").returncode:
        pytest.skip("this kernel has no binfmt_misc of its own for a user namespace (Linux 6.7 has)")


@pytest.mark.usefixtures("own_table")
def test_the_emulator_is_registered_once_and_a_stale_entry_goes() -> None:
    done = in_own_table(SCRIPT)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    first, again, spoiled, mended, replaced = (
        [(entry["name"], "F" in entry["flags"]) for entry in reading["entries"]] for reading in result["seen"]
    )
    assert first == again == mended == replaced == [("qemu-aarch64", True)]
    assert spoiled == [("other", False), ("qemu-aarch64", True)]
    assert all(reading["running"] == reading["installed"] for reading in result["seen"])
    assert "neoverse-n1" in result["cpus"]
