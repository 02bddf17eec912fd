"""The distribution's package manager: where it gets packages from, what is half done, and its failures in words."""

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

_PINNED = 600  # above the release's 500: a package named with a suite comes from that suite, upgrades included
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
_PATIENT = ("-o", "DPkg::Lock::Timeout=60")  # another apt at work is waited for, up to a minute
_RELEASE_FILE = re.compile(r"'(?P<site>\S+)/dists/(?P<suite>[^/']+)/InRelease'")

_AGAIN = "then: ./inv setup"

# What apt and dpkg print -> what it means and what helps. The first that fits is told.
_CAUSES = (
    (
        r"Could not get lock|Unable to acquire the dpkg",
        "another package manager is at work",
        f"wait for it, {_AGAIN}",
    ),
    (
        r"No space left|don't have enough free space",
        "the disk is full",
        f"free some space (docker system prune), {_AGAIN}",
    ),
    (
        r"Could not (?:resolve|connect)|Unable to connect|Connection (?:failed|timed out|refused)|Failed to fetch",
        "the package mirror cannot be reached",
        f"check the network and apt's proxy (apt-get update), {_AGAIN}",
    ),
    (
        r"NO_PUBKEY|is not signed|EXPKEYSIG",
        "the package mirror's signature is not trusted",
        f"apt-get install --reinstall debian-archive-keyring, {_AGAIN}",
    ),
    (
        r"Unable to locate package|no installation candidate|Version '.*' .*was not found",
        "the mirror does not have a package",
        "compare recipes/hosts/ with your mirror",
    ),
    (
        r"Conflicts:|unmet dependencies|held broken packages",
        "the packages conflict with what is installed",
        f"apt-get install --fix-broken, {_AGAIN}",
    ),
)


def find_mirror(codename: str, listing: str) -> str | None:
    """Find the host's own mirror of its distribution.

    Args:
        codename: the release, e.g. "bookworm".
        listing: what `apt-get update --print-uris` prints: works offline, and before the first update.

    Returns:
        the mirror's URI as it would stand in a source; None if no source names the release.
    """
    sites = {found["suite"]: found["site"] for found in _RELEASE_FILE.finditer(listing)}
    return sites.get(codename)


def render_sources(recipe: HostRecipe, site: str) -> str:
    """Return the deb822 source that adds the recipe's suites on the host's own mirror."""
    return (
        f"# {SOURCES}: written by armwright's setup from recipes/hosts/; remove it together with {PREFERENCES}\n"
        "Types: deb\n"
        f"URIs: {site}\n"
        f"Suites: {' '.join(suite.name for suite in recipe.suites)}\n"
        f"Components: {' '.join(recipe.components)}\n"
        f"Signed-By: {recipe.keyring}\n"
    )


def render_preferences(recipe: HostRecipe) -> str:
    """Return the pins: nothing from an added suite but the packages that the recipe takes from it."""
    blocks = []
    for suite in recipe.suites:
        named = sorted({package.name for package in recipe.packages if package.suite == suite.name})
        if suite.priority is not None:
            blocks.append(_pin("*", suite.name, suite.priority, suite.why))
        blocks.append(_pin(" ".join(named), suite.name, _PINNED, f"what the recipe takes from {suite.name}"))
    return "\n".join(blocks)


def list_unfinished() -> frozenset[str]:
    """Return the packages an interrupted run left between unpacked and configured."""
    listing = process.capture(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n"], check=False)
    halfway = {"unpacked", "half-configured", "half-installed", "triggers-awaited", "triggers-pending"}
    rows = (line.split(" ", 1) for line in listing.splitlines())
    return frozenset(name for name, state in rows if state in halfway)


def is_journal_pending(folder: Path = Path("/var/lib/dpkg/updates")) -> bool:
    """Say whether dpkg was killed in the middle: it then refuses everything but `dpkg --configure -a`."""
    return folder.is_dir() and any(folder.iterdir())


def find_owner(program: str) -> str:
    """Return the package a program's file belongs to; empty if none does (installed by hand)."""
    found = process.capture(["dpkg-query", "--search", str(Path(program).resolve())], check=False)
    return found.split(":", 1)[0].strip()


def configure_pending() -> None:
    """Finish what an interrupted run left. Raises MachineError with the cause."""
    _run(["dpkg", "--configure", "-a"])


def install_packages(names: Iterable[str]) -> None:
    """Fetch the package lists and install packages without what they merely recommend.

    Raises:
        MachineError: with the cause and the next command.
    """
    # apt-get update succeeds although a mirror is silent; the install that fails later has its words for the cause.
    warned = _run(["apt-get", "update", *_PATIENT])
    _run(["apt-get", "install", "-y", "--no-install-recommends", *_PATIENT, *names], warned)


def select_packages(packages: Iterable[HostPackage], needs: Iterable[str]) -> tuple[HostPackage, ...]:
    """Return the packages that serve one of the needs, each name once, in the recipe's order."""
    wanted = set(needs)
    chosen: dict[str, HostPackage] = {}
    for package in packages:
        if package.need in wanted:
            chosen.setdefault(package.name, package)
    return tuple(chosen.values())


def explain_failure(said: str) -> tuple[str, str]:
    """Return what apt's or dpkg's words mean, and the next command; two empty strings if they are unknown."""
    return next(((why, mend) for pattern, why, mend in _CAUSES if re.search(pattern, said)), ("", ""))


def _pin(names: str, suite: str, priority: int, why: str) -> str:
    return f"Explanation: {why}\nPackage: {names}\nPin: release n={suite}\nPin-Priority: {priority}\n"


def _run(arguments: Sequence[str], before: Sequence[str] = ()) -> list[str]:
    """Run a program of the package manager, its words going to the log.

    Args:
        arguments: program and words.
        before: what earlier programs printed that may explain a failure of this one.

    Returns:
        the lines it printed.

    Raises:
        MachineError: with the cause and the next command.
    """
    said: list[str] = []

    def keep(line: str) -> str:
        said.append(line)
        return line

    try:
        process.stream(arguments, LOG, keep, env=_ENVIRONMENT)
    except FailedError as failure:
        why, mend = explain_failure("\n".join([*before, *said]))
        what = f"{why}; {failure.what}" if why else failure.what
        raise MachineError(what, mend or f"read {LOG}, mend it, {_AGAIN}") from failure
    return said
