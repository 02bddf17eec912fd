"""The distribution as programs expect it: a locale, an index of libraries, time zones under their older names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from subprocess import CompletedProcess
from typing import Any

import pytest

IMAGES = ("pytorch-2.10.0-n1-openblas", "pytorch-2.9.1-generic-acl", "tensorflow-1.x-compat-n1-acl")  # Debian 13 and 12
Images = Mapping[str, Any]
Contained = Callable[..., CompletedProcess[str]]
LOOK = """
import ctypes, ctypes.util, json, locale, os, subprocess, time, zoneinfo
names = [locale.setlocale(locale.LC_ALL, ""), locale.nl_langinfo(locale.CODESET)]
found = {name: ctypes.util.find_library(name) for name in ("c", "m", "stdc++", "z")}
for library in found.values():
    ctypes.CDLL(library)
zones = {}
for zone in ("US/Eastern", "Europe/Zurich", "Asia/Calcutta", "GB"):
    os.environ["TZ"] = zone
    time.tzset()
    zones[zone] = [zoneinfo.ZoneInfo(zone).key, time.localtime(0).tm_gmtoff]
listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout.splitlines()[1:]
subprocess.run(["/sbin/ldconfig", "-X", "-C", "/tmp/own"], check=True)
own = subprocess.run(["/sbin/ldconfig", "-p", "-C", "/tmp/own"], capture_output=True, text=True).stdout.splitlines()[1:]
libraries = [sorted(line.split()[0] for line in lines if "=>" in line) for lines in (listed, own)]
print(json.dumps({"locale": names, "found": found, "zones": zones, "libraries": libraries}))
"""


@pytest.fixture(params=IMAGES, scope="module")
def inside(request: pytest.FixtureRequest, proven: Images, contained: Contained) -> Mapping[str, Any]:
    done = contained(proven[request.param], "python3", "-c", LOOK, options=["--tmpfs", "/tmp:mode=1777"])
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


def test_the_locale_of_the_environment_can_be_set(inside: Mapping[str, Any]) -> None:
    assert inside["locale"] == ["C.UTF-8", "UTF-8"]


def test_libraries_are_found_by_name(inside: Mapping[str, Any]) -> None:
    assert inside["found"] == {"c": "libc.so.6", "m": "libm.so.6", "stdc++": "libstdc++.so.6", "z": "libz.so.1"}


def test_the_index_of_libraries_is_what_ldconfig_would_write(inside: Mapping[str, Any]) -> None:
    listed, own = map(set, inside["libraries"])
    assert own - listed == set()
    assert listed - own <= {"libbz2.so.1"}  # a link that its package has beside the library's own name
    assert "libc.so.6" in listed


def test_time_zones_are_known_by_their_older_names(inside: Mapping[str, Any]) -> None:
    """At the start of 1970 London was an hour before UTC, and so was Zurich."""
    offsets = {"US/Eastern": -18000, "Europe/Zurich": 3600, "Asia/Calcutta": 19800, "GB": 3600}
    assert inside["zones"] == {zone: [zone, seconds] for zone, seconds in offsets.items()}
