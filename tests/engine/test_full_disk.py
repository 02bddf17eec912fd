"""A full disk, for real: a file system of a few megabytes, mounted in its own namespace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START = 'mount -t tmpfs -o size="$1" tmpfs "$2" && exec "$0" -c "$3" "$2"'
HEAD = """
import re, shutil, sys, uuid
from pathlib import Path
from armwright.fetch import wheels
from armwright.matrix.matrix import load_matrix
from armwright.pipeline import build_all, build_combo
from armwright.plan import locks
from armwright.system.errors import MachineError
disk = Path(sys.argv[1])
try:
    {body}
except MachineError as problem:
    print(problem.what)
    print(problem.next_step)
print(sorted(str(path.relative_to(disk)) for path in disk.glob("{left}")))
"""
BUILD = """
    for name in ("recipes", "dockerfiles", "scripts"):
        shutil.copytree(name, disk / name)
    shutil.copy("matrix.yaml", disk)
    with (disk / "scripts" / "machine.py").open("a") as script:
        script.write("# " + str(uuid.uuid4()))  # inputs that were never built
    project = load_matrix(disk)
    build_all.build_combos(project, [project.by_id["pytorch-2.10.0-n1-acl"]], build_combo.BuildOptions())
"""
DOWNLOAD = """
    project = load_matrix(Path.cwd())
    whole = locks.read_wheel_lock(project.root, "pytorch", "2.10.0")
    numpy = re.search(r"^numpy==.*\\n(?:    .*\\n)+", whole, re.MULTILINE)[0]
    wheels.ensure_wheels(disk, project.recipes.bases["debian-13"], numpy, Path("/dev/null"))
"""


def on_a_disk_of(size: str, place: Path, body: str, left: str) -> list[str]:
    script = HEAD.format(body=body.strip(), left=left)
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", START, sys.executable, size]
    done = subprocess.run([*command, str(place), script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_build_without_room_is_not_started(tmp_path: Path) -> None:
    what, next_step, left = on_a_disk_of("40m", tmp_path, BUILD, "build/*")
    assert what.startswith(f"the disk of {tmp_path}/build has 0.0 GB free, but a build needs 6 GB")
    assert next_step == "docker system prune"
    assert left in {"[]", "['build/.turn']"}  # the empty lock file


def test_download_that_fills_the_disk_keeps_nothing(tmp_path: Path) -> None:
    what, *_, next_step, left = on_a_disk_of("2m", tmp_path, DOWNLOAD, "wheels/*")
    assert what.startswith("the disk is full")
    assert next_step == "docker system prune"
    assert left == "[]"
