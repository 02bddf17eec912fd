"""Runs this environment's pip with the machine's settings for reaching an index, and explains why an index refuses."""

from __future__ import annotations

import functools
import os
import re
import sys
import tempfile
from pathlib import Path

from armwright.system import pip_settings, process
from armwright.system.errors import FailedError

REFUSALS = {
    401: "wants a login (HTTP 401)",
    403: "refuses the request (HTTP 403)",
    407: "is behind a proxy that wants a login (HTTP 407)",
}
LOGIN_HINT = "put USER:PASSWORD@ into index-url, in the file that `pip config debug` names, or a line into ~/.netrc"
PROXY_HINT = "put USER:PASSWORD@ into HTTPS_PROXY, or into pip's proxy setting"
_STATUS = re.compile(
    r"\b(?P<error>[45]\d\d) (?:Client|Server) Error|\bHTTP error (?P<got>[45]\d\d)|\b(?P<code>401) Error"
    r"|too many (?P<many>[45]\d\d) error responses|Tunnel connection failed: (?P<proxy>\d{3})"
)
_ABSENT = (404, 410)  # how an index says that it does not have a package


def read_pip_environment(command: str) -> dict[str, str | None]:
    """Return the changes of the environment for a command of pip; None removes a variable.

    Args:
        command: the command, e.g. "download".
    """
    pip = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("PIP_")))
    return pip_settings.make_pip_environment(pip_settings.select_settings(_read_listing(pip), command), os.environ)


def read_pip_settings() -> dict[str, str]:
    """Return pip's settings for reaching an index, of any section, by their names in pip.conf."""
    pip = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("PIP_")))
    return pip_settings.select_settings(_read_listing(pip), "install", "download")


def find_status(output: str) -> int | None:
    """Return the HTTP status with which an index refused pip or uv, from their output; None if it did not."""
    for match in _STATUS.finditer(output):
        status = next(int(number) for number in match.groups() if number)
        if status not in _ABSENT:
            return status
    return None


def explain_status(status: int) -> tuple[str, str]:
    """Return why an index does not serve, as the predicate of a sentence, and what helps."""
    hints = {401: LOGIN_HINT, 403: LOGIN_HINT, 407: PROXY_HINT}
    return REFUSALS.get(status, f"is out of order (HTTP {status})"), hints.get(status, "try again later")


def explain_silence(package: str) -> str:
    """Query the index for a package with pip and its configuration; return why that failed, or an empty text."""
    arguments = ["-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "0", "--timeout", "5"]
    with tempfile.TemporaryDirectory(prefix="armwright-") as folder:
        log = Path(folder, "log")
        try:
            process.capture(
                [sys.executable, *arguments, "--log", str(log), "index", "versions", "--quiet", package],
                timeout=20, env=read_pip_environment("index"),
            )  # fmt: skip
        except FailedError as failure:
            if "No module named pip" in failure.what:
                return "not checked: uv made this environment, without pip"
            explanation = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            status = find_status(failure.what + explanation)
            return explain_status(status)[0] if status else f"it does not answer pip's query for '{package}'"
    return ""


@functools.cache
def _read_listing(pip: tuple[tuple[str, str], ...]) -> str:
    """Return the output of `pip config list`, read once for each set of pip's variables."""
    return process.capture(["pip", "config", "list"], env=pip_settings.make_query_environment(dict(pip)))
