"""The audit: find code above a target's floor that no run-time check guards.

Every AArch64 ELF file of an image is read, word by word, in all pages that the loader maps as executable. An
instruction that needs a feature above the target's floor must be one of:

- guarded: the instructions around it are a run-time check, as in outline atomics (recipes/isa.yaml);
- chosen, or data: recipes/dispatch.yaml declares it for the file and the feature, with the check and its source;
- fault: nothing guards it, which is an error of the library; recipes/dispatch.yaml says what reaches it.

Everything else is a finding: file, feature, count, and the first offsets.

Limits. Declarations are trusted: only the run on the baseline CPU shows that a library really checks, and only for the
code that it runs. Branches are followed only into what is called constants (entries.py), and never to an address that
is computed: code there that only such a branch enters, and only a direct one leaves, is not seen. A declaration without
`within` covers a whole file: code that leaked out of its place, with a feature declared for that file, goes unnoticed.
Constants between functions can look like instructions, and a few patterns match a whole encoding space (SVE, SME). Code
that libraries compile at run time is in no file. Static archives cannot run and are not read.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from armwright.audit import decoder, scan_cache
from armwright.audit.decoder import FeatureUse
from armwright.audit.encodings import Declaration, Instructions, load_dispatch, load_instructions
from armwright.audit.scan_cache import CodeFile, ScanCache
from armwright.engine.client import Engine, Image
from armwright.recipes.targets import Target
from armwright.system import console, turns
from armwright.system.errors import FailedError
from armwright.system.strict_model import StrictModel

SHOWN = 5  # offsets listed in a row
AuditState = Literal["guarded", "chosen", "data", "fault", "above"]
_URGENT: list[AuditState] = ["above", "fault"]


class AuditRow(StrictModel):
    """Instructions above the floor: one file, one feature, one state.

    Attributes:
        count: instructions of the feature in the whole file.
        bare: those that this row is about, which no instructions around them guard; 0 if all are guarded.
        state: guarded (none is bare), chosen, data or fault (declared), above (a finding).
        by: the run-time check, or what reaches a fault; empty for a finding.
        offsets: the first file offsets.
    """

    path: str
    sha256: str
    feature: str
    count: int
    bare: int
    state: AuditState
    by: str
    offsets: list[int]


class Audit(StrictModel):
    """The instructions above a floor in the files of an image.

    Attributes:
        facts: sha256 over recipes/isa.yaml and recipes/dispatch.yaml.
        files: the number of files with AArch64 code.
        code_bytes: the size of their code.
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
        """The instructions above the floor that nothing guards or declares."""
        return [row for row in self.rows if row.state == "above"]

    @property
    def faults(self) -> list[AuditRow]:
        """The instructions above the floor that are declared as known errors of a library."""
        return [row for row in self.rows if row.state == "fault"]


def audit_image(root: Path, engine: Engine, reference: str, image: Image, target: Target) -> Audit:
    """Audit an image without starting it.

    Args:
        root: the project's root: its recipes, and build/audit/ with the results of earlier audits.
        engine: the engine that has the image.
        reference: the image, by name or digest.
        image: the engine's facts about it.
        target: the target whose floor counts.

    Returns:
        every file and feature above the floor, findings first.

    Raises:
        FailedError: the image cannot be read, contains a damaged ELF file, or contains no AArch64 code at all.
        InputError: recipes/isa.yaml or recipes/dispatch.yaml has a mistake.
    """
    facts = load_instructions(root)
    declared = load_dispatch(root, facts)
    sources = [(root / "recipes" / f"{name}.yaml").read_bytes() for name in ("isa", "dispatch")]
    key = hashlib.sha256(b"%d %s" % (scan_cache.SCHEMA, sources[0])).hexdigest()[:12]
    cache = ScanCache(root / "build" / "audit" / key)
    with turns.turn("audit"):  # an audit holds the largest file of an image in memory
        codes = cache.read_image(image.digest)
        if codes is None:
            try:
                with console.progress(f"read the code of {reference}"), engine.export(reference) as archive:
                    codes = scan_cache.scan_archive(archive, reference, decoder.Decoder(facts), cache)
            except tarfile.TarError as error:
                what = f"the engine's export of {reference} is incomplete: {error}"
                raise FailedError(what, f"invoke audit --image {reference}") from error
            if not codes:
                what = f"{reference} contains no AArch64 code: there is nothing to audit"
                raise FailedError(what, f"docker history {reference}")
            cache.write_image(image.digest, codes)
    combo = image.labels.get("org.armwright.combo", "")
    return Audit(
        combo=combo,
        image=image.digest,
        target=target.name,
        floor=list(target.floor),
        facts=hashlib.sha256(b"".join(sources)).hexdigest(),
        files=len(codes),
        code_bytes=sum(code.code_bytes for code in codes),
        rows=classify(_read_uses(codes, cache), combo, target.floor, facts, declared),
    )


def _read_uses(codes: Iterable[CodeFile], cache: ScanCache) -> Iterator[tuple[CodeFile, FeatureUse]]:
    for code in codes:
        for use in cache.read_file(code.sha256) or ():
            yield code, use


def classify(
    uses: Iterable[tuple[CodeFile, FeatureUse]],
    combo: str,
    floor: Collection[str],
    facts: Instructions,
    declared: Sequence[Declaration],
) -> list[AuditRow]:
    """Give everything above a floor its state.

    Args:
        uses: files and the features their code needs.
        combo: the id of the image's combo; some declarations hold for some combos only.
        floor: the features of every CPU on which the image starts.
        facts: recipes/isa.yaml.
        declared: recipes/dispatch.yaml.

    Returns:
        findings first, then faults, then the rest by path.
    """
    within = facts.expand_floor(floor)
    rows = [row for code, use in uses if use.feature not in within for row in _make_rows(code, use, combo, declared)]
    urgency = {state: place for place, state in enumerate(_URGENT)}
    return sorted(rows, key=lambda row: (urgency.get(row.state, len(urgency)), row.path, row.feature))


def _make_rows(code: CodeFile, use: FeatureUse, combo: str, declared: Sequence[Declaration]) -> Iterator[AuditRow]:
    """Assign each span to the first declaration that covers it; one row per declaration, one for the rest."""
    if not use.spans:
        yield _make_row(code, use, (), "guarded", use.guard)
        return
    covering = [declaration for declaration in declared if declaration.covers_file(combo, code.path, use.feature)]
    shares: dict[int, list[tuple[int, int, int]]] = {}
    for span in use.spans:
        matches = (place for place, declaration in enumerate(covering) if declaration.covers_span(span[0], span[1]))
        shares.setdefault(next(matches, len(covering)), []).append(span)
    for place, spans in sorted(shares.items()):
        if place < len(covering):
            yield _make_row(code, use, spans, covering[place].kind, covering[place].by)
        else:
            yield _make_row(code, use, spans, "above", "")


def _make_row(
    code: CodeFile, use: FeatureUse, spans: Sequence[tuple[int, int, int]], state: AuditState, by: str
) -> AuditRow:
    return AuditRow(
        path=code.path,
        sha256=code.sha256,
        feature=use.feature,
        count=use.count,
        bare=sum(count for _, _, count in spans),
        state=state,
        by=by,
        offsets=[first for first, _, _ in spans[:SHOWN]],
    )
