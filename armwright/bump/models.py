"""Published versions of a framework that a new version can be modelled on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from armwright.bump import proposal
from armwright.matrix.matrix import Matrix
from armwright.matrix.rules import version_key
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.system.errors import InputError


class PublishedVersion(NamedTuple):
    """A published version that a new one can be modelled on, with its Python distribution and its base."""

    version: str
    distribution: str
    base: Base


def published_versions(matrix: Matrix, framework: Framework) -> list[PublishedVersion]:
    """Return the published versions whose wheels come from the package index, newest first.

    Raises:
        InputError: the framework has no such version.
    """
    published = []
    for version in matrix.versions(framework.name):
        release = framework.versions[version]
        distribution = release.distribution or framework.distribution
        if proposal.pin(release, distribution, version):
            published.append(PublishedVersion(version, distribution, matrix.recipes.bases[release.base]))
    if not published:
        raise InputError(
            f"no version of {framework.title} is a wheel from the index",
            f"invoke list --framework {framework.name} --all",
            hint="docs/how-to/add-a-version.md shows how to add a version manually",
        )
    return published


def bases_of(published: Iterable[PublishedVersion]) -> list[Base]:
    """Return the bases of versions, the one with the newest Python first."""
    bases = {version.base.name: version.base for version in published}
    return sorted(bases.values(), key=lambda base: (version_key(base.python), version_key(base.glibc)), reverse=True)
