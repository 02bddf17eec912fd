"""A version that is not published: checked against the package index, and proposed as a data change."""

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
from armwright.matrix.rules import NAME_KEY, version_key
from armwright.recipes.frameworks import Framework
from armwright.system import console
from armwright.system.errors import FailedError


class UnpublishableError(Exception):
    """A version cannot be published; the text says why."""


def propose_unpublished(matrix: Matrix, framework: Framework, version: str) -> Proposal:
    """Propose a version that is newer or older than the published ones.

    The model is the next older published version, or the next newer one if there is no older. The base is the newest
    distribution for which the index has a wheel.

    Args:
        matrix: the loaded matrix.
        framework: the framework.
        version: an upstream version.

    Raises:
        UnpublishableError: the version cannot be published.
        InputError: no version of the framework comes from the index, or a program cannot extend the files.
        MachineError: the index cannot be reached.
        FailedError: the index's answer is not valid.
    """
    if version in framework.versions:
        raise UnpublishableError("there is a recipe for it, but matrix.yaml does not publish it")
    published = models.published_versions(matrix, framework)
    refusals: dict[str, None] = {}
    for model, candidate in _candidates(published, framework.name, version):
        refusal = candidate.refusal
        if not refusal:
            try:
                return proposal.propose_version(matrix, framework, model.version, version, model.base)
            except FailedError as error:
                refusal = error.what
        refusals[refusal] = None
    raise UnpublishableError("; ".join(refusals))


def _candidates(
    published: Sequence[PublishedVersion], name: str, version: str
) -> Iterator[tuple[PublishedVersion, Candidate]]:
    """Yield each model and base that the version could have, with the version as a candidate there."""
    wanted = Version(version)
    with console.progress(f"check {name} {version} on the package index") as progress:
        index = package_index.find_package_index()
        for model in _models(published, version):
            progress.update(f"{model.distribution}, as in {model.version}")
            available = candidates.newer(index.files(model.distribution), NAME_KEY)
            if wanted not in available:
                near = difflib.get_close_matches(version, map(str, available), n=3)
                has = f"; it has {', '.join(near)}" if near else ""
                yield model, Candidate(version, f"the package index has no {model.distribution} {version}{has}")
                continue
            for base in models.bases_of(published):
                candidate = candidates.judge_version(wanted, available[wanted], base, index)
                yield model._replace(base=base), candidate


def _models(published: Sequence[PublishedVersion], version: str) -> Iterator[PublishedVersion]:
    """Yield the next older version, else the next newer; also the next newer if its wheels have another name."""
    older = [known for known in published if version_key(known.version) < version_key(version)]
    newer = [known for known in reversed(published) if version_key(known.version) > version_key(version)]
    first = (older or newer)[0]
    yield first
    yield from (model for model in newer[:1] if model.distribution != first.distribution)
