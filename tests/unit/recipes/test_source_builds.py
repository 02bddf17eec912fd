"""Builds from source: checked downloads, compiler flags that the compiler accepts, and complete patches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from armwright.assembly import assemble, buildx
from armwright.engine.address import EngineAddress
from armwright.fetch import debian_roots
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan.plan import make_plan
from armwright.recipes.source_builds import Download, Patch, PythonFile, SourceBuild
from armwright.recipes.targets import Compiler
from armwright.system import console
from armwright.system.errors import InputError
from tests.support import ROOT, Tree, parse_stages

TENSORFLOW = "recipes/frameworks/tensorflow/framework.yaml"
BASE = "recipes/bases/debian-11-python-3.7.yaml"
COMPILED = "tensorflow-1.15.5-n1-eigen"
URL = "https://host.example:8443/a/b.zip"
FILE = {"file": "gast-0.2.2.tar.gz", "sha256": "0" * 64, "found": "a test, not a source"}


def builds(matrix: Matrix) -> list[tuple[Combo, SourceBuild]]:
    compiled = [
        (combo, combo.release.build) for combo in matrix.combos if combo.release.build and combo.refusal is None
    ]
    assert compiled
    return compiled


@pytest.mark.parametrize(
    "mistake",
    [
        {"file": "../x.tar.gz"}, {"file": "a b.zip"}, {"file": ".hidden"}, {"sha256": "0" * 63}, {"sha256": "A" * 64},
        {"url": "http://host.example/x"}, {"url": "https://host.example/x y"}, {"url": "https://host.example/$(id)"},
        {"url": "https://user:word@host.example/x"}, {"url": "https://host.example/x\n"}, {"url": "file:///etc/passwd"},
        {"found": "short"}, {"size": 1},
    ],
    ids=str,
)  # fmt: skip
def test_download_needs_a_plain_name_a_full_hash_and_an_address(mistake: dict[str, Any]) -> None:
    Download.model_validate({**FILE, "url": URL})
    with pytest.raises(ValidationError):
        Download.model_validate({**FILE, "url": URL, **mistake})


def test_python_file_name_gives_distribution_and_version() -> None:
    source = PythonFile.model_validate(FILE)
    assert (source.wheel, source.pinned) == (False, ("gast", "0.2.2"))
    assert source.requirement == f"gast==0.2.2 --hash=sha256:{'0' * 64}\n"
    wheel = PythonFile.model_validate({**FILE, "file": "Some_Thing-1.0-cp37-cp37m-manylinux2014_aarch64.whl"})
    assert (wheel.wheel, wheel.pinned) == (True, ("some-thing", "1.0"))
    with pytest.raises(ValidationError, match="Invalid"):
        PythonFile.model_validate({**FILE, "file": "gast.whl"})


def test_place_of_a_file_is_its_host_or_the_index() -> None:
    assert PythonFile.model_validate(FILE).place == "the package index"
    assert Download.model_validate({**FILE, "url": URL}).place == "host.example:8443"


def test_file_that_is_not_on_the_index_needs_an_address() -> None:
    with pytest.raises(ValidationError, match="'url' is missing"):
        Download.model_validate(FILE)


def test_patch_is_applied_or_copied() -> None:
    Patch(file="a.patch", folder="third_party", reason="for a test")
    with pytest.raises(ValidationError, match="not both"):
        Patch(file="a.patch", folder="third_party", copied="x/a.patch", reason="for a test")


@pytest.mark.parametrize(
    ("release", "accepted"),
    [("8.5", False), ("9.3", False), ("9.4", True), ("9.5", True), ("10.2", False), ("10.4", True), ("11.1", True)],
)
def test_flags_are_accepted_by_newer_releases_and_backports(release: str, *, accepted: bool) -> None:
    flags = Compiler(flags="-mcpu=neoverse-v1", least="11", backports=["10.4", "9.4"])
    assert flags.accepted_by(release) is accepted


def test_flags_without_a_known_release_are_never_accepted() -> None:
    assert not Compiler(flags="-mcpu=a64fx", least=None).accepted_by("99")


def test_old_compiler_gets_flags_that_it_accepts(matrix: Matrix) -> None:
    v2 = matrix.recipes.targets["v2"].compile
    assert v2.gcc_flags("14.2") == v2.gcc.flags
    assert v2.gcc_flags("9.4") == v2.older[0].flags != v2.gcc.flags
    assert v2.gcc_flags("4.8") is None


def test_every_target_has_flags_for_the_compiler_of_its_base(matrix: Matrix) -> None:
    for combo, compiled in builds(matrix):
        builder = matrix.base(combo).builder
        assert builder is not None
        options = compiled.bazel_options(combo.target, combo.backend, builder.gcc)
        flags = combo.target.compile.gcc_flags(builder.gcc)
        assert flags is not None
        assert {f"--copt={flag}" for flag in flags.split()} <= set(options)
        assert options[: len(compiled.options)] == compiled.options
        assert set(compiled.backends[combo.backend]) <= set(options)


def test_known_cache_sizes_become_bazel_options(matrix: Matrix) -> None:
    _, build = builds(matrix)[0]
    n1, m1 = matrix.recipes.targets["n1"], matrix.recipes.targets["m1"]
    backend = next(iter(build.backends))
    assert n1.compile.caches is not None
    assert [option for option in build.bazel_options(n1, backend, "9.4") if "CACHE" in option] == [
        option.format(level1=n1.compile.caches.level1, level2=n1.compile.caches.level2) for option in build.caches
    ]
    assert m1.compile.caches is None
    assert not any("CACHE" in option for option in build.bazel_options(m1, backend, "9.4"))


def test_target_without_flags_for_the_compiler_is_an_error(tree: Tree) -> None:
    tree.edit("recipes/targets/m1.yaml", 'least: "9"}', 'least: "12"}')
    message = r"recipes/targets/m1\.yaml has no compiler flags for Apple M1 that GCC 9\.4 accepts"
    with pytest.raises(InputError, match=message) as error:
        tree.plan("tensorflow-1.15.5-m1-eigen")
    assert error.value.next_step == "invoke list --target m1"
    assert "compile.older" in error.value.hint


def test_backend_without_bazel_options_is_an_error(tree: Tree) -> None:
    tree.edit(TENSORFLOW, "        eigen: []\n", "")
    with pytest.raises(InputError, match=r"cannot compile over eigen: build\.backends has no eigen"):
        tree.plan(COMPILED)


def test_compiling_on_a_base_without_a_builder_is_an_error(tree: Tree) -> None:
    tree.edit(TENSORFLOW, "provider: source\n    base: debian-11-python-3.7", "provider: source\n    base: debian-13")
    with pytest.raises(InputError, match="its base debian-13 has no builder"):
        tree.plan(COMPILED)


def test_compiled_interpreter_needs_a_builder(tree: Tree) -> None:
    text = (tree.root / BASE).read_text(encoding="utf-8")
    (tree.root / BASE).write_text(text[: text.index("builder:")], encoding="utf-8")
    (mistake,) = [line for line in tree.mistakes() if BASE in line]
    assert "which needs 'builder'" in mistake


@pytest.mark.parametrize(("old", "new"), [("provider: source", "provider: wheel"), ("    build:\n", "    built:\n")])
def test_provider_source_and_build_need_each_other(tree: Tree, old: str, new: str) -> None:
    tree.edit(TENSORFLOW, old, new)
    assert any(line.startswith(TENSORFLOW) for line in tree.mistakes())


def test_missing_patch_is_named(tree: Tree) -> None:
    (tree.root / "recipes/patches/tensorflow-1.15.5/numpy-1.19.patch").unlink()
    with pytest.raises(
        InputError, match=r"the patch recipes/patches/tensorflow-1\.15\.5/numpy-1\.19\.patch does not exist"
    ):
        tree.plan(COMPILED)


def test_base_without_a_public_image_cannot_use_registry(tree: Tree) -> None:
    with pytest.raises(InputError, match=r"debian-11-python-3\.7 comes from the distribution's archive only"):
        tree.plan(COMPILED, "registry")


def test_every_download_is_checked_by_its_hash(matrix: Matrix) -> None:
    combo, build = builds(matrix)[0]
    plan = make_plan(matrix, combo)
    text = plan.files["Dockerfile"].decode()
    for file in plan.downloads:
        if file in combo.release.files:
            assert f"--hash=sha256:{file.sha256}" in plan.files["files.txt"].decode()
        else:
            assert f"echo '{file.sha256}  /downloads/{file.file}' > /sum\nsha256sum --check --quiet /sum\n" in text
    assert {build.source.file, build.bazel.source.file} < {file.file for file in plan.downloads}


def test_every_patch_is_in_the_context_and_applied_or_copied(matrix: Matrix) -> None:
    combo, build = builds(matrix)[0]
    plan = make_plan(matrix, combo)
    parts = {stage.name: "\n".join(stage.instructions) for stage in parse_stages(plan.files["Dockerfile"])}
    for stage, patches in (("bazel", build.bazel.patches), ("compiled", build.patches)):
        for patch in patches:
            assert f"patches/{patch.file}" in plan.files
            applied = f"--directory={patch.folder or '.'} --input=/patches/{patch.file}\n"
            assert (f"cp /patches/{patch.file} {patch.copied}\n" if patch.copied else applied) in parts[stage]
    assert "--fuzz=0" in parts["compiled"]
    assert {f"patches/{patch.file}" for patch in build.all_patches} == {
        name for name in plan.files if name.startswith("patches/")
    }


@pytest.mark.parametrize(
    ("combo", "machine", "builder", "warned"),
    [
        (COMPILED, "amd64", "", True), (COMPILED, "arm64", "", False), (COMPILED, "amd64", "far-away", False),
        ("tensorflow-2.21.0-n1-eigen", "amd64", "", False),
    ],
)  # fmt: skip
def test_compiling_under_emulation_prints_a_warning(  # noqa: PLR0913, PLR0917 - the fields of a case
    matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, combo: str, machine: str, builder: str,
    warned: bool,  # noqa: FBT001
) -> None:  # fmt: skip
    messages: list[str] = []
    monkeypatch.setattr(console, "say", lambda text, _: messages.append(text))
    monkeypatch.setattr(debian_roots, "get_build_architecture", lambda: machine)
    monkeypatch.setattr(buildx, "run_build", lambda *_, **__: [])
    assemble.assemble(tmp_path, make_plan(matrix, matrix.by_id[combo]), EngineAddress(), builder)
    assert bool(messages) is warned
    assert all("compiles under emulation" in text for text in messages)


def test_changed_patch_changes_the_digest(matrix: Matrix, tree: Tree) -> None:
    tree.edit("recipes/patches/tensorflow-1.15.5/numpy-1.19.patch", "NumPy 1.19", "NumPy 1.19.5")
    assert tree.plan(COMPILED).inputs != make_plan(matrix, matrix.by_id[COMPILED]).inputs


def test_committed_patches_have_correct_line_counts() -> None:
    patches = sorted((ROOT / "recipes/patches").rglob("*.patch"))
    assert patches
    for path in patches:
        hunks = re.split(r"^@@ -\d+,(\d+) \+\d+,(\d+) @@.*\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert len(hunks) > 1, path
        for old, new, body in zip(hunks[1::3], hunks[2::3], hunks[3::3], strict=True):
            lines = [line for line in body.splitlines() if not line.startswith(("---", "+++"))]
            assert sum(line.startswith((" ", "-")) for line in lines) == int(old), path
            assert sum(line.startswith((" ", "+")) for line in lines) == int(new), path


def test_image_lists_compiled_and_downloaded_packages(matrix: Matrix) -> None:
    for version in ("1.15.5", "1.15.0"):
        plan = make_plan(matrix, matrix.by_id[f"tensorflow-{version}-n1-eigen"])
        text = plan.files["image/opt/armwright/image.json"].decode()
        assert f'"tensorflow": "{version}"' in text
        assert '"gast": "0.2.2"' in text


def test_downloaded_framework_is_installed_by_its_hash(matrix: Matrix) -> None:
    plan = make_plan(matrix, matrix.by_id["tensorflow-1.15.0-n1-eigen"])
    names = {stage.name for stage in parse_stages(plan.files["Dockerfile"])}
    assert {"builder", "python"} < names
    assert not {"bazel", "compiled"} & names
    assert b"tensorflow==1.15.0 --hash=sha256:" in plan.files["files.txt"]
    assert b"tensorflow==" not in plan.files["requirements.txt"]
