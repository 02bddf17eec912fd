"""The audit: code above a floor is guarded, declared or a finding, and each file is scanned once."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

import pytest

from armwright.assembly import images
from armwright.audit import decoder, image_audit
from armwright.audit.encodings import Declaration, load_dispatch, load_instructions
from armwright.audit.scan_cache import CodeFile
from armwright.cli.audit import _audit_combos, _audit_image
from armwright.engine.client import Engine, Image
from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector
from armwright.system.errors import FailedError, InputError
from tests.elf import NOP, RET, elf
from tests.support import ROOT, Tree

FACTS = load_instructions(ROOT)
LDADD, SVE, DOT = 0xB8200020, 0x04A00000, 0x0E809400
GUARDED = (0x39426610, 0x34000070, LDADD, RET)
COMBO = "pytorch-2.10.0-n1-acl"
SITE = "usr/local/lib/python3.13/dist-packages"
LIBRARY = f"{SITE}/torch/lib/libsomething.so"


def image(number: int = 1, target: str = "n1") -> Image:
    labels = {"org.armwright.combo": COMBO, "org.armwright.target": target, "org.armwright.inputs": "sha256:2"}
    return Image(digest=f"sha256:{number:064x}", labels=labels, compressed=1, unpacked=2, platform="linux/arm64")


class Archive:
    """An engine that has images made of the given files; it counts the exports."""

    def __init__(self, files: Mapping[str, bytes], target: str = "n1") -> None:
        self.files = files
        self.target = target
        self.reads = 0

    def find(self, _: str) -> Image:
        return image(target=self.target)

    @contextlib.contextmanager
    def export(self, _: str) -> Iterator[IO[bytes]]:
        self.reads += 1
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            link = tarfile.TarInfo("usr/lib/link.so")
            link.type, link.linkname = tarfile.SYMTYPE, "elsewhere"
            archive.addfile(link)
            for name, data in self.files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        buffer.seek(0)
        yield buffer


def audit(tree: Tree, engine: Archive, target: str = "n1", number: int = 1) -> image_audit.Audit:
    recipe = tree.load().recipes.targets[target]
    return image_audit.audit_image(tree.root, cast("Engine", engine), "any", image(number), recipe)


def declare(tree: Tree, text: str) -> None:
    (tree.root / "recipes" / "dispatch.yaml").write_text(f"files:\n{text}" if text else "files: []\n")


DECLARED = """\
  - paths: [torch/lib/lib*.so]
    features: [sve]
    by: the library asks the auxiliary vector
    source: seen in its source
"""


def test_unguarded_code_is_a_finding_with_its_offsets(tree: Tree) -> None:
    declare(tree, "")
    data = elf([NOP, SVE, *[NOP] * 20, SVE, LDADD])
    result = audit(tree, Archive({LIBRARY: data, "etc/motd": b"hello"}))
    (row,) = result.findings
    assert (row.path, row.feature, row.count, row.bare, row.by) == (LIBRARY, "sve", 2, 2, "")
    assert [data[offset : offset + 4] for offset in row.offsets] == [SVE.to_bytes(4, "little")] * 2
    assert (result.files, result.code_bytes, result.combo, result.target) == (1, 96, COMBO, "n1")


def test_features_of_the_floor_are_not_findings(tree: Tree) -> None:
    declare(tree, "")
    engine = Archive({LIBRARY: elf([LDADD, DOT])})
    assert audit(tree, engine, "n1").rows == []
    assert [row.feature for row in audit(tree, engine, "thunderx2").findings] == ["asimddp"]
    assert [row.feature for row in audit(tree, engine, "generic").findings] == ["asimddp", "atomics"]


def test_declared_instructions_name_their_check(tree: Tree) -> None:
    declare(tree, DECLARED)
    result = audit(tree, Archive({LIBRARY: elf([SVE])}))
    assert [(row.state, row.by) for row in result.rows] == [("chosen", "the library asks the auxiliary vector")]
    assert result.findings == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch/lib/lib*.so", "torch/lib/other*.so"),
        ("torch/lib/lib*.so", "lib/torch/lib*.so"),
        ("[sve]", "[sve2]"),
        ("features:", 'combos: ["pytorch-2.9.1-*"]\n    features:'),
    ],
)
def test_a_declaration_for_something_else_does_not_apply(tree: Tree, old: str, new: str) -> None:
    declare(tree, DECLARED.replace(old, new))
    assert [row.feature for row in audit(tree, Archive({LIBRARY: elf([SVE])})).findings] == ["sve"]


def test_a_declaration_applies_to_the_combos_it_names(tree: Tree) -> None:
    declare(tree, DECLARED.replace("features:", 'combos: ["pytorch-2.10.*"]\n    features:'))
    assert audit(tree, Archive({LIBRARY: elf([SVE])})).findings == []


def test_declared_constants_have_the_state_data(tree: Tree) -> None:
    declare(tree, DECLARED + "    kind: data\n")
    assert [row.state for row in audit(tree, Archive({LIBRARY: elf([SVE])})).rows] == ["data"]


def test_a_declared_range_covers_only_its_own_spans(tree: Tree) -> None:
    gap = [NOP] * 20
    data = elf([SVE, *gap, SVE, *gap, SVE])
    first, second, third = (120 + 84 * place for place in range(3))
    other = DECLARED.replace("asks the auxiliary vector", "asks another library")
    declare(
        tree,
        f"{DECLARED}    within: [{first:x}-{first + 40:x}]\n{other}    within: ['{second:x}-{second:x}', 0-4]\n",
    )
    result = audit(tree, Archive({LIBRARY: data}))
    assert [(row.state, row.bare, row.offsets, row.by[-20:]) for row in result.rows] == [
        ("above", 1, [third], ""),
        ("chosen", 1, [first], "the auxiliary vector"),
        ("chosen", 1, [second], "asks another library"),
    ]
    assert {row.count for row in result.rows} == {3}


def test_a_span_that_leaves_a_declared_range_is_a_finding(tree: Tree) -> None:
    declare(tree, DECLARED + "    within: [78-7b]\n")
    assert [row.bare for row in audit(tree, Archive({LIBRARY: elf([SVE, SVE])})).findings] == [2]


def test_a_known_fault_is_not_a_finding_and_says_what_reaches_it(tree: Tree) -> None:
    declare(tree, DECLARED + "    kind: fault\n")
    result = audit(tree, Archive({LIBRARY: elf([SVE, *[NOP] * 20, SVE])}))
    assert [(row.state, row.bare, row.by) for row in result.faults] == [
        ("fault", 2, "the library asks the auxiliary vector")
    ]
    assert result.findings == []


def test_only_unguarded_instructions_need_a_declaration(tree: Tree) -> None:
    declare(tree, "")
    whole = audit(tree, Archive({LIBRARY: elf([*GUARDED])}), "generic")
    assert [(row.state, row.by, row.count, row.bare) for row in whole.rows] == [("guarded", "outline atomics", 1, 0)]
    (row,) = audit(tree, Archive({LIBRARY: elf([*GUARDED, LDADD])}), "generic", number=2).findings
    assert (row.count, row.bare) == (2, 1)


def test_an_image_is_read_once_for_every_floor(tree: Tree) -> None:
    declare(tree, "")
    engine = Archive({LIBRARY: elf([SVE])})
    assert audit(tree, engine).findings
    declare(tree, DECLARED)
    assert not audit(tree, engine).findings
    assert not audit(tree, engine, "v1").rows
    assert engine.reads == 1


def test_a_file_of_an_earlier_image_is_not_scanned_again(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(tree, "")
    files = {LIBRARY: elf([SVE])}
    first = audit(tree, Archive(files))
    monkeypatch.setattr(decoder, "scan_file", lambda *_: pytest.fail("scanned again"))
    second = audit(tree, Archive({f"{SITE}/same.so": files[LIBRARY]}), number=2)
    assert [row.sha256 for row in second.rows] == [row.sha256 for row in first.rows]


def test_changed_patterns_invalidate_the_cache(tree: Tree) -> None:
    declare(tree, "")
    engine = Archive({LIBRARY: elf([SVE])})
    audit(tree, engine)
    tree.edit("recipes/isa.yaml", "name: RDSVL", "name: RDSVL and nothing else")
    audit(tree, engine)
    assert engine.reads == 2


def test_a_damaged_cache_entry_is_ignored(tree: Tree) -> None:
    declare(tree, "")
    engine = Archive({LIBRARY: elf([SVE])})
    audit(tree, engine)
    (kept,) = (tree.root / "build" / "audit").glob("*/*.json")
    kept.write_text("[]{")
    assert audit(tree, engine).findings
    assert engine.reads == 2


def test_an_edited_cache_entry_is_not_believed(tree: Tree) -> None:
    declare(tree, "")
    engine = Archive({LIBRARY: elf([SVE])})
    audit(tree, engine)
    for entry in (tree.root / "build" / "audit").rglob("*.json"):
        entry.write_text(entry.read_text().partition("\n")[0] + "\n[]")
    assert audit(tree, engine).findings
    assert engine.reads == 2


def test_a_copied_cache_entry_is_not_believed(tree: Tree) -> None:
    declare(tree, "")
    engine = Archive({LIBRARY: elf([SVE])})
    audit(tree, engine)
    (scan,) = (tree.root / "build" / "audit").glob("*/*.json")
    content = scan.read_bytes()
    assert not audit(tree, Archive({LIBRARY: elf([NOP])}), number=2).findings
    (other,) = {*scan.parent.glob("*.json")} - {scan}
    scan.write_bytes(other.read_bytes())
    assert audit(tree, engine).findings
    assert scan.read_bytes() == content
    first, second = sorted((scan.parent / "images").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    first.write_bytes(second.read_bytes())
    assert audit(tree, engine).findings


def test_an_image_without_code_is_not_audited(tree: Tree) -> None:
    declare(tree, "")
    engine = Archive({"etc/passwd": b"root"})
    for _ in range(2):
        with pytest.raises(FailedError, match="no AArch64 code"):
            audit(tree, engine)


def test_a_damaged_file_is_named_in_the_error(tree: Tree) -> None:
    declare(tree, "")
    with pytest.raises(FailedError, match=r"libsomething\.so in any is damaged"):
        audit(tree, Archive({LIBRARY: elf([SVE], beyond=4096)}))


def test_an_incomplete_export_fails(tree: Tree) -> None:
    declare(tree, "")

    class Cut(Archive):
        @contextlib.contextmanager
        def export(self, reference: str) -> Iterator[IO[bytes]]:
            with super().export(reference) as whole:
                yield io.BytesIO(whole.read()[:1700])

    with pytest.raises(FailedError, match="is incomplete"):
        audit(tree, Cut({LIBRARY: elf([SVE] * 400)}))


def test_findings_come_first() -> None:
    files = [
        (CodeFile(path=path, sha256="0" * 64, code_bytes=4), decoder.FeatureUse("sve", 1, 0, "", ((64, 64, 1),)))
        for path in ("a/torch/lib/liba.so", "z")
    ]
    declared = [Declaration(paths=["torch/lib/lib*.so"], features=["sve"], by="it asks first", source="its source")]
    rows = image_audit.classify(files, COMBO, ["fp"], FACTS, declared)
    assert [(row.path, row.state) for row in rows] == [("z", "above"), ("a/torch/lib/liba.so", "chosen")]


def test_the_first_matching_declaration_counts(tree: Tree) -> None:
    declare(tree, DECLARED + "    kind: data\n" + DECLARED)
    assert [row.state for row in audit(tree, Archive({LIBRARY: elf([SVE])})).rows] == ["data"]


@pytest.fixture
def command(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Tree:
    declare(tree, "")
    engine = Archive({LIBRARY: elf([SVE, LDADD])})
    monkeypatch.setattr("armwright.cli.audit.Engine", lambda: engine)
    return tree


def test_the_command_lists_each_finding_and_fails(command: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert _audit_image(command.load(), "any", Selector(), "", as_json=False) == 1
    printed = capsys.readouterr()
    assert f"{LIBRARY}  unguarded" in printed.out
    assert f"{LIBRARY}: sve, 1 at 0x" in " ".join(printed.err.split())


def test_a_known_fault_is_printed_and_does_not_fail(command: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    declare(command, DECLARED + "    kind: fault\n")
    assert _audit_image(command.load(), "any", Selector(), "", as_json=False) == 0
    printed = capsys.readouterr()
    text = " ".join(printed.err.split())
    assert "known unguarded instructions above the floor of n1" in text
    assert "the library asks the auxiliary vector" in text
    assert "no unguarded" not in text
    assert "known fault" in printed.out


def test_several_images_are_summarised_in_a_table(command: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    matrix: Matrix = command.load()
    combos = [matrix.by_id[COMBO], matrix.by_id["pytorch-2.10.0-v1-acl"]]
    assert _audit_combos(matrix, combos, "archive", "", as_json=False) == 1
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.split()[1:2] == ["n1"]]
    assert row.split()[2:] == ["0", "0", "0", "0", "1"]


def test_the_floor_of_another_target_can_be_used(command: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert _audit_image(command.load(), "any", Selector(), "graviton3", as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["target"] == "v1"
    assert _audit_image(command.load(), "any", Selector(), "generic", as_json=True) == 1
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {row["feature"] for row in document["rows"]} == {"sve", "atomics"}


def test_a_wrong_floor_or_an_image_with_selectors_is_refused(command: Tree) -> None:
    with pytest.raises(InputError, match="unknown target 'n9'"):
        _audit_image(command.load(), "any", Selector(), "n9", as_json=False)
    with pytest.raises(InputError, match="cannot be combined"):
        _audit_image(command.load(), "any", Selector(target="n1"), "", as_json=False)


def test_combos_that_are_not_built_are_named(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        def find(self, _: str) -> None: ...

    monkeypatch.setattr("armwright.cli.audit.Engine", Empty)
    with pytest.raises(InputError, match=f"not built: {COMBO}"):
        _audit_combos(matrix, [matrix.by_id[COMBO]], "archive", "", as_json=False)


def test_several_combos_are_printed_as_one_document(command: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    matrix: Matrix = command.load()
    combos = [matrix.by_id[COMBO], matrix.by_id["pytorch-2.10.0-v1-acl"]]
    assert _audit_combos(matrix, combos, "archive", "", as_json=True) == 1
    assert [audit["target"] for audit in json.loads(capsys.readouterr().out)] == ["n1", "v1"]
    assert images.read_target(matrix, image()).name == "n1"


def test_declarations_name_the_check_and_are_not_repeated() -> None:
    declared = load_dispatch(ROOT, FACTS)
    assert declared
    assert all(declaration.kind == "data" or len(declaration.by) > 20 for declaration in declared)
    entries = [
        entry
        for declaration in declared
        for entry in itertools.product(
            declaration.paths, declaration.combos, declaration.features, declaration.within or [""]
        )
    ]
    assert len(entries) == len(set(entries)), "declared twice"
