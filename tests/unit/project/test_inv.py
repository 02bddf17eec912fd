"""The front door, run for real: its own copy, a tiny lock, a tiny invoke as a local wheel, a PATH of our choosing."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

INV = Path(__file__).resolve().parents[3] / "inv"
TOOLS = (
    "sh",
    "dirname",
    "readlink",
    "cat",
    "cmp",
    "tail",
    "sed",
    "rm",
    "mkdir",
    "chown",
    "flock",
    "env",
    "sleep",
    "touch",
)
SHOWS = """import os, sys
def main():
    print('invoke', *sys.argv[1:], 'in', os.getcwd())
    sys.exit('fail' in sys.argv)
"""


def wheel(folder: Path, version: str) -> str:
    """Write a wheel of an invoke that only says how it was called; return its line for a lock."""
    name = f"invoke-{version}"
    files = {
        "invoke.py": SHOWS,
        f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: invoke\nVersion: {version}\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}.dist-info/entry_points.txt": "[console_scripts]\ninvoke = invoke:main\n",
    }
    record = f"{name}.dist-info/RECORD"
    lines = []
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{path},sha256={digest},{len(text)}")
        archive.writestr(record, "\n".join([*lines, f"{record},,"]) + "\n")
    digest = hashlib.sha256((folder / f"{name}-py3-none-any.whl").read_bytes()).hexdigest()
    return f"invoke=={version} --hash=sha256:{digest}\n"


@dataclass
class Place:
    """A repository with nothing but the front door, and a PATH with nothing but what the test puts there."""

    root: Path
    bin: Path
    wheels: Path

    def lock(self, version: str = "1.0") -> None:
        (self.root / "requirements/run.lock").write_text(wheel(self.wheels, version))

    def program(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def has_uv(self) -> None:
        (self.bin / "uv").symlink_to(
            shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or ""
        )

    def has_python(self, name: str = "python3", lacking: str = "nothing") -> None:
        real = Path(sys.executable).resolve()
        self.program(name, f'case "$*" in *{lacking}*) exit 1;; esac\nexec {real} "$@"')

    @property
    def environment(self) -> dict[str, str]:
        quiet = {"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_NO_CACHE": "1"}
        links = {"PIP_FIND_LINKS": str(self.wheels), "UV_FIND_LINKS": str(self.wheels)}
        return {"PATH": str(self.bin), "HOME": str(self.root), "PIP_CONFIG_FILE": os.devnull, **quiet, **links}

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "inv"), *words],
            env=self.environment,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def inv(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    @property
    def venv(self) -> Path:
        return self.root / ".venv"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "a repository", tmp_path / "bin", tmp_path / "wheels")
    (made.root / "requirements").mkdir(parents=True)
    made.bin.mkdir()
    shutil.copy(INV, made.root / "inv")
    for tool in TOOLS:
        (made.bin / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is missing"))
    made.lock()
    return made


@pytest.fixture
def fast(place: Place) -> Place:
    """A machine with uv, whose python3 has no ensurepip: environments take a tenth of a second."""
    place.has_uv()
    place.has_python(lacking="ensurepip")
    return place


def test_the_first_call_makes_the_environment_and_runs_the_words_at_the_repositorys_root(fast: Place) -> None:
    code, out, err = fast.inv("build", "--target", "n1")
    assert (code, out) == (0, f"invoke build --target n1 in {fast.root}\n")
    assert err == "==> making .venv with uv\n"


def test_the_second_call_makes_nothing_and_is_quick(fast: Place) -> None:
    fast.inv("x")
    before = (fast.venv / "inv.stamp").stat().st_mtime_ns
    started = time.monotonic()
    code, _, err = fast.inv("x")
    assert time.monotonic() - started < 0.5
    assert (code, err, (fast.venv / "inv.stamp").stat().st_mtime_ns) == (0, "", before)


def test_python_with_venv_and_pip_will_do(place: Place) -> None:
    place.has_python()
    code, out, err = place.inv("doctor")
    assert (code, out) == (0, f"invoke doctor in {place.root}\n"), err
    assert err == f"==> making .venv with {place.bin}/python3\n"


def test_the_exit_code_is_that_of_invoke(fast: Place) -> None:
    assert fast.inv("fail")[0] == 1


def test_without_words_it_lists_the_tasks(fast: Place) -> None:
    code, out, err = fast.inv()
    assert (code, out) == (0, f"invoke --list in {fast.root}\n")
    assert "./inv setup build" in err


def test_a_changed_lock_makes_the_environment_again(fast: Place) -> None:
    fast.inv("x")
    fast.lock("2.0")
    assert "making .venv" in fast.inv("x")[2]
    assert list(fast.venv.glob("lib/python3*/site-packages/invoke-2.0.dist-info"))
    assert fast.inv("x")[2] == ""


def test_an_interrupted_creation_is_not_believed(fast: Place) -> None:
    fast.inv("x")
    (fast.venv / "inv.stamp").unlink()  # written last: what a killed creation lacks
    next(fast.venv.glob("lib/python3*/site-packages/invoke.py")).unlink()
    code, out, err = fast.inv("x")
    assert (code, out.startswith("invoke x"), "making .venv" in err) == (0, True, True)


def test_an_interpreter_that_went_away_makes_the_environment_again(fast: Place) -> None:
    fast.inv("x")
    (fast.venv / "bin/python").unlink()
    (fast.venv / "bin/python").symlink_to("/nowhere/python3.11")
    code, _, err = fast.inv("x")
    assert (code, "making .venv" in err) == (0, True)


def test_a_repository_that_moved_makes_the_environment_again(fast: Place) -> None:
    fast.inv("x")
    fast.root = fast.root.rename(fast.root.with_name("moved"))
    assert fast.inv("x")[:2] == (0, f"invoke x in {fast.root}\n")


def test_a_wrong_hash_leaves_no_environment_and_says_why(fast: Place) -> None:
    lock = fast.root / "requirements/run.lock"
    lock.write_text(lock.read_text().split("sha256:")[0] + "sha256:" + "0" * 64 + "\n")
    code, out, err = fast.inv("x")
    assert (code, out) == (3, "")
    assert "hash" in err.lower()
    assert "\nerror: " in err
    assert "\nnext:  " in err
    assert not fast.venv.exists()


def test_an_interrupt_leaves_no_environment_and_the_same_words_succeed(fast: Place) -> None:
    real = (fast.bin / "uv").resolve()
    (fast.bin / "uv").unlink()
    fast.program("uv", f'[ "$1" = venv ] || {{ touch {fast.bin}/begun; exec sleep 60; }}\nexec {real} "$@"')
    process = fast.start("x")
    while not (fast.bin / "begun").exists():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode in {130, -signal.SIGINT}
    assert not fast.venv.exists()
    (fast.bin / "uv").unlink()
    fast.has_uv()
    assert fast.inv("x")[0] == 0


def test_of_calls_at_the_same_time_one_makes_the_environment(fast: Place) -> None:
    processes = [fast.start("x") for _ in range(4)]
    ends = [(process.communicate(timeout=60), process.returncode) for process in processes]
    assert [code for _, code in ends] == [0] * 4
    assert sum("making" in err for (_, err), _ in ends) == 1


def test_a_shim_of_a_python_that_is_switched_off_is_passed_over(place: Place) -> None:
    place.program("python3.14", "echo 'pyenv: python3.14: command not found' >&2; exit 127")
    place.has_python("python3.11")
    assert place.inv("x")[2] == f"==> making .venv with {place.bin}/python3.11\n"


def test_a_python_that_is_too_old_is_refused_with_what_to_install(place: Place) -> None:
    place.program("python3", '[ "$1" = --version ] || exit 1\necho Python 3.9.2')
    code, out, err = place.inv("x")
    assert (code, out) == (3, "")
    assert err.startswith("error: python3 >= 3.11 is needed; here is Python 3.9.2\nnext:  apt-get install python3 ")


def test_no_python_at_all_is_refused_with_what_to_install(place: Place) -> None:
    code, _, err = place.inv("x")
    assert (code, err.splitlines()[0]) == (3, "error: python3 >= 3.11 is needed; here is no python3")


def test_a_python_without_ensurepip_and_no_uv_names_the_package(place: Place) -> None:
    place.has_python(lacking="ensurepip")
    code, _, err = place.inv("x")
    assert (code, "apt-get install python3-venv" in err) == (3, True)
    assert not place.venv.exists()
