"""The command `bump`: find newer versions on the package index, judge them, and propose the newest that is good."""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.version import InvalidVersion, Version

from armwright.bump import candidates, proposal
from armwright.bump.candidates import Candidate
from armwright.bump.models import bases_of, published_versions
from armwright.bump.proposal import Proposal
from armwright.fetch import package_index
from armwright.matrix.matrix import Matrix
from armwright.matrix.rules import order
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.system import console
from armwright.system.errors import FailedError, InputError, nearest


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        framework: the framework.
        model: its newest published version that is a wheel from the index.
        distribution: the Python distribution of that version.
        base: the newest distribution below its versions.
    """

    framework: Framework
    model: str
    distribution: str
    base: Base


def run(matrix: Matrix, framework: str, version: str = "", *, write: bool = False, as_json: bool = False) -> None:
    """Look for newer versions, say what was found, and propose one.

    Args:
        matrix: the loaded matrix.
        framework: the framework's name, or one of its other names.
        version: this one; left out: the newest that nothing speaks against.
        write: apply the proposed change.
        as_json: one JSON document: {framework, distribution, base, newest, versions: [{version, verdict, reason}],
            proposed, diff, written}; `proposed` is null and `diff` empty where nothing is proposed.

    Raises:
        InputError: a name is unknown; the version is not newer, not on the index, or refused.
        MachineError: the index cannot be reached.
        FailedError: the index's answer makes no sense.
    """
    search = _search(matrix, framework)
    wanted = _wanted(search, version) if version else None
    judged = _judge(search, wanted)
    judged, found = _propose(matrix, search, judged)
    if wanted is not None and found is None:
        raise InputError(
            f"{search.framework.title} {wanted} is refused: {judged[0].refusal}",
            f"`invoke bump {search.framework.name}` judges every newer version",
        )
    if found is not None and write:
        found.write(matrix.root)
    again = f"invoke bump {search.framework.name}" + (f" --version {wanted}" if wanted else "")
    _show(search, judged, found, again="" if write else f"{again} --write", as_json=as_json)


def _search(matrix: Matrix, word: str) -> Search:
    """Find out what a word asks for.

    Raises:
        InputError: no published framework is called so, or none of its versions is a wheel from the index.
    """
    names = matrix.names("frameworks")
    name = names.get(word.lower())
    if name is None:
        raise InputError(f"the framework {word!r} is not known: {nearest(word, names)}", "invoke bump --help")
    framework = matrix.recipes.frameworks[name]
    known = published_versions(matrix, framework)
    return Search(framework, known[0].version, known[0].distribution, bases_of(known)[0])


def _wanted(search: Search, text: str) -> Version:
    try:
        version = Version(text)
    except InvalidVersion as error:
        raise InputError(f"--version {text!r} is no version", "invoke bump --help") from error
    if version <= order(search.model):
        raise InputError(
            f"--version {text}: {search.framework.title} {search.model} is published; bump looks for newer ones",
            "an older one is added by hand: CONTRIBUTING.md",
        )
    return version


def _judge(search: Search, wanted: Version | None) -> list[Candidate]:
    with console.progress(f"judge what is newer than {search.distribution} {search.model} on the index") as shown:
        asked = package_index.find_package_index()
        newer = candidates.newer(asked.files(search.distribution), order(search.model))
        if wanted is not None and wanted not in newer:
            known = f": {nearest(str(wanted), map(str, newer))}" if newer else ", and nothing that is newer"
            raise InputError(
                f"the package index has no {search.distribution} {wanted}{known}",
                f"`invoke bump {search.framework.name}` judges every newer version",
            )
        judged = []
        for version, files in newer.items():
            if wanted not in {None, version}:
                continue
            shown.update(str(version))
            if str(version) in search.framework.versions:
                judged.append(Candidate(str(version), "it is in the recipe already, and not published"))
            else:
                judged.append(candidates.judge_version(version, files, search.base, asked))
    return judged


def _propose(matrix: Matrix, search: Search, judged: list[Candidate]) -> tuple[list[Candidate], Proposal | None]:
    """Propose the newest version that nothing speaks against; one whose lock is refused is refused."""
    after = list(judged)
    for number, candidate in enumerate(judged):
        if candidate.refusal:
            continue
        try:
            return after, proposal.propose_version(
                matrix, search.framework, search.model, candidate.version, search.base
            )
        except FailedError as failure:
            after[number] = replace(candidate, refusal=failure.what)
    return after, None


def _show(search: Search, judged: list[Candidate], found: Proposal | None, *, again: str, as_json: bool) -> None:
    """Show what was found; `again` is the command that writes it, empty if it was written."""
    name = search.framework.name
    rows = [_row(one, found, search.base) for one in judged]
    if as_json:
        console.document(
            {
                "framework": name,
                "distribution": search.distribution,
                "base": search.base.name,
                "newest": search.model,
                "versions": [dict(zip(("version", "verdict", "reason"), row, strict=True)) for row in rows],
                "proposed": found.version if found else None,
                "diff": found.diff if found else "",
                "written": found is not None and not again,
            }
        )
        return
    if rows:
        console.table("", ["version", "verdict", "reason"], rows)
    if found is None:
        what = "nothing that is newer can be published" if rows else "the index has nothing newer"
        console.say(f"{search.framework.title} {search.model} stays the newest: {what}")
        return
    for line in found.diff.split("\n")[:-1]:
        console.result(line)
    if again:
        console.say(f"nothing was written; this writes it: {again}")
        return
    console.say(f"written: {', '.join(change.path for change in found.changes)}")
    console.say(f"next: invoke build --framework {name} --version {found.version}")
    console.say("then add as `libraries` what its evidence (build/evidence/) found: until then no proof compares them")


def _row(candidate: Candidate, found: Proposal | None, base: Base) -> tuple[str, str, str]:
    if candidate.refusal:
        return candidate.version, "refused", candidate.refusal
    fits = f"a wheel for AArch64 and Python {base.python} with a hash, and no CUDA"
    if found is not None and candidate.version == found.version:
        return candidate.version, "ok", f"{fits}; its lock is good"
    return candidate.version, "ok", f"{fits}; not locked: a newer one is proposed"
