"""The mirrors of this machine's apt sources, with the options that they have there, and the one that a user names.

apt itself says which mirror serves a suite (`apt-get update --print-uris`). The options are read from the files of the
sources: sources.list(5), in both formats.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from armwright.host import apt
from armwright.host.needs import HostRecipe
from armwright.system import process
from armwright.system.errors import InputError

MIRROR_VARIABLE = "ARMWRIGHT_MIRROR"
_FOLDER = Path("/etc/apt")
_SITE = re.compile(r"(https?|file|copy)://[^\s'\"\[\]]+")
_ONE_LINE = re.compile(r"deb(?:-src)?\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<site>\S+)\s+(?P<suite>\S+)")
_AGE = ("check-valid-until", "check-date")  # options that accept an archive whose indexes are old


@dataclass(frozen=True)
class AptSource:
    """One source of this machine.

    Attributes:
        site: the address of the mirror; it may contain a password.
        suites: the suites to take from it.
        options: its options, by their names in the one-line format.
        mode: the permissions of the file that it stands in: a copy of it is as private as that file.
    """

    site: str
    suites: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    mode: int = 0o644

    @property
    def age_options(self) -> tuple[str, ...]:
        """The options that accept old indexes, as in the one-line format."""
        return tuple(f"{name}=no" for name in _AGE if self.options.get(name, "").lower() in {"no", "false", "0"})

    @property
    def keyrings(self) -> tuple[str, ...]:
        """The key files that this machine accepts for the mirror. Keys written inside a source do not count."""
        return tuple(name for name in re.split(r"[,\s]+", self.options.get("signed-by", "")) if name.startswith("/"))


def find_mirrors(suites: Sequence[str], release: Mapping[str, str]) -> dict[str, AptSource]:
    """Find where a distribution's suites come from.

    Args:
        suites: the names of a Debian release's suites, the release itself first: "trixie", "trixie-security".
        release: this machine's os-release.

    Returns:
        a source for each suite; empty if this machine is not a Debian, or has no mirror for one of the suites.

    Raises:
        InputError: ARMWRIGHT_MIRROR does not hold one or two addresses.
    """
    named = read_named_mirror()
    if named:
        sites = {suite: named[1] if suite.endswith("-security") else named[0] for suite in suites}
        return {suite: AptSource(site, (suite,)) for suite, site in sites.items()}
    if release.get("ID") != "debian":
        return {}
    codename, first = release.get("VERSION_CODENAME", ""), suites[0]
    listing = process.capture(["apt-get", "update", "--print-uris"])
    sources, found = read_sources(), {}
    for suite in suites:
        own = codename + suite.removeprefix(first)
        site = apt.find_mirror(own, listing)
        if site is None:  # no source for security updates: rather the public archive than a root without them
            return {}
        found[suite] = find_source(sources, site, own)
    return found


def read_named_mirror() -> tuple[str, str] | None:
    """Return the mirrors that ARMWRIGHT_MIRROR names for a release and for its security updates; None if it is unset.

    Raises:
        InputError: it does not hold one or two addresses. They are not repeated: they may hold passwords.
    """
    words = os.environ.get(MIRROR_VARIABLE, "").split()
    if not words:
        return None
    if len(words) > 2 or not all(_SITE.fullmatch(word) for word in words):  # noqa: PLR2004 - one for each archive
        what = (
            f"{MIRROR_VARIABLE} is not the address of a mirror, or two: the archive's and that of its security updates"
        )
        raise InputError(f"{what}; nothing was started", f"unset {MIRROR_VARIABLE}")
    sites = [word.rstrip("/") for word in words]
    return sites[0], sites[-1] if len(sites) > 1 else f"{sites[0]}-security"


def find_source(sources: Iterable[AptSource], site: str, suite: str) -> AptSource:
    """Return the source of a mirror and a suite; one without options if no readable file has it."""
    own = (source for source in sources if _strip(source.site) == _strip(site) and suite in source.suites)
    return replace(next(own, AptSource(site, ())), site=site, suites=(suite,))


def render_source(recipe: HostRecipe, source: AptSource) -> str:
    """Return the deb822 source that adds the recipe's suites from the host's mirror, with the options that it has."""
    keyrings = dict.fromkeys([recipe.keyring, *source.keyrings])
    ages = [f"{option.replace('=', ': ').title()}\n".replace(": No", ": no") for option in source.age_options]
    trusted = ["Trusted: yes\n"] if source.options.get("trusted", "").lower() in {"yes", "true", "1"} else []
    return (
        f"# {apt.SOURCES}: written by `./inv setup` from recipes/hosts/; remove it together with {apt.PREFERENCES}\n"
        "Types: deb\n"
        f"URIs: {source.site}\n"
        f"Suites: {' '.join(suite.name for suite in recipe.suites)}\n"
        f"Components: {' '.join(recipe.components)}\n"
        f"Signed-By: {' '.join(keyrings)}\n" + "".join([*ages, *trusted])
    )


def _strip(site: str) -> str:
    """Return a mirror's address without a password and without the last slash."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", site).rstrip("/")


def read_sources(folder: Path = _FOLDER) -> list[AptSource]:
    """Return the sources in a folder like /etc/apt. Files that this user cannot read are skipped."""
    paths = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    found: list[AptSource] = []
    for path in paths:
        try:
            text, mode = path.read_text(encoding="utf-8", errors="replace"), path.stat().st_mode & 0o666
        except OSError:
            continue
        parse = {".sources": parse_deb822, ".list": parse_lines}.get(path.suffix)
        found += (replace(source, mode=mode) for source in (parse(text) if parse else ()))
    return found


def parse_lines(text: str) -> Iterator[AptSource]:
    """Parse the one-line format: `deb [option=value …] site suite component …`."""
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if match:
            options = dict(word.split("=", 1) for word in (match["options"] or "").split() if "=" in word)
            yield AptSource(match["site"], (match["suite"],), {name.lower(): value for name, value in options.items()})


def parse_deb822(text: str) -> Iterator[AptSource]:
    """Parse the deb822 format: blocks of fields; a line that begins with a blank continues a field."""
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() not in {"no", "false", "0"}:
            suites = tuple(fields.get("suites", "").split())
            yield from (AptSource(site, suites, fields) for site in fields.get("uris", "").split())
