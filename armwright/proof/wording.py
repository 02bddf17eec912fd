"""A proof in words: its tables, one line, and what it comes to."""

from __future__ import annotations

from armwright.proof.evidence import Check, Evidence, Report, Run
from armwright.system import console

FEW = 3  # combos whose proofs are shown whole; of each of more than these, a line


def proof_line(proof: Evidence) -> str:
    """Say in a few words what a proof comes to: how many checks held, on which CPU."""
    checks = proof.report.checks
    held = sum(check.state == "pass" for check in checks)
    further = f"; {'wrong' if proof.above else 'right'} on {proof.smaller.cpu.emulator}" if proof.smaller else ""
    return f"{held} of {len(checks)} checks hold on {_where(proof.report)}{further}"


def _where(report: Report) -> str:
    return report.cpu.title + (f", emulated by {report.cpu.emulator}" if report.cpu.emulator else "")


def print_proof(proof: Evidence) -> None:
    """Print the checks as a table, and the kernels below; no other thread's words come between."""
    with console.block():
        _show(proof)


def _show(proof: Evidence) -> None:
    report = proof.report
    console.table(
        f"{report.combo} on {_where(report)}",
        ["check", "state", "expected", "found"],
        [[check.name, _state(check.state), check.expected, check.found] for check in report.checks],
    )
    if proof.smaller:
        above = proof.above
        found = "; ".join(f"{check.name}: {check.found}" for check in above) or _right(proof)
        rows = [
            ["nothing above the floor", _state("fail" if above else "pass"), "right answers on a smaller CPU", found]
        ]
        title = f"{report.combo} on {_where(proof.smaller)}"
        console.table(title, ["check", "state", "expected", "found"], rows)
    console.table(
        "kernels",
        ["workload", "data type", "told by", "operation", "implementation", "types", "calls"],
        [
            [*where, one.source, one.operation, one.implementation, one.types, str(one.calls)]
            for where, kernels in [*((_run(run), run.kernels) for run in report.runs), (("", ""), report.loaded)]
            for one in kernels
            if one.operation != "reorder"
        ],
    )
    for reason in dict.fromkeys(one.reason for one in report.not_run):
        left = [one for one in report.not_run if one.reason == reason]
        dtypes = ", ".join(dict.fromkeys(one.dtype for one in left))
        console.say(f"not run: {dtypes} ({', '.join(dict.fromkeys(one.workload for one in left))}): {reason}")


def _right(proof: Evidence) -> str:
    """Say that the answers were right on the smaller CPU, and in which data types nothing was run there."""
    dtypes = dict.fromkeys(name.split()[-1] for name in proof.left_out)
    return f"right answers; not run: {', '.join(dtypes)}, which this CPU has not" if dtypes else "right answers"


def _run(run: Run) -> tuple[str, str]:
    return run.workload, run.dtype


def print_conclusion(proof: Evidence) -> None:
    """Say in a line what a proof comes to; what failed or was not run, below."""
    if proof.proves:
        console.say(f"{proof.combo}: proven", "green")
    else:
        verdict = "NOT PROVEN" if proof.failed else "right as far as was asked for; not proven as a whole"
        console.say(
            f"{proof.combo}: {verdict}\n  " + "\n  ".join(failed_checks(proof)), "red" if proof.failed else "yellow"
        )


def failed_checks(proof: Evidence) -> list[str]:
    """Say what failed, with what was expected and found, and what was not run."""
    failed = [_failure(check) for check in proof.report.checks if check.state == "fail"]
    if proof.smaller:
        failed += [f"on a smaller CPU, {proof.smaller.cpu.emulator}, {_failure(check)}" for check in proof.above]
    skipped = [f"{check.name}: not run, {check.found}" for check in proof.report.checks if check.state == "not run"]
    return failed + skipped


def _failure(check: Check) -> str:
    return f"{check.name}: expected {check.expected}, found {check.found}"


def proof_document(proof: Evidence) -> object:
    """Return the evidence as a JSON document."""
    return proof.model_dump(by_alias=True)


def _state(state: str) -> str:
    return {"pass": "ok", "fail": "fail", "not run": "warn not run"}[state]
