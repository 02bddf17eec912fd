"""The audit of instructions: no code above a target's floor outside of what is chosen at run time.

Method. Every AArch64 ELF file of an image is looked at, word by word, in its executable sections (isa.py,
recipes/isa.yaml). What asks for a feature above the target's floor must be one of these:

- guarded: the words around each such instruction show that the program asks the CPU first, as outline atomics do;
- chosen, or data: recipes/dispatch.yaml says so of the file and the feature, with who chooses and how that is known;
- a fault: nobody chooses, which is a mistake of the library's, and recipes/dispatch.yaml says what gets there.

Everything else is a finding: file, feature, how many, and where the first are.

Limits. What is declared is trusted: that the library really asks the CPU first is for the run on the emulated CPU to
show, which reaches only the code that it runs; branches are not followed, and indirect ones could not be. A declaration
without `within` speaks of a whole file: code that leaked out of its place, of a feature that is declared for the file,
is not seen. Constants among code can look like instructions, and a few patterns hold a whole space of encodings (SVE,
SME). Code that is made while a program runs, by the compilers within some libraries, is in no file. Static archives
cannot run and are not looked at.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from armwright.audit import decoder, scan_cache
from armwright.audit.encodings import Declaration, Instructions, dispatch, instructions
from armwright.audit.scan_cache import Code, Scans
from armwright.engine.client import Engine, Image
from armwright.recipes.targets import Target
from armwright.system import console, process
from armwright.system.errors import FailedError

SHOWN = 5  # offsets that a row tells
AuditState = Literal["guarded", "chosen", "data", "fault", "above"]
_URGENT: list[AuditState] = ["above", "fault"]


class _AuditModel(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class AuditRow(_AuditModel):
    """Instructions above the floor in one file, of one feature, of which the same is to be said.

    Attributes:
        count: all of that feature in that file.
        bare: those that this row speaks of: nothing around them guards them; 0 where all are guarded.
        state: guarded (none is bare), chosen, data or fault (declared), above (a finding).
        by: who chooses, or what reaches a fault; empty for a finding.
        offsets: where in the file the first are.
    """

    path: str
    sha256: str
    feature: str
    count: int
    bare: int
    state: AuditState
    by: str
    offsets: list[int]


class Audit(_AuditModel):
    """What the files of an image ask of a CPU beyond a floor.

    Attributes:
        facts: the sha256 of recipes/isa.yaml and recipes/dispatch.yaml together.
        files: how many files with AArch64 code there are.
        code_bytes: how many bytes of code.
    """

    schema_version: Literal[1] = 1
    combo: str
    image: str
    target: str
    floor: list[str]
    facts: str
    files: int
    code_bytes: int
    rows: list[AuditRow]

    @property
    def findings(self) -> list[AuditRow]:
        """What is above the floor and chosen by nobody."""
        return [row for row in self.rows if row.state == "above"]

    @property
    def faults(self) -> list[AuditRow]:
        """What is above the floor, chosen by nobody, and known: with what reaches it."""
        return [row for row in self.rows if row.state == "fault"]


def audit_image(root: Path, engine: Engine, reference: str, image: Image, target: Target) -> Audit:
    """Audit an image; it is not started.

    Args:
        root: the project's root: its facts, and build/audit/, which knows the files that were looked at.
        engine: the engine that has the image.
        reference: the image, by name or digest.
        image: what the engine knows about it.
        target: whose floor it must stay within, except for what is chosen at run time.

    Returns:
        every file and feature above the floor, findings first.

    Raises:
        FailedError: the image cannot be read, or holds a damaged ELF file.
        InputError: the facts are wrong.
    """
    facts = instructions(root)
    declared = dispatch(root, facts)
    yaml = [(root / "recipes" / f"{name}.yaml").read_bytes() for name in ("isa", "dispatch")]
    kept = Scans(root / "build" / "audit" / hashlib.sha256(b"%d %s" % (scan_cache.SCHEMA, yaml[0])).hexdigest()[:12])
    with process.turn("audit"):  # an image's largest file is in memory meanwhile
        codes = kept.codes(image.digest)
        if codes is None:
            try:
                with console.progress(f"read the code of {reference}"), engine.export(reference) as archive:
                    codes = scan_cache.scan_archive(archive, reference, decoder.Decoder(facts), kept)
            except tarfile.TarError as error:
                raise FailedError(f"{reference} could not be read whole: {error}", "the same command again") from error
            kept.keep_image(image.digest, codes)
    combo = image.labels.get("org.armwright.combo", "")
    return Audit(
        combo=combo,
        image=image.digest,
        target=target.name,
        floor=list(target.floor),
        facts=hashlib.sha256(b"".join(yaml)).hexdigest(),
        files=len(codes),
        code_bytes=sum(one.code_bytes for one in codes),
        rows=classify(_all(codes, kept), combo, target.floor, facts, declared),
    )


def _all(codes: Iterable[Code], kept: Scans) -> Iterator[tuple[Code, decoder.FeatureUse]]:
    for code in codes:
        for found in kept.found(code.sha256) or ():
            yield code, found


def classify(
    found: Iterable[tuple[Code, decoder.FeatureUse]],
    combo: str,
    floor: Collection[str],
    facts: Instructions,
    declared: Sequence[Declaration],
) -> list[AuditRow]:
    """Say of everything above a floor who chooses it.

    Args:
        found: files, and what they ask for.
        combo: whose image it is: some declarations are of some combos only.
        floor: what every CPU has that the image starts on.
        facts: recipes/isa.yaml.
        declared: recipes/dispatch.yaml.

    Returns:
        findings first, then faults, then in the order of paths.
    """
    within = facts.within(floor)
    rows = [
        row for code, one in found if one.feature not in within for row in _rows(code, one, combo, declared)
    ]  # fmt: skip
    urgency = {state: place for place, state in enumerate(_URGENT)}
    return sorted(rows, key=lambda row: (urgency.get(row.state, len(urgency)), row.path, row.feature))


def _rows(code: Code, found: decoder.FeatureUse, combo: str, declared: Sequence[Declaration]) -> Iterator[AuditRow]:
    """Share a feature's spans out: each to the first declaration that speaks of it."""
    if not found.spans:
        yield _row(code, found, (), "guarded", found.guard)
        return
    speaking = [one for one in declared if one.covers(combo, code.path, found.feature)]
    shares: dict[int, list[tuple[int, int, int]]] = {}
    for span in found.spans:
        place = next((place for place, one in enumerate(speaking) if one.holds(span[0], span[1])), len(speaking))
        shares.setdefault(place, []).append(span)
    for place, spans in sorted(shares.items()):
        if place < len(speaking):
            yield _row(code, found, spans, speaking[place].kind, speaking[place].by)
        else:
            yield _row(code, found, spans, "above", "")


def _row(
    code: Code, found: decoder.FeatureUse, spans: Sequence[tuple[int, int, int]], state: AuditState, by: str
) -> AuditRow:
    return AuditRow(
        path=code.path,
        sha256=code.sha256,
        feature=found.feature,
        count=found.count,
        bare=sum(count for _, _, count in spans),
        state=state,
        by=by,
        offsets=[first for first, _, _ in spans[:SHOWN]],
    )
