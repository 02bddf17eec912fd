"""The start-up hook of an image's Python, in real processes: without the entrypoint, and below it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image import parse_json

from tests.support import ROOT
from tests.unit.image.test_entrypoint import IMAGE, install

OVERLAY = ROOT / "scripts" / "overlays" / "start"
SLOW = {"json", "re", "typing", "pathlib", "collections", "platform", "ctypes", "subprocess"}
SHOW = """
import os, sys
modules = sorted(sys.modules)
import json
print(json.dumps({"environ": dict(os.environ), "modules": modules, "path": sys.path}))
"""
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
Python = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment: a Python with the hook in its site directory."""
    folder = tmp_path_factory.mktemp("python") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for path in OVERLAY.glob("armwright*"):
        text = path.read_text(encoding="utf-8")
        (site / path.name).write_text(text.replace('"/opt/armwright"', repr(f"{folder}/opt")), encoding="utf-8")
    return folder


@pytest.fixture
def image(environment: Path) -> Iterator[Path]:
    """The image's folder, to which the hook in the environment's site directory leads."""
    yield install(environment / "opt")
    shutil.rmtree(environment / "opt")


@pytest.fixture
def python(environment: Path, image: Path) -> Python:
    """Run the environment's Python without the entrypoint."""
    assert image.exists()

    def run(*words: str, **environ: str) -> CompletedProcess[str]:
        command = [str(environment / "bin/python"), *words]
        given = {"HOME": "/work", "USER": "me", "QEMU_CPU": "neoverse-n1", **environ}
        return subprocess.run(command, env=given, cwd="/", capture_output=True, text=True, check=False)

    return run


def shown(done: CompletedProcess[str]) -> dict[str, Any]:
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("flags", [(), ("-I",), ("-E",), ("-s",), ("-I", "-E", "-s", "-B")])
def test_every_python_gets_what_the_entrypoint_sets(python: Python, flags: tuple[str, ...]) -> None:
    environ = shown(python(*flags, "-c", SHOW, PYTHONNOUSERSITE="1"))["environ"]
    assert environ["LRU_CACHE_CAPACITY"] == "1024"
    assert int(environ["OMP_NUM_THREADS"]) >= 1
    assert environ["ARMWRIGHT_STARTED"] == "1"


def test_a_python_without_site_gets_nothing(python: Python) -> None:
    assert "OMP_NUM_THREADS" not in shown(python("-S", "-c", SHOW))["environ"]


def test_what_the_user_set_is_kept(python: Python) -> None:
    environ = shown(python("-c", SHOW, OMP_NUM_THREADS="7", LRU_CACHE_CAPACITY=""))["environ"]
    assert (environ["OMP_NUM_THREADS"], environ["LRU_CACHE_CAPACITY"]) == ("7", "")


def test_processes_below_inherit_and_decide_nothing(python: Python) -> None:
    code = "import os, subprocess, sys; del os.environ['OMP_NUM_THREADS']; subprocess.run([sys.executable, '-c', %r])"
    below = shown(python("-c", code % SHOW))
    assert "OMP_NUM_THREADS" not in below["environ"]
    assert below["environ"]["LRU_CACHE_CAPACITY"] == "1024"
    assert "armwright_start" not in below["modules"]


def test_the_hook_loads_nothing_slow_and_leaves_no_trace(python: Python, image: Path) -> None:
    files = sorted(image.rglob("*"))
    bare, hooked = (shown(python(*flags, "-I", "-c", SHOW)) for flags in (("-S",), ()))
    assert not SLOW & (set(hooked["modules"]) - set(bare["modules"]))
    assert not {path.stem for path in image.glob("*.py")} & set(hooked["modules"])
    assert str(image) not in hooked["path"]
    assert sorted(image.rglob("*")) == files


def test_below_the_floor_one_sentence_and_no_program(python: Python, image: Path) -> None:
    target = {**IMAGE["target"], "floor": ["telepathy"]}
    (image / "image.json").write_text(json.dumps({**IMAGE, "target": target}), encoding="utf-8")
    done = python("-I", "-c", "print('ran')", ARMWRIGHT_QUIET="1")
    assert (done.returncode, done.stdout) == (78, "")
    (sentence,) = done.stderr.splitlines()
    assert "needs telepathy, which this CPU" in sentence
    assert python("-c", "print('ran')", ARMWRIGHT_STARTED="1").stdout == "ran\n"
    closed = ["/bin/sh", "-c", "exec \"$0\" -c 'print(1)' 2>&-", str(done.args[0])]
    assert subprocess.run(closed, check=False, env={}).returncode == 78


@pytest.mark.parametrize(
    ("content", "environ", "code"), [("{", {}, 70), (json.dumps(IMAGE), {"ARMWRIGHT_BF16": "yes"}, 2)]
)
def test_what_stops_the_entrypoint_stops_python(
    python: Python, image: Path, content: str, environ: dict[str, str], code: int
) -> None:
    text = content.replace(json.dumps(IMAGE["target"]["floor"]), "[]")
    (image / "image.json").write_text(text, encoding="utf-8")
    done = python("-c", "print('ran')", **environ)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)


def test_notes_and_explanations_are_printed_once(python: Python) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])"
    done = python("-c", code, ARMWRIGHT_EXPLAIN="1")
    assert done.stderr.count("armwright: OMP_NUM_THREADS=") == 1


@settings(deadline=None)
@given(st.one_of(JSON.map(json.dumps), JSON.map(lambda value: json.dumps(value, indent=1)), st.text()))
def test_json_is_read_as_the_standard_library_reads_it(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            parse_json(text)
    else:
        assert json.dumps(parse_json(text)) == json.dumps(expected)
