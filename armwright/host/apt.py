"""The distribution's package manager: its sources, interrupted installations, and the causes of its failures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from armwright.host.needs import HostPackage, HostRecipe
from armwright.system import process
from armwright.system.errors import FailedError, MachineError

SOURCES = Path("/etc/apt/sources.list.d/armwright.sources")
PREFERENCES = Path("/etc/apt/preferences.d/armwright")
LOG = Path("/var/log/armwright-setup.log")

_PINNED = 600  # above the release's 500, so that a pinned package and its upgrades come from the named suite
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
_PATIENT = ("-o", "DPkg::Lock::Timeout=60")  # seconds to wait for another apt
_RELEASE_FILE = re.compile(r"'(?P<site>\S+)/dists/(?P<suite>[^/']+)/InRelease'")
_NETWORK = re.compile(
    r"Acquire::(https?|ftp|tor|Retries|ForceIPv[46]|Check-(Valid-Until|Date)|Max-FutureTime)\b", re.IGNORECASE
)

_UNTRUSTED = (
    "the package mirror's signature is not trusted",
    "apt-get install --reinstall debian-archive-keyring",
    "[trusted=yes], and a key that is written inside a source, do not count here; name a keyring file in Signed-By",
)
_UNREACHABLE = ("the package mirror cannot be reached", "apt-get update", "check the network and apt's proxy")
_OTHER_MIRROR = "name another one with ARMWRIGHT_MIRROR=ADDRESS"

# Output of apt and dpkg -> what it means, the command that helps, and a hint. The first match is used.
_CAUSES = (
    (
        r"\b407 +Proxy Authentication",
        "apt's proxy wants a login (HTTP 407)",
        "apt-config dump Acquire::http::Proxy",
        "put USER:PASSWORD@ into Acquire::http::Proxy, in a file in /etc/apt/apt.conf.d",
    ),
    (
        r"\b401 +(?:Unauthorized|Authorization)",
        "the package mirror wants a login (HTTP 401)",
        "ls -l /etc/apt/auth.conf.d",
        "a file there has: machine HOST login USER password PASSWORD; this user must be able to read it",
    ),
    (
        r"\b403 +Forbidden",
        "the package mirror refuses the request (HTTP 403)",
        "apt-get update",
        "check the address of the mirror, and /etc/apt/auth.conf.d if it wants a login",
    ),
    (
        r"doesn't support architecture|binary-arm64/\S+ +404|\b404 +Not Found.*binary-arm64",
        "the package mirror has no packages for arm64",
        "apt-get update --print-uris",
        "name one that has them with ARMWRIGHT_MIRROR=ADDRESS",
    ),
    (
        r"Release file for \S+ is expired|is not valid (?:yet|anymore)",
        "the package mirror's index has expired",
        "apt-get update",
        "a mirror that is old on purpose has [check-valid-until=no] in its source",
    ),
    (r"Could not get lock|Unable to acquire the dpkg", "another package manager is running", "", "wait until it ends"),
    (r"No space left|don't have enough free space", "the disk is full", "docker system prune", ""),
    (r"Could not (?:resolve|connect)|Unable to connect|Connection (?:failed|timed out|refused)", *_UNREACHABLE),
    (
        r"Failed to fetch \S+\s+5\d\d\b",
        "the package mirror fails (HTTP 5xx)",
        "apt-get update",
        f"the fault is on its side, or its proxy's: wait, or {_OTHER_MIRROR}",
    ),
    (
        r"Failed to fetch .*(?:Hash Sum mismatch|File has unexpected size)",
        "the package mirror delivers another file than its index promises",
        "apt-get update",
        f"the mirror is being updated, or a proxy keeps an old file: wait, or {_OTHER_MIRROR}",
    ),
    (
        r"Failed to fetch .*BADSIG",
        "the package mirror's signature is not trusted: it is not that of the index",
        "apt-get update",
        f"the mirror or a proxy changed the index; {_OTHER_MIRROR}",
    ),
    (r"Failed to fetch .*(?:NO_PUBKEY|signatures were invalid)", *_UNTRUSTED),
    (r"Failed to fetch", *_UNREACHABLE),
    (r"NO_PUBKEY|is not signed|EXPKEYSIG", *_UNTRUSTED),
    (
        r"Unable to locate package|no installation candidate|Version '.*' .*was not found",
        "the package mirror does not have a package",
        "",
        "compare the packages in recipes/ with your mirror",
    ),
    (
        r"Conflicts:|unmet dependencies|held broken packages",
        "the packages conflict with installed ones",
        "apt-get install --fix-broken",
        "",
    ),
)


def read_network_settings() -> list[str]:
    """Return apt's settings of this host that are about its network, proxies included, as lines of an apt.conf."""
    lines = process.capture(["apt-config", "dump"], check=False).splitlines()
    return [line for line in lines if _NETWORK.match(line)]


def find_mirror(codename: str, listing: str) -> str | None:
    """Find the mirror that this host uses for its distribution.

    Args:
        codename: the release, e.g. "bookworm".
        listing: the output of `apt-get update --print-uris`, which works offline and before the first update.

    Returns:
        the mirror's URI for a source; None if no source names the release.
    """
    sites = {match["suite"]: match["site"] for match in _RELEASE_FILE.finditer(listing)}
    return sites.get(codename)


def render_preferences(recipe: HostRecipe) -> str:
    """Return the pins: only the packages that the recipe names may come from an added suite."""
    blocks = []
    for suite in recipe.suites:
        named = sorted({package.name for package in recipe.packages if package.suite == suite.name})
        if suite.priority is not None:
            blocks.append(_pin("*", suite.name, suite.priority, suite.why))
        blocks.append(_pin(" ".join(named), suite.name, _PINNED, f"packages that the recipe takes from {suite.name}"))
    return "\n".join(blocks)


def list_unfinished() -> frozenset[str]:
    """Return the packages that an interrupted run left unpacked but not configured."""
    listing = process.capture(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n"], check=False)
    halfway = {"unpacked", "half-configured", "half-installed", "triggers-awaited", "triggers-pending"}
    rows = (line.split(" ", 1) for line in listing.splitlines())
    return frozenset(name for name, state in rows if state in halfway)


def is_journal_pending(folder: Path = Path("/var/lib/dpkg/updates")) -> bool:
    """Return whether dpkg was killed; it then accepts only `dpkg --configure -a`."""
    return folder.is_dir() and any(folder.iterdir())


def find_owner(program: str) -> str:
    """Return the package that a program's file belongs to; empty if it was installed manually."""
    output = process.capture(["dpkg-query", "--search", str(Path(program).resolve())], check=False)
    return output.split(":", 1)[0].strip()


def configure_pending() -> None:
    """Configure the packages that an interrupted run left. Raises MachineError with the cause."""
    _run(["dpkg", "--configure", "-a"])


def install_packages(names: Iterable[str]) -> None:
    """Fetch the package lists and install packages without their recommended packages.

    Raises:
        MachineError: with the cause and the next command.
    """
    # apt-get update succeeds even if a mirror does not answer; its warnings explain why the install then fails.
    warnings = _run(["apt-get", "update", *_PATIENT])
    _run(["apt-get", "install", "-y", "--no-install-recommends", *_PATIENT, *names], warnings)


def select_packages(packages: Iterable[HostPackage], needs: Iterable[str]) -> tuple[HostPackage, ...]:
    """Return the packages that meet one of the needs, each name once, in the recipe's order."""
    wanted = set(needs)
    chosen: dict[str, HostPackage] = {}
    for package in packages:
        if package.need in wanted:
            chosen.setdefault(package.name, package)
    return tuple(chosen.values())


def explain_failure(output: str, failure: FailedError, rerun: str = "the same command") -> MachineError | None:
    """Turn a failure of apt or dpkg into an error that names its cause and the next command.

    Args:
        output: what the program printed.
        failure: the failure.
        rerun: the command to run again after the cause is removed.

    Returns:
        the error; None if the cause is unknown.
    """
    for pattern, why, command, hint in _CAUSES:
        if re.search(pattern, output):
            again = f"then run {rerun} again"
            return MachineError(f"{why}; {failure.what}", command, hint=f"{hint}, {again}" if hint else again)
    return None


def _pin(names: str, suite: str, priority: int, why: str) -> str:
    return f"Explanation: {why}\nPackage: {names}\nPin: release n={suite}\nPin-Priority: {priority}\n"


def _run(arguments: Sequence[str], before: Sequence[str] = ()) -> list[str]:
    """Run apt or dpkg; its output goes to the log.

    Args:
        arguments: the program and its arguments.
        before: lines of an earlier program that may explain a failure of this one.

    Returns:
        the lines it printed.

    Raises:
        MachineError: it failed; with the cause and the next command.
    """
    lines: list[str] = []

    def keep(line: str) -> str:
        lines.append(line)
        return line

    try:
        process.stream(arguments, LOG, keep, env=_ENVIRONMENT)
    except FailedError as failure:
        error = explain_failure("\n".join([*before, *lines]), failure, "./inv setup")
        unknown = MachineError(failure.what, f"less {LOG}", hint="then run ./inv setup again")
        raise error or unknown from failure
    return lines
