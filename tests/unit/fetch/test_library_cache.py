"""The index of shared libraries in an image, read by this machine's own ldconfig."""

from __future__ import annotations

import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from armwright.fetch import library_cache
from armwright.system import process

FOLDER = "usr/lib/aarch64-linux-gnu"
FILES = {
    f"{FOLDER}/libc.so.6": "",
    f"{FOLDER}/libstdc++.so.6": "libstdc++.so.6.0.33",
    f"{FOLDER}/libstdc++.so.6.0.33": "",
    f"{FOLDER}/libdb-5.3.so": "",
    f"{FOLDER}/libz.so.1": "libz.so.1.3.1",
    f"{FOLDER}/libz.so.1.3.1": "",
    f"{FOLDER}/libx10.so.1": "",
    f"{FOLDER}/libx9.so.1": "",
    f"{FOLDER}/ld-linux-aarch64.so.1": "",
    f"{FOLDER}/plugins/libplugin.so": "",
    "usr/lib/ld-linux-aarch64.so.1": "aarch64-linux-gnu/ld-linux-aarch64.so.1",
    "usr/lib/python3.13/lib-dynload/_json.so": "",
    "etc/ld.so.conf": "",
}
NAMES = [
    "libz.so.1",
    "libx10.so.1",
    "libx9.so.1",
    "libstdc++.so.6",
    "libdb-5.3.so",
    "libc.so.6",
    "ld-linux-aarch64.so.1",
]


def listed(cache: Path | None = None) -> list[str]:
    """Return the names in an index, in its order, as ldconfig prints them; by default in this machine's own."""
    words = [process.require_program("ldconfig"), "-p", *(["-C", str(cache)] if cache else [])]
    printed = subprocess.run(words, capture_output=True, text=True, check=True, env={"LC_ALL": "C"}).stdout
    return re.findall(r"^\t(\S+) \(libc6,AArch64\) => /" if cache else r"^\t(\S+) \(", printed, re.MULTILINE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar"
    with tarfile.open(path, "w") as archive:
        for name, target in FILES.items():
            member = tarfile.TarInfo(f"./{name}")
            member.type, member.linkname = (tarfile.SYMTYPE, target) if target else (tarfile.REGTYPE, "")
            archive.addfile(member)
    return path


def test_ldconfig_reads_what_was_written(root: Path) -> None:
    cache = library_cache.ensure_library_cache(root)
    assert listed(cache) == NAMES
    before = cache.stat().st_mtime_ns
    assert library_cache.ensure_library_cache(root).stat().st_mtime_ns == before


def test_the_order_is_glibc_s_own() -> None:
    names = listed()
    assert names == sorted(names, key=library_cache._order, reverse=True)


def test_the_first_folder_of_the_loader_wins() -> None:
    found = library_cache.find_libraries(FILES)
    assert found["ld-linux-aarch64.so.1"] == f"/{FOLDER}/ld-linux-aarch64.so.1"
    assert "libstdc++.so.6.0.33" not in found


def test_a_root_without_libraries_has_an_empty_index(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(library_cache.format_library_cache({}))
    assert listed(tmp_path / "cache") == []
