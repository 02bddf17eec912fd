"""The command `evidence`: show proofs, compare two of them, or verify them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from armwright.engine.client import Engine
from armwright.matrix import selection
from armwright.matrix.matrix import Matrix
from armwright.pipeline import documents
from armwright.proof import check_evidence, compare, evidence, verify, wording
from armwright.proof.check_evidence import InvalidEvidenceError
from armwright.proof.evidence import Evidence
from armwright.proof.verify import EvidenceFile, Verification
from armwright.system import console
from armwright.system.console import BAD, GOOD
from armwright.system.errors import InputError, MachineError, nearest
from armwright.system.table_layout import Cell

ACTIONS = ("show", "diff", "verify", "schema")
HELP = "invoke evidence --help"


def run(matrix: Matrix, action: str, of: str, *, times: bool = False, as_json: bool = False) -> int:
    """Run one action of `invoke evidence`.

    Args:
        matrix: the loaded matrix.
        action: show, diff, verify or schema.
        of: combos, globs over combos, or files, separated by commas; empty for all evidence in build/evidence.
        times: for diff: compare times and memory too.
        as_json: print one JSON document on stdout.

    Returns:
        the exit code: 1 if two proofs differ, or if one is rejected.

    Raises:
        InputError: there is no such action, or no such evidence.
    """
    if action not in ACTIONS:
        raise InputError(f"unknown action {action!r}: {nearest(action, ACTIONS)}", HELP)
    if action == "schema":
        console.document(documents.make_json_schema(Evidence))
        return 0
    files = find_evidence(matrix, of)
    if action == "verify":
        return _verify(matrix, files, as_json=as_json)
    if action == "show":
        _show([_read(file) for file in files], as_json=as_json)
        return 0
    if len(files) != 2:  # noqa: PLR2004 - the two that are compared
        hint = "name two, for example --of pytorch-2.10.0-n1-acl,/tmp/before.json"
        raise InputError(f"evidence diff compares two proofs, but {len(files)} were selected", HELP, hint=hint)
    return _diff(files, times=times, as_json=as_json)


def find_evidence(matrix: Matrix, of: str) -> list[EvidenceFile]:
    """Find evidence by combos, globs over combos, or files, separated by commas; all of it if nothing is given.

    Raises:
        InputError: a name matches nothing, or there is no evidence.
    """
    folder = evidence.evidence_path(matrix.root, "any").parent
    if not of:
        files = [EvidenceFile(path.stem, path) for path in sorted(folder.glob("*.json"))]
        if not files:
            raise InputError("there is no evidence yet", "invoke build", hint="invoke smoke proves images that exist")
        return files
    return [file for name in of.split(",") for file in _find_named(matrix, name.strip())]


def _find_named(matrix: Matrix, name: str) -> list[EvidenceFile]:
    path = Path(name)
    if path.is_file() or "/" in name or name.endswith(".json"):
        if not path.is_file():
            raise InputError(f"there is no file {name!r}", HELP)
        return [EvidenceFile(name, path)]
    combos = selection.match_combos(matrix, selection.Selector(combo=name))
    files = [EvidenceFile(combo.id, evidence.evidence_path(matrix.root, combo.id)) for combo in combos]
    existing = [file for file in files if file.path.is_file()]
    if not existing:
        raise InputError(f"there is no evidence for {name!r}", f"invoke smoke --combo {files[0].name}")
    return existing


def _read(file: EvidenceFile) -> Evidence:
    """Read a file of evidence.

    Raises:
        InputError: it is not evidence.
    """
    try:
        return check_evidence.read_evidence(file.path.read_text(encoding="utf-8"))
    except (InvalidEvidenceError, UnicodeDecodeError) as error:
        hint = "invoke smoke writes new evidence for the combos you select"
        raise InputError(f"{file.name} is not evidence: {error}", "invoke smoke --help", hint=hint) from error


def _show(proofs: Sequence[Evidence], *, as_json: bool) -> None:
    if as_json:
        console.document([wording.make_proof_document(proof) for proof in proofs])
        return
    if len(proofs) > wording.FEW:
        columns = ["combo", "state", "proof"]
        console.table(
            "evidence", columns, [(proof.combo, _state(proof), wording.describe_proof(proof)) for proof in proofs]
        )
        return
    for proof in proofs:
        _print_outside(proof)
        _print_answers(proof)
        wording.print_proof(proof, verbose=True)
        wording.print_verdict(proof)


def _state(proof: Evidence) -> Cell:
    return Cell("contradicts itself", BAD) if check_evidence.find_contradictions(proof) else Cell("proven", GOOD)


def _print_outside(proof: Evidence) -> None:
    """Print the fields around the report."""
    report = proof.report
    emulated = proof.match != "real"
    rows = [
        ("image", proof.image),
        ("inputs", proof.inputs),
        ("platform, engine", f"{proof.platform}, Docker {proof.engine}"),
        ("CPU", f"emulated by {proof.emulator}; match: {proof.match}" if emulated else f"real: {report.cpu.title}"),
        ("size", f"{console.megabytes(proof.compressed_bytes)}, {console.megabytes(proof.unpacked_bytes)} unpacked"),
        ("peak memory", console.megabytes(report.peak_memory_bytes)),
        ("duration", f"{report.seconds:.0f} s{' (emulated: not a measure of speed)' if emulated else ''}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(report.versions.items()))),
        ("fingerprint", f"{evidence.fingerprint(proof)}, over everything except times and memory"),
    ]
    console.facts(f"evidence for {proof.combo}", rows)


def _print_answers(proof: Evidence) -> None:
    rows = [
        [
            run.workload, run.dtype, f"{run.metric.name} {run.metric.value:.4f} of {run.samples}",
            f"{run.metric.minimum:g}", f"{run.largest_error:.2g}", f"{run.worst:.2g}", f"{run.seconds:.1f}",
        ]
        for run in proof.report.runs
    ]  # fmt: skip
    columns = ["workload", "data type", "metric", "minimum", "largest error", "error / tolerance", "seconds"]
    console.table("answers", columns, rows)


def _diff(files: Sequence[EvidenceFile], *, times: bool, as_json: bool) -> int:
    first, second = (_read(file) for file in files)
    rows = compare.compare_evidence(first, second, times=times)
    same = evidence.fingerprint(first) == evidence.fingerprint(second)
    names = [file.name for file in files]
    if as_json:
        console.document({"of": names, "same": same, "differences": [row._asdict() for row in rows]})
    elif rows:
        console.table("", ["what", *names], rows)
    if same:
        console.say(f"{names[0]} and {names[1]} are equal except for times and memory", GOOD)
    return 0 if same else 1


def _verify(matrix: Matrix, files: Sequence[EvidenceFile], *, as_json: bool) -> int:
    try:
        engine = Engine()
    except MachineError:
        engine = None
    results = [verify.verify_evidence(matrix, file, engine) for file in files]
    rejected = [result for result in results if result.problems]
    if as_json:
        console.document([_verification_document(result) for result in results])
    else:
        columns = ["evidence", "state", "why"]
        console.table("", columns, [(result.name, _verdict(result), _explain(result)) for result in results])
    if rejected:
        console.say(f"{len(rejected)} of {len(results)} rejected; prove the images again with invoke smoke", BAD)
    return 1 if rejected else 0


def _verdict(result: Verification) -> Cell:
    return Cell("rejected", BAD) if result.problems else Cell("ok", GOOD)


def _verification_document(result: Verification) -> dict[str, object]:
    return {
        "name": result.name,
        "holds": not result.problems,
        "not_compared": result.not_compared,
        "problems": [{"part": problem.part, "words": problem.text} for problem in result.problems],
    }


def _explain(result: Verification) -> str:
    if result.problems:
        return "; ".join(f"{problem.part}: {problem.text}" for problem in result.problems)
    return f"not compared: {', '.join(result.not_compared)}" if result.not_compared else "everything agrees"
