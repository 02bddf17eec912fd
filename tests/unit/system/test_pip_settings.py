"""pip's settings: how to reach an index is kept; what changes what is installed, or where, is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from armwright.system import pip_settings, pip_tool, process

# Each changes what pip installs or where, or whether it does it at all.
HARMFUL = {
    "PIP_USER": "1", "PIP_TARGET": "/nowhere", "PIP_DRY_RUN": "1", "PIP_PREFIX": "/nowhere", "PIP_ROOT": "/nowhere",
    "PIP_CONSTRAINT": "/nowhere/constraints.txt", "PIP_REQUIREMENT": "/nowhere/more.txt", "PIP_NO_BINARY": ":all:",
    "PIP_PYTHON": "/nowhere/python", "PIP_PLATFORM": "win32", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_QUIET": "3",
    "PIP_DEST": "/nowhere", "PIP_ISOLATED": "1",
}  # fmt: skip


def test_last_section_wins_and_other_sections_are_left_out() -> None:
    lines = (
        ":env:.cert='/env.pem'", "download.index-url='https://d/simple'", "global.cert='/global.pem'",
        "global.index-url='https://g/simple'", "install.timeout='9'", "global.user='true'",
    )  # fmt: skip
    listing = "\n".join(lines)
    assert pip_settings.select_settings(listing, "download") == {"cert": "/env.pem", "index-url": "https://d/simple"}
    assert pip_settings.select_settings(listing, "install", "download")["timeout"] == "9"


def test_list_over_several_lines_is_read_as_pip_prints_it() -> None:
    line = r"global.extra-index-url='\nhttps://one.example/simple\nhttps://two.example/simple'"
    urls = pip_settings.select_settings(line)["extra-index-url"]
    assert urls.split() == ["https://one.example/simple", "https://two.example/simple"]


def test_pip_sees_only_the_settings_for_reaching_an_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://me:hush@index.example/simple\nuser = true\n"
        "[download]\nno-deps = true\nretries = 7\n"
    )
    for name, value in HARMFUL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("PIP_CERT", "/env.pem")
    environment = pip_tool.read_pip_environment("download")
    seen = process.capture(["pip", "config", "list"], env=environment).splitlines()
    wanted = {":env:.index-url='https://me:hush@index.example/simple'", ":env:.retries='7'", ":env:.cert='/env.pem'"}
    assert wanted <= set(seen)
    assert {line.split("=")[0].rpartition(".")[2] for line in seen} <= {*pip_settings._PIP, "config-file"}


def test_front_door_replaces_itself_by_pip(tmp_path: Path) -> None:
    file = Path(pip_settings.__file__)
    done = subprocess.run(
        [sys.executable, "-I", str(file), "config", "list"],
        input="global.index-url='https://i/simple'\n", env={**os.environ, **HARMFUL}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == ":env:.config-file='/dev/null'\n:env:.index-url='https://i/simple'\n"


def test_uvs_settings_are_sorted_in_the_same_way() -> None:
    environment = {
        "UV_DEFAULT_INDEX": "https://i", "UV_INDEX_CORP_PASSWORD": "p", "UV_PYTHON_INSTALL_DIR": "/p", "PATH": "/bin",
        "UV_EXCLUDE_NEWER": "2020-01-01", "UV_CONSTRAINT": "c.txt", "UV_SYSTEM_PYTHON": "1", "UV_PYTHON": "3.9",
    }  # fmt: skip
    removed = pip_settings.make_uv_environment(environment)
    assert removed == dict.fromkeys(("UV_EXCLUDE_NEWER", "UV_CONSTRAINT", "UV_SYSTEM_PYTHON", "UV_PYTHON"))


@pytest.mark.parametrize(
    ("output", "status"),
    [
        ("401 Error, Credentials not correct for http://x", 401),
        ("Could not fetch URL http://x: 403 Client Error: Forbidden for url: http://x - skipping", 403),
        ("Tunnel connection failed: 407 Proxy Authentication Required", 407),
        ("too many 503 error responses", 503),
        ("404 Client Error: Not Found for url: http://x", None),
        ("404 Client Error\n403 Client Error", 403),
        ("torch==2.401.0", None),
    ],
)
def test_status_is_found_in_pips_output(output: str, status: int | None) -> None:
    assert pip_tool.find_status(output) == status
