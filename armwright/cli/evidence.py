"""The evidence that is here: shown, compared, and verified against itself, its plan and the image in the engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from armwright.engine.client import Engine
from armwright.matrix import selection
from armwright.matrix.matrix import Matrix
from armwright.pipeline import documents
from armwright.proof import check_evidence, compare, evidence, verify, wording
from armwright.proof.check_evidence import NoEvidenceError
from armwright.proof.evidence import Evidence
from armwright.proof.verify import EvidenceFile, Verified
from armwright.system import console
from armwright.system.errors import InputError, MachineError, nearest

ACTIONS = ("show", "diff", "verify", "schema")
HELP = "invoke evidence --help"


def run(matrix: Matrix, action: str, words: str, *, times: bool = False, as_json: bool = False) -> int:
    """Do what `invoke evidence` was asked for.

    Args:
        matrix: the loaded matrix.
        action: show, diff, verify or schema.
        words: combos, globs over them, or files, with commas between; empty: all that is under build/evidence.
        times: compare times and memory too.
        as_json: one JSON document instead of words.

    Returns:
        the exit code: 1 when two proofs differ, or when one is refused.

    Raises:
        InputError: there is no such action, or no such evidence.
    """
    if action not in ACTIONS:
        raise InputError(f"evidence has no action '{action}': {nearest(action, ACTIONS)}", HELP)
    if action == "schema":
        console.document(documents.json_schema(Evidence))
        return 0
    found = find(matrix, words)
    if action == "verify":
        return _verify(matrix, found, as_json=as_json)
    if action == "show":
        _show([_read(one) for one in found], as_json=as_json)
        return 0
    if len(found) != 2:  # noqa: PLR2004 - a difference is between two
        raise InputError(f"a difference is between two proofs, and here are {len(found)}", f"{HELP}: --of A,B")
    return _diff(found, times=times, as_json=as_json)


def find(matrix: Matrix, words: str) -> list[EvidenceFile]:
    """Find evidence by combos, globs over combos, or files.

    Raises:
        InputError: a word means nothing, or there is no such evidence.
    """
    folder = evidence.evidence_path(matrix.root, "any").parent
    if not words:
        found = [EvidenceFile(file.stem, file) for file in sorted(folder.glob("*.json"))]
        if not found:
            raise InputError("there is no evidence here yet", "invoke build, or invoke smoke")
        return found
    return [one for word in words.split(",") for one in _meant(matrix, word.strip())]


def _meant(matrix: Matrix, word: str) -> list[EvidenceFile]:
    file = Path(word)
    if file.is_file() or "/" in word or word.endswith(".json"):
        if not file.is_file():
            raise InputError(f"there is no file {word!r}", HELP)
        return [EvidenceFile(word, file)]
    combos = selection.match_combos(matrix, selection.Selector(combo=word))
    found = [EvidenceFile(one.id, evidence.evidence_path(matrix.root, one.id)) for one in combos]
    there = [one for one in found if one.file.is_file()]
    if not there:
        raise InputError(f"there is no evidence of {word!r}", f"invoke smoke --combo {found[0].name}")
    return there


def _read(file: EvidenceFile) -> Evidence:
    """Read evidence to show it.

    Raises:
        InputError: it is none.
    """
    try:
        return check_evidence.read_evidence(file.file.read_text(encoding="utf-8"))
    except (NoEvidenceError, UnicodeDecodeError) as error:
        raise InputError(f"{file.name} is no evidence: {error}", "invoke smoke makes it anew") from error


def _show(proofs: Sequence[Evidence], *, as_json: bool) -> None:
    if as_json:
        console.document([wording.proof_document(proof) for proof in proofs])
        return
    if len(proofs) > wording.FEW:
        rows = [[proof.combo, _state(proof), wording.proof_line(proof)] for proof in proofs]
        console.table("evidence", ["combo", "state", "what it comes to"], rows)
        return
    for proof in proofs:
        _frame(proof)
        wording.print_proof(proof)
        wording.print_conclusion(proof)


def _state(proof: Evidence) -> str:
    return "fail" if check_evidence.find_contradictions(proof) else "proven"


def _frame(proof: Evidence) -> None:
    """Say what is around the report, and lay out its answers."""
    report = proof.report
    emulated = proof.match != "real"
    rows = [
        ["image", proof.image],
        ["inputs", proof.inputs],
        ["platform, engine", f"{proof.platform}, Docker {proof.engine}"],
        ["CPU", f"emulated by {proof.emulator}; match: {proof.match}" if emulated else f"real: {report.cpu.title}"],
        ["size", f"{console.megabytes(proof.compressed_bytes)}, {console.megabytes(proof.unpacked_bytes)} unpacked"],
        ["peak memory", console.megabytes(report.peak_memory_bytes)],
        ["times", f"{report.seconds:.0f} s, {'emulated: no measure of speed' if emulated else 'real'}"],
        ["versions", ", ".join(f"{name} {version}" for name, version in sorted(report.versions.items()))],
        ["fingerprint", f"{evidence.fingerprint(proof)}, over all but times and memory"],
    ]
    console.table(f"evidence of {proof.combo}", ["what", "found"], rows)
    runs = [
        [
            run.workload, run.dtype, f"{run.metric.name} {run.metric.value:.4f} of {run.samples}",
            f"{run.metric.minimum:g}", f"{run.largest_error:.2g}", f"{run.worst:.2g}", f"{run.seconds:.1f}",
        ]
        for run in report.runs
    ]  # fmt: skip
    columns = ["workload", "data type", "metric", "at least", "largest error", "of the tolerated", "s"]
    console.table("answers", columns, runs)


def _diff(found: Sequence[EvidenceFile], *, times: bool, as_json: bool) -> int:
    first, second = (_read(one) for one in found)
    rows = compare.compare_evidence(first, second, times=times)
    same = evidence.fingerprint(first) == evidence.fingerprint(second)
    names = [one.name for one in found]
    if as_json:
        console.document({"of": names, "same": same, "differences": [row._asdict() for row in rows]})
    elif rows:
        console.table("", ["what", *names], rows)
    if same:
        console.say(f"{names[0]} and {names[1]} are the same but for times and memory", "green")
    return 0 if same else 1


def _verify(matrix: Matrix, found: Sequence[EvidenceFile], *, as_json: bool) -> int:
    try:
        engine = Engine()
    except MachineError:
        engine = None
    results = [verify.verify_evidence(matrix, one, engine) for one in found]
    refused = [one for one in results if one.problems]
    if as_json:
        documents = [
            {
                "name": one.name, "holds": not one.problems, "not_compared": one.not_compared,
                "problems": [problem._asdict() for problem in one.problems],
            }
            for one in results
        ]  # fmt: skip
        console.document(documents)
    else:
        rows = [[one.name, "fail" if one.problems else "ok", _told(one)] for one in results]
        console.table("", ["evidence", "state", "what was found"], rows)
    if refused:
        console.say(f"{len(refused)} of {len(results)} refused; invoke smoke proves them anew", "red")
    return 1 if refused else 0


def _told(result: Verified) -> str:
    if result.problems:
        return "; ".join(f"{problem.part}: {problem.words}" for problem in result.problems)
    left = f"; not compared: {', '.join(result.not_compared)}" if result.not_compared else ""
    return f"holds{left}"
