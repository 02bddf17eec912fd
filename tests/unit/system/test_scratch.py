"""Scratch folders: removed afterwards, and after a kill by the next process, but never while a process owns them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from armwright.system.scratch import scratch_folder
from tests.support import ROOT

# Makes a folder, starts a program that keeps its lock if asked to, says so, and waits to be killed.
OWNER = """
import subprocess, sys, time
from pathlib import Path
from armwright.system.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), "unpack-") as made:
    (made.folder / "file").write_text("half")
    if sys.argv[2:]:
        child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, pass_fds=[made.lock])
    print(child.pid if sys.argv[2:] else 0, flush=True)
    time.sleep(600)
"""


def start_owner(parent: Path, *options: str) -> tuple[subprocess.Popen[str], int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(parent), *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


def kill(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.communicate()


def names(parent: Path) -> list[str]:
    return [path.name for path in parent.glob("unpack-*")]


def test_folder_is_private_and_removed(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, "unpack-") as made:
        assert made.folder.stat().st_mode & 0o777 == 0o700
        (made.folder / "file").write_text("x")
    assert names(tmp_path) == []


def test_next_process_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    kill(start_owner(tmp_path)[0])
    (tmp_path / "unpack-old").mkdir()  # of a release without locks
    (tmp_path / "other-1").mkdir()
    assert len(names(tmp_path)) == 2
    with scratch_folder(tmp_path, "unpack-") as made:
        assert names(tmp_path) == [made.folder.name]
    assert (tmp_path / "other-1").is_dir()


def test_folder_of_a_living_process_is_kept(tmp_path: Path) -> None:
    owner, _ = start_owner(tmp_path)
    with scratch_folder(tmp_path, "unpack-"):
        assert len(names(tmp_path)) == 2
    assert len(names(tmp_path)) == 1
    kill(owner)


def test_folder_of_a_program_that_lives_on_is_kept(tmp_path: Path) -> None:
    owner, child = start_owner(tmp_path, "with a program")
    kill(owner)
    with scratch_folder(tmp_path, "unpack-"):
        assert len(names(tmp_path)) == 2
    os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and len(names(tmp_path)) > 0:  # the kernel may need a moment to close its files
        with scratch_folder(tmp_path, "unpack-"):
            pass
    assert names(tmp_path) == []


def test_threads_have_folders_of_their_own(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def work() -> None:
        with scratch_folder(tmp_path, "unpack-") as made:
            together.wait(20)
            assert made.folder.is_dir()
            together.wait(20)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path) == []
