"""The command `bump`: find newer versions on the package index, check them, and propose the newest acceptable one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.version import InvalidVersion, Version

from armwright.bump import candidates, proposal
from armwright.bump.candidates import Candidate
from armwright.bump.models import bases_of, published_versions
from armwright.bump.proposal import Proposal
from armwright.fetch import package_index
from armwright.matrix.matrix import Matrix
from armwright.matrix.rules import version_key
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.system import console
from armwright.system.errors import FailedError, InputError, nearest
from armwright.system.table_layout import Cell


@dataclass(frozen=True)
class Search:
    """What to look for on the index.

    Attributes:
        framework: the framework.
        model: its newest published version that is a wheel from the index.
        distribution: the Python distribution of that version.
        base: the base with the newest Python that its versions use.
    """

    framework: Framework
    model: str
    distribution: str
    base: Base


def run(matrix: Matrix, framework: str, version: str = "", *, write: bool = False, as_json: bool = False) -> None:
    """Look for newer versions, print a verdict on each, and propose one.

    Args:
        matrix: the loaded matrix.
        framework: the framework's name, or one of its aliases.
        version: the version to propose; the newest acceptable one if empty.
        write: apply the proposed change.
        as_json: print one JSON document: {framework, distribution, base, newest, versions, proposed, diff, written},
            versions a list of {version, verdict, reason}; `proposed` is null and `diff` empty if no version is
            acceptable.

    Raises:
        InputError: a name is unknown, or the version is not newer, not on the index, or refused.
        MachineError: the index cannot be reached.
        FailedError: the index answers with invalid data.
    """
    search = _make_search(matrix, framework)
    requested = _parse_version(search, version) if version else None
    checked = _check_versions(search, requested)
    checked, proposed = _propose(matrix, search, checked)
    if requested is not None and proposed is None:
        raise InputError(
            f"{search.framework.title} {requested} is refused: {checked[0].refusal}",
            f"invoke bump {search.framework.name}",
            hint="without --version the command checks every newer version",
        )
    if proposed is not None and write:
        proposed.write(matrix.root)
    command = f"invoke bump {search.framework.name}" + (f" --version {requested}" if requested else "")
    _show(search, checked, proposed, write_command="" if write else f"{command} --write", as_json=as_json)


def _make_search(matrix: Matrix, given: str) -> Search:
    """Find a framework by its name or alias, and the version to model a new one on.

    Raises:
        InputError: no published framework has this name, or none of its versions is a wheel from the index.
    """
    names = matrix.names("frameworks")
    name = names.get(given.lower())
    if name is None:
        raise InputError(f"the framework {given!r} is not known: {nearest(given, names)}", "invoke bump --help")
    framework = matrix.recipes.frameworks[name]
    published = published_versions(matrix, framework)
    return Search(framework, published[0].version, published[0].distribution, bases_of(published)[0])


def _parse_version(search: Search, text: str) -> Version:
    try:
        version = Version(text)
    except InvalidVersion as error:
        raise InputError(f"--version {text!r} is not a version", "invoke bump --help") from error
    if version <= version_key(search.model):
        raise InputError(
            f"--version {text}: {search.framework.title} {search.model} is published; bump proposes newer ones only",
            f"invoke bump {search.framework.name}",
            hint="docs/how-to/add-a-version.md shows how to add an older version manually",
        )
    return version


def _check_versions(search: Search, requested: Version | None) -> list[Candidate]:
    with console.progress(f"check versions newer than {search.distribution} {search.model} on the index") as progress:
        index = package_index.find_package_index()
        newer = candidates.newer(index.files(search.distribution), version_key(search.model))
        if requested is not None and requested not in newer:
            known = f": {nearest(str(requested), map(str, newer))}" if newer else " and no newer version"
            raise InputError(
                f"the package index has no {search.distribution} {requested}{known}",
                f"invoke bump {search.framework.name}",
                hint="without --version the command checks every newer version",
            )
        checked = []
        for version, files in newer.items():
            if requested not in {None, version}:
                continue
            progress.update(str(version))
            if str(version) in search.framework.versions:
                checked.append(Candidate(str(version), "it is in the recipe, but not published"))
            else:
                checked.append(candidates.judge_version(version, files, search.base, index))
    return checked


def _propose(matrix: Matrix, search: Search, checked: list[Candidate]) -> tuple[list[Candidate], Proposal | None]:
    """Propose the newest acceptable version; a version whose lock cannot be resolved is refused."""
    after = list(checked)
    for number, candidate in enumerate(checked):
        if candidate.refusal:
            continue
        try:
            return after, proposal.propose_version(
                matrix, search.framework, search.model, candidate.version, search.base
            )
        except FailedError as failure:
            after[number] = replace(candidate, refusal=failure.what)
    return after, None


def _show(
    search: Search, checked: list[Candidate], proposed: Proposal | None, *, write_command: str, as_json: bool
) -> None:
    """Print the verdicts and the proposal; `write_command` applies it, and is empty if it was applied."""
    name = search.framework.name
    rows = [_row(candidate, proposed, search.base) for candidate in checked]
    if as_json:
        console.document(
            {
                "framework": name,
                "distribution": search.distribution,
                "base": search.base.name,
                "newest": search.model,
                "versions": [dict(zip(("version", "verdict", "reason"), row, strict=True)) for row in rows],
                "proposed": proposed.version if proposed else None,
                "diff": proposed.diff if proposed else "",
                "written": proposed is not None and not write_command,
            }
        )
        return
    if rows:
        styles = {"ok": console.GOOD, "refused": console.QUIET}
        cells = [(version, Cell(verdict, styles[verdict]), reason) for version, verdict, reason in rows]
        console.table("", ["version", "verdict", "reason"], cells)
    if proposed is None:
        reason = "no newer version can be published" if rows else "the index has no newer version"
        console.say(f"{search.framework.title} {search.model} is still the newest version: {reason}")
        return
    for line in proposed.diff.split("\n")[:-1]:
        console.result(line)
    if write_command:
        console.say(f"nothing was written; to write the changes, run: {write_command}")
        return
    console.say(f"written: {', '.join(change.path for change in proposed.changes)}")
    console.say(f"next: invoke build --framework {name} --version {proposed.version}")
    console.say("then copy the library versions from build/evidence/ to `libraries` in the recipe: proofs compare them")


def _row(candidate: Candidate, proposed: Proposal | None, base: Base) -> tuple[str, str, str]:
    if candidate.refusal:
        return candidate.version, "refused", candidate.refusal
    reason = f"a wheel for AArch64 and Python {base.python} with a hash, without CUDA"
    if proposed is not None and candidate.version == proposed.version:
        return candidate.version, "ok", f"{reason}; its lock resolves"
    return candidate.version, "ok", f"{reason}; not locked, because a newer one is proposed"
