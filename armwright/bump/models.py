"""Published versions of a framework that a new version can be modelled on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from armwright.bump import proposal
from armwright.matrix.matrix import Matrix
from armwright.matrix.rules import order
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.system.errors import InputError


class PublishedVersion(NamedTuple):
    """A published version that a new one can be modelled on, its Python distribution, and the distribution below it."""

    version: str
    distribution: str
    base: Base


def published_versions(matrix: Matrix, framework: Framework) -> list[PublishedVersion]:
    """Return the published versions that are wheels from the index, newest first.

    Raises:
        InputError: there is none.
    """
    known = []
    for version in matrix.versions(framework.name):
        release = framework.versions[version]
        distribution = release.distribution or framework.distribution
        if proposal.pin(release, distribution, version):
            known.append(PublishedVersion(version, distribution, matrix.recipes.bases[release.base]))
    if not known:
        raise InputError(
            f"no version of {framework.title} is a wheel from the index", "add a version by hand: CONTRIBUTING.md"
        )
    return known


def bases_of(known: Iterable[PublishedVersion]) -> list[Base]:
    """Return the distributions below versions, that with the newest Python first."""
    found = {one.base.name: one.base for one in known}
    return sorted(found.values(), key=lambda base: (order(base.python), order(base.glibc)), reverse=True)
