"""`inv`, run for real in a small checkout: a tiny lock, a tiny invoke as a local wheel, a chosen PATH."""

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
from dataclasses import dataclass, field
from pathlib import Path

import pip
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
    "chmod",
    "chown",
    "flock",
    "env",
    "sleep",
    "touch",
)
PROGRAM = """import os, sys
import invoke
def main():
    print('invoke', *sys.argv[1:], 'in', os.getcwd())
    sys.exit('fail' in sys.argv)
"""


def wheel(folder: Path, version: str) -> str:
    """Write a wheel of an invoke that does nothing; return its line for a lock."""
    name = f"invoke-{version}"
    files = {
        "invoke.py": "def main(): raise SystemExit('not the program of the checkout')\n",
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
    """A checkout with only `inv`, a lock and the program, and a PATH with only what a test puts there."""

    root: Path
    bin: Path
    wheels: Path
    settings: dict[str, str] = field(default_factory=dict)

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

    def has_quick_python(self) -> None:
        """Add a python3 whose environments get this one's pip: installing pip takes 5 s and is not tested here."""
        real, package, link = Path(sys.executable).resolve(), Path(pip.__path__[0]), shutil.which("ln")
        quick = f'{real} -m venv --without-pip "$3" && exec {link} -s {package} "$3"/lib/python3.*/site-packages/'
        self.program("python3", f'if [ "$2" = venv ]; then {quick}; fi\nexec {real} "$@"')

    @property
    def environment(self) -> dict[str, str]:
        quiet = {"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_NO_CACHE": "1"}
        links = {"PIP_FIND_LINKS": str(self.wheels), "UV_FIND_LINKS": str(self.wheels)}
        return {
            "PATH": str(self.bin),
            "HOME": str(self.root),
            "PIP_CONFIG_FILE": os.devnull,
            **quiet,
            **links,
        } | self.settings

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "inv"), *arguments],
            env=self.environment | variables,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def inv(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **variables)
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
    program = made.root / "armwright" / "cli" / "program.py"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    shutil.copy(INV, made.root / "inv")
    settings = made.root / "armwright" / "system" / "pip_settings.py"
    settings.parent.mkdir()
    shutil.copy(INV.parent / "armwright" / "system" / "pip_settings.py", settings)
    for tool in TOOLS:
        (made.bin / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is missing"))
    made.lock()
    return made


@pytest.fixture
def fast(place: Place) -> Place:
    """A machine with uv, whose python3 has no ensurepip: creating .venv takes a tenth of a second."""
    place.has_uv()
    place.has_python(lacking="ensurepip")
    return place


def test_first_call_creates_the_environment_and_runs_invoke(fast: Place) -> None:
    code, out, err = fast.inv("build", "--target", "n1")
    assert (code, out) == (0, f"invoke build --target n1 in {fast.root}\n")
    assert err == "==> creating .venv with uv\n"


def test_second_call_creates_nothing_and_is_quick(fast: Place) -> None:
    fast.inv("x")
    before = (fast.venv / "inv.stamp").stat().st_mtime_ns
    used = os.times()
    code, _, err = fast.inv("x")
    now = os.times()
    assert now.children_user + now.children_system - used.children_user - used.children_system < 0.5  # seconds of CPU
    assert (code, err, (fast.venv / "inv.stamp").stat().st_mtime_ns) == (0, "", before)


def test_python_with_venv_and_pip_is_enough(place: Place) -> None:
    place.has_quick_python()
    code, out, err = place.inv("doctor")
    assert (code, out) == (0, f"invoke doctor in {place.root}\n"), err
    assert err == f"==> creating .venv with {place.bin}/python3\n"


def test_exit_code_is_that_of_invoke(fast: Place) -> None:
    assert fast.inv("fail")[0] == 1


def test_call_without_arguments_lists_the_commands(fast: Place) -> None:
    code, out, err = fast.inv()
    assert (code, out) == (0, f"invoke --list in {fast.root}\n")
    assert "./inv setup build" in err


def test_activated_environment_runs_the_checkouts_program(fast: Place) -> None:
    fast.inv("x")
    done = subprocess.run(
        [fast.venv / "bin" / "invoke", "build"],
        env=fast.environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "invoke build in /\n", "")


def test_bytecode_is_kept_unless_it_would_be_roots(fast: Place) -> None:
    fast.inv("x", SUDO_UID=str(os.getuid()), SUDO_GID=str(os.getgid()))
    assert not list(fast.root.glob("armwright/**/__pycache__"))
    fast.inv("x")
    assert list(fast.root.glob("armwright/**/program.*.pyc"))


def test_environment_of_an_older_inv_is_recreated(fast: Place) -> None:
    fast.inv("x")
    (fast.venv / "bin" / "invoke").write_text("#!/bin/sh\nexec false\n")
    code, out, err = fast.inv("x")
    assert (code, out, "creating .venv" in err) == (0, f"invoke x in {fast.root}\n", True)


def test_changed_lock_recreates_the_environment(fast: Place) -> None:
    fast.inv("x")
    fast.lock("2.0")
    assert "creating .venv" in fast.inv("x")[2]
    assert list(fast.venv.glob("lib/python3*/site-packages/invoke-2.0.dist-info"))
    assert fast.inv("x")[2] == ""


def test_interrupted_creation_is_repeated(fast: Place) -> None:
    fast.inv("x")
    (fast.venv / "inv.stamp").unlink()  # written last: what a killed creation lacks
    next(fast.venv.glob("lib/python3*/site-packages/invoke.py")).unlink()
    code, out, err = fast.inv("x")
    assert (code, out.startswith("invoke x"), "creating .venv" in err) == (0, True, True)


def test_removed_interpreter_recreates_the_environment(fast: Place) -> None:
    fast.inv("x")
    (fast.venv / "bin/python").unlink()
    (fast.venv / "bin/python").symlink_to("/nowhere/python3.11")
    code, _, err = fast.inv("x")
    assert (code, "creating .venv" in err) == (0, True)


def test_moved_checkout_recreates_the_environment(fast: Place) -> None:
    fast.inv("x")
    fast.root = fast.root.rename(fast.root.with_name("moved"))
    assert fast.inv("x")[:2] == (0, f"invoke x in {fast.root}\n")


def test_wrong_hash_leaves_no_environment_and_is_explained(fast: Place) -> None:
    lock = fast.root / "requirements/run.lock"
    lock.write_text(lock.read_text().split("sha256:")[0] + "sha256:" + "0" * 64 + "\n")
    code, out, err = fast.inv("x")
    assert (code, out) == (3, "")
    assert "hash" in err.lower()
    assert "\nerror: " in err
    assert "\nnext:  " in err
    assert not fast.venv.exists()


def test_interrupt_leaves_no_environment(fast: Place) -> None:
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


def test_parallel_calls_create_one_environment(fast: Place) -> None:
    processes = [fast.start("x") for _ in range(4)]
    ends = [(process.communicate(timeout=60), process.returncode) for process in processes]
    assert [code for _, code in ends] == [0] * 4
    assert sum("creating" in err for (_, err), _ in ends) == 1


def test_pip_settings_for_other_work_are_not_used(place: Place, tmp_path: Path) -> None:
    place.has_quick_python()
    elsewhere = {name: str(tmp_path / name) for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONPATH")}
    place.settings.update(
        elsewhere,
        PIP_USER="1",
        PIP_DRY_RUN="1",
        PIP_REQUIRE_VIRTUALENV="1",
        PIP_PYTHON="/nowhere",
        PIP_NO_BINARY=":all:",
    )
    code, _, err = place.inv("x")
    assert code == 0, err
    assert list(place.venv.glob("lib/python3*/site-packages/invoke-1.0.dist-info"))
    assert not [path for path in map(Path, elsewhere.values()) if path.exists()]


def test_uv_settings_for_other_work_do_not_reach_it(fast: Place, tmp_path: Path) -> None:
    fast.settings.update(UV_CONSTRAINT=str(tmp_path / "absent"), UV_NO_BINARY="1", UV_TARGET=str(tmp_path / "there"))
    code, _, err = fast.inv("x")
    assert code == 0, err
    assert list(fast.venv.glob("lib/python3*/site-packages/invoke-1.0.dist-info"))


def test_read_only_checkout_is_refused_at_once(fast: Place) -> None:
    mounted = f'mount --bind "{fast.root}" "{fast.root}" && mount -o remount,bind,ro "{fast.root}" && exec "$0" "$@"'
    done = subprocess.run(
        [shutil.which("unshare") or "", "-Urm", "sh", "-c", mounted, str(fast.root / "inv"), "x"],
        env={**fast.environment, "PATH": f"{fast.bin}:/usr/sbin:/usr/bin:/bin"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {fast.root} is read-only, and .venv and build/ are written there\n")
    assert "creating" not in done.stderr


def test_shim_of_a_disabled_python_is_skipped(place: Place) -> None:
    place.program("python3.14", "echo 'pyenv: python3.14: command not found' >&2; exit 127")
    place.has_python("python3.11", lacking='"-m venv"')  # stops the slow creation, which another test runs
    code, _, err = place.inv("x")
    assert (code, err.splitlines()[0]) == (3, f"==> creating .venv with {place.bin}/python3.11")


def test_old_python_is_refused_with_what_to_install(place: Place) -> None:
    place.program("python3", '[ "$1" = --version ] || exit 1\necho Python 3.9.2')
    code, out, err = place.inv("x")
    assert (code, out) == (3, "")
    assert err.startswith(
        "error: python3 >= 3.11 is needed, but this machine has Python 3.9.2\nnext:  apt-get install "
    )


def test_absent_python_is_refused_with_what_to_install(place: Place) -> None:
    code, _, err = place.inv("x")
    assert (code, err.splitlines()[0]) == (3, "error: python3 >= 3.11 is needed, but this machine has no python3")


def test_python_without_ensurepip_names_its_package(place: Place) -> None:
    place.has_python(lacking="ensurepip")
    code, _, err = place.inv("x")
    assert code == 3
    assert "\nnext:  apt-get install python3-venv\nhint:  or install uv\n" in err
    assert not place.venv.exists()
