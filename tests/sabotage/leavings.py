"""Sabotages by what a builder's machine leaves: addresses, passwords, keys, names, paths, owners, modes, times."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.sabotage import changes
from tests.sabotage.changes import Files, GoodImage
from tests.sabotage.model import Sabotage

NOTE = "/usr/share/doc/note"
SOURCE = "deb http://user:secret@mirror.example/debian trixie main\n"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{'b3BlbnNzaC1rZXktdjEA' * 3}\n-----END OPENSSH PRIVATE KEY-----\n"
FILES = "leftover files"
TEXT = "leftover text"


def left(path: str, text: str = "any\n") -> Callable[[GoodImage], Files]:
    """Add a file."""
    return lambda _: {path: text.encode()}


LEAVINGS: Mapping[str, Sabotage] = {
    "apt's sources with a password": Sabotage(
        "leftovers", FILES, "etc/apt/sources.list", left("/etc/apt/sources.list", SOURCE)
    ),
    "a password in any file": Sabotage("leftovers", TEXT, "an address with a password", left(NOTE, SOURCE)),
    "apt's log": Sabotage("leftovers", FILES, "var/log/apt", left("/var/log/apt/history.log")),
    "apt's indexes": Sabotage("leftovers", FILES, "var/lib/apt", left("/var/lib/apt/lists/mirror.example_Packages")),
    "the settings of pip": Sabotage("leftovers", FILES, "pip.conf", left("/etc/xdg/pip/pip.conf")),
    "the builder's identity": Sabotage(
        "leftovers", FILES, "etc/machine-id", left("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    ),
    "a file in the home folder": Sabotage("leftovers", FILES, "home/armwright", left("/home/armwright/.bash_history")),
    "where an installer found a package": Sabotage(
        "leftovers", FILES, "direct_url.json", changes.at_site("numpy-1.dist-info/direct_url.json", "{}")
    ),
    "a private key": Sabotage("leftovers", TEXT, "a private key", left(NOTE, KEY)),
    "the path of the checkout": Sabotage(
        "leftovers", TEXT, "the checkout", lambda good: {NOTE: f"made in {good.root}/build\n".encode()}
    ),
    "the name of BuildKit's container": Sabotage("leftovers", TEXT, "BuildKit", left(NOTE, "buildkitsandbox\n")),
    "an owner of the builder's": Sabotage(
        "leftovers", "leftover owners", "1234:1234", left(NOTE), lines=("COPY --chown=1234:1234 files/ /",)
    ),
    "a mode of the builder's": Sabotage(
        "leftovers", "leftover modes", "0600", left(NOTE), lines=("COPY --chmod=0600 files/ /",)
    ),
    "a time of the builder's": Sabotage("leftovers", "leftover times", "time [0-9]+", left(NOTE)),
}
