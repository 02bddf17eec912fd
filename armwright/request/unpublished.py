"""A version that is not published: judged by what the package index has of it, and proposed as a change of data."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from packaging.version import Version

from armwright.bump import candidates, models, proposal
from armwright.bump.candidates import Candidate
from armwright.bump.models import PublishedVersion
from armwright.bump.proposal import Proposal
from armwright.fetch import package_index
from armwright.matrix.matrix import Matrix
from armwright.matrix.rules import NAMED, order
from armwright.recipes.frameworks import Framework
from armwright.system import console
from armwright.system.errors import FailedError


class UnfitError(Exception):
    """A version cannot be published; the text says why."""


def propose_unpublished(matrix: Matrix, framework: Framework, version: str) -> Proposal:
    """Propose a version, newer or older than the published ones.

    It is modelled on the next older one that is published, else on the next newer one, and put on the newest
    distribution for which it has a wheel.

    Args:
        matrix: the loaded matrix.
        framework: the framework.
        version: one of upstream's.

    Raises:
        UnfitError: something speaks against it.
        InputError: no version of the framework comes from the index, or a program cannot extend the files.
        MachineError: the index cannot be reached.
        FailedError: the index's answer makes no sense.
    """
    if version in framework.versions:
        raise UnfitError("its recipe is there, and matrix.yaml does not name it")
    known = models.published_versions(matrix, framework)
    against: dict[str, None] = {}
    for model, judged in _judged(known, framework.name, version):
        refusal = judged.refusal
        if not refusal:
            try:
                return proposal.propose_version(matrix, framework, model.version, version, model.base)
            except FailedError as failure:
                refusal = failure.what
        against[refusal] = None
    raise UnfitError("; ".join(against))


def _judged(known: Sequence[PublishedVersion], name: str, version: str) -> Iterator[tuple[PublishedVersion, Candidate]]:
    """Yield what the version may be modelled on and put on, and what speaks against it there."""
    wanted = Version(version)
    with console.progress(f"judge {name} {version} by what the package index has of it") as shown:
        asked = package_index.of_this_host()
        for model in _models(known, version):
            shown.update(f"{model.distribution}, as in {model.version}")
            there = candidates.newer(asked.files(model.distribution), NAMED)
            if wanted not in there:
                near = difflib.get_close_matches(version, map(str, there), n=3)
                has = f"; it has {', '.join(near)}" if near else ""
                yield model, Candidate(version, f"the package index has no {model.distribution} {version}{has}")
                continue
            for base in models.bases_of(known):
                yield model._replace(base=base), candidates.judge_version(wanted, there[wanted], base, asked)


def _models(known: Sequence[PublishedVersion], version: str) -> Iterator[PublishedVersion]:
    """Yield the next older version, else the next newer; that one too where its wheels are called otherwise."""
    older = [one for one in known if order(one.version) < order(version)]
    newer = [one for one in reversed(known) if order(one.version) > order(version)]
    first = (older or newer)[0]
    yield first
    yield from (one for one in newer[:1] if one.distribution != first.distribution)
