"""The disks that a build fills, measured where they are: a second disk is a file system in memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from armwright.engine.address import EngineAddress
from armwright.engine.probe import EngineReading
from armwright.host import disks
from armwright.system import process
from tests.support import ROOT

READ_ONLY = 'mount --bind "$2" "$2" && mount -o remount,bind,ro "$2" && exec "$0" -c "$1" "$2"'
REQUIRE = """
import sys
from pathlib import Path
from armwright.host import disks
from armwright.system.errors import MachineError
try:
    disks.require_writable(Path(sys.argv[1]))
except MachineError as error:
    print(error.what, error.next_step, sep="|")
"""


@pytest.fixture
def other_disk(tmp_path: Path) -> Path:
    """A folder on another disk than the test's own; only its device is asked for."""
    folders = [Path("/dev/shm"), ROOT]  # noqa: S108 - nothing is written there
    other = [folder for folder in folders if folder.stat().st_dev != tmp_path.stat().st_dev]
    return other[0] if other else pytest.skip("this machine has one file system only")


def read_engine(root: Path) -> EngineReading:
    return EngineReading("26.1.5", containerd_store=True, running=0, root=root)


def test_build_folder_on_another_disk_is_measured_there(tmp_path: Path, other_disk: Path) -> None:
    (tmp_path / "build").symlink_to(other_disk)
    assert disks.list_disks(tmp_path, None) == [other_disk]
    assert disks.list_disks(tmp_path, read_engine(tmp_path / "engine")) == [other_disk, tmp_path]


def test_cache_on_another_disk_is_measured_too(tmp_path: Path, other_disk: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "cache").symlink_to(other_disk)
    assert other_disk in disks.list_disks(tmp_path, None)


def test_disks_of_an_engine_elsewhere_are_not_measured(tmp_path: Path, other_disk: Path) -> None:
    far = replace(read_engine(other_disk), is_here=False, address=EngineAddress("tcp://arm:2375", "DOCKER_HOST"))
    assert disks.list_disks(tmp_path, far) == [tmp_path]


def test_folder_that_does_not_exist_yet_is_measured_above_it(tmp_path: Path) -> None:
    assert disks.list_disks(tmp_path / "not" / "yet", None) == [tmp_path]


def test_read_only_checkout_is_named_with_its_cause(tmp_path: Path) -> None:
    command = [process.require_program("unshare"), "-Urm", "sh", "-c", READ_ONLY, sys.executable, REQUIRE]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    what = f"{tmp_path}/build cannot be written: Read-only file system; nothing was started"
    assert done.stdout == f"{what}|ls -ld {tmp_path}\n", done.stderr
    disks.require_writable(tmp_path)
