"""Which of this machine's pip and uv settings Armwright uses: how to reach an index, not what is installed or where.

PIP_USER, PIP_TARGET, PIP_DRY_RUN, PIP_CONSTRAINT and their like, as variables or in pip.conf, are for the user's own
work; with them .venv and the downloads of wheels would lack what the locks name.

`inv` runs this file before the packages of .venv are there, so it needs nothing but Python. In that use it reads the
output of `pip config list` and replaces itself by pip: `python -I pip_settings.py install --requirement FILE`.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Mapping

_PIP = frozenset({
    "cache-dir", "cert", "client-cert", "default-timeout", "extra-index-url", "find-links", "index-url",
    "keyring-provider", "no-cache-dir", "no-index", "proxy", "resume-retries", "retries", "timeout", "trusted-host",
    "use-deprecated", "use-feature",
})  # fmt: skip
_UV = (
    "UV_ALLOW_INSECURE_HOST", "UV_CACHE_DIR", "UV_CONCURRENT_", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS", "UV_HTTP_", "UV_INDEX", "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_LINK_MODE",
    "UV_NATIVE_TLS", "UV_NO_CACHE", "UV_NO_INDEX", "UV_OFFLINE", "UV_PYTHON_", "UV_REQUEST_TIMEOUT",
)  # fmt: skip


def select_settings(listing: str, *commands: str) -> dict[str, str]:
    """Return the settings to use, by their names in pip.conf.

    Args:
        listing: the output of `pip config list`.
        commands: the commands of pip that they are for, whose sections of pip.conf precede the general one.
    """
    places = ("global", *commands, ":env:")  # the last one wins
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        name, equals, value = line.partition("=")
        place, _, key = name.rpartition(".")
        if equals and key in _PIP and place in places and places.index(place) >= found.get(key, (0, ""))[0]:
            found[key] = places.index(place), str(ast.literal_eval(value))  # pip prints a Python string literal
    return {key: value for key, (_, value) in found.items()}


def make_pip_environment(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return the changes of the environment with which pip uses these settings and no others; None removes a variable.

    Args:
        settings: see `select_settings`.
        environment: the variables as they are.
    """
    removed: dict[str, str | None] = dict.fromkeys(name for name in environment if name.startswith("PIP_"))
    kept = {f"PIP_{key.upper().replace('-', '_')}": value for key, value in settings.items()}
    return {**removed, "PIP_CONFIG_FILE": os.devnull, **kept}


def make_query_environment(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return the changes of the environment with which `pip config list` prints everything; None removes a variable."""
    names = [name for name in environment if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"]
    return dict.fromkeys(name for name in names if name[4:].lower().replace("_", "-") not in _PIP)


def make_uv_environment(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return the changes of the environment with which uv resolves and installs what it is given, and as usual."""
    return dict.fromkeys(name for name in environment if name.startswith("UV_") and not name.startswith(_UV))


def become_pip() -> None:
    """Replace this process by pip with the arguments of the command line; standard input has its configuration."""
    settings = select_settings(sys.stdin.read(), sys.argv[1])
    changed = {**os.environ, **make_pip_environment(settings, os.environ)}
    kept = {name: value for name, value in changed.items() if value is not None}
    os.execve(sys.executable, [sys.executable, "-I", "-m", "pip", *sys.argv[1:]], kept)  # noqa: S606 - pip, of this Python


if __name__ == "__main__":
    become_pip()
