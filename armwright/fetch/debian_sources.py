"""Where apt finds a base's packages: this machine's mirror, or snapshots of the archive at a lock's time."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta

from armwright.host import apt_sources
from armwright.host.apt_sources import AptSource
from armwright.host.inspect import read_os_release
from armwright.recipes.bases import Base
from armwright.system.errors import InputError, MachineError

SNAPSHOT_VARIABLE = "ARMWRIGHT_SNAPSHOT"
KEYRINGS = "/usr/share/keyrings"
_ANY_AGE = ("check-valid-until=no", "check-date=no")
_SITE = re.compile(r"(https?|file|copy)://[^\s'\"\[\]]+")


def list_mirror_sources(base: Base, *, any_age: bool = False) -> list[str]:
    """Return apt sources with this machine's mirrors.

    Args:
        base: the distribution.
        any_age: accept indexes that are no longer valid: for locked packages, whose hashes are known.

    Raises:
        InputError: ARMWRIGHT_MIRROR does not hold one or two addresses.
        MachineError: this machine has no mirror for the base.
    """
    mirrors = apt_sources.find_mirrors(list(base.archive.suites), read_os_release())
    if not mirrors:
        what = f"no apt source of this machine is a mirror of Debian with security updates, which {base.name} needs"
        hint = f"set {apt_sources.MIRROR_VARIABLE} to the addresses of the archive and of its security updates"
        raise MachineError(what, "apt-get update --print-uris", hint=hint)
    return [_render(base, suite, source, *(_ANY_AGE if any_age else ())) for suite, source in mirrors.items()]


def find_snapshots(base: Base) -> list[str]:
    """Return the sites that keep old packages: those in ARMWRIGHT_SNAPSHOT, or those in the recipe.

    Raises:
        InputError: the variable holds something else than addresses.
    """
    sites = os.environ.get(SNAPSHOT_VARIABLE)
    if sites is None:
        return base.archive.snapshots
    wrong = [site for site in sites.split() if not _SITE.fullmatch(site)]
    if wrong:
        what = f"{SNAPSHOT_VARIABLE}: {wrong[0]!r} is not an address such as {base.archive.snapshots[0]}"
        raise InputError(what, f"unset {SNAPSHOT_VARIABLE}", hint="several addresses are separated by blanks")
    return [site.rstrip("/") for site in sites.split()]


def list_snapshot_sources(base: Base, site: str, date: str, *, signed: bool = True) -> list[str]:
    """Return apt sources of one snapshot site, for each time at which it may have had the packages of a lock.

    A snapshot answers with its newest copy before a time, and is copied hours after the archive was published.

    Args:
        base: the distribution.
        site: the address of the snapshot site.
        date: the time of the lock.
        signed: require the archive's signature; without it, the hashes in the lock alone vouch for the packages.
    """
    times = [datetime.fromisoformat(date) + timedelta(hours=hours) for hours in base.archive.snapshot_hours]
    lines = []
    for time in times:
        stamp = time.strftime("%Y%m%dT%H%M%SZ")
        for suite, folder in base.archive.suites.items():
            source = AptSource(f"{site}/{folder}/{stamp}", (suite,))
            lines.append(_render(base, suite, source, *_ANY_AGE, *([] if signed else ["trusted=yes"])))
    return lines


def _render(base: Base, suite: str, source: AptSource, *options: str) -> str:
    keyrings = ",".join([f"{KEYRINGS}/{base.archive.keyring}", *source.keyrings])
    settings = " ".join([f"signed-by={keyrings}", *dict.fromkeys([*source.age_options, *options])])
    return f"deb [{settings}] {source.site} {suite} main"
