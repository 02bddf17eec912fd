"""What is compiled: data that cannot say something else, flags that the compiler understands, whole patches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from armwright.assembly import assemble, buildx
from armwright.fetch import debian_roots
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan.plan import make_plan
from armwright.recipes.source_builds import Download, Patch, PythonFile, SourceBuild
from armwright.recipes.targets import Compiler
from armwright.system import console
from armwright.system.errors import InputError
from tests.support import ROOT, Tree, stages

TENSORFLOW = "recipes/frameworks/tensorflow/framework.yaml"
BASE = "recipes/bases/debian-11-python-3.7.yaml"
COMPILED = "tensorflow-1.15.5-n1-eigen"
URL = "https://host.example:8443/a/b.zip"
FILE = {"file": "gast-0.2.2.tar.gz", "sha256": "0" * 64, "found": "nowhere, a test"}


def builds(matrix: Matrix) -> list[tuple[Combo, SourceBuild]]:
    found = [(one, one.release.build) for one in matrix.combos if one.release.build and one.refusal is None]
    assert found
    return found


@pytest.mark.parametrize(
    "spoilt",
    [
        {"file": "../x.tar.gz"}, {"file": "a b.zip"}, {"file": ".hidden"}, {"sha256": "0" * 63}, {"sha256": "A" * 64},
        {"url": "http://host.example/x"}, {"url": "https://host.example/x y"}, {"url": "https://host.example/$(id)"},
        {"url": "https://user:word@host.example/x"}, {"url": "https://host.example/x\n"}, {"url": "file:///etc/passwd"},
        {"found": "short"}, {"size": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_download_without_a_plain_name_a_whole_hash_and_a_plain_address_cannot_exist(spoilt: dict[str, Any]) -> None:
    Download.model_validate({**FILE, "url": URL})
    with pytest.raises(ValidationError):
        Download.model_validate({**FILE, "url": URL, **spoilt})


def test_a_file_for_python_says_by_its_name_what_it_is() -> None:
    source = PythonFile.model_validate(FILE)
    assert (source.wheel, source.pinned) == (False, ("gast", "0.2.2"))
    assert source.requirement == f"gast==0.2.2 --hash=sha256:{'0' * 64}\n"
    wheel = PythonFile.model_validate({**FILE, "file": "Some_Thing-1.0-cp37-cp37m-manylinux2014_aarch64.whl"})
    assert (wheel.wheel, wheel.pinned) == (True, ("some-thing", "1.0"))
    with pytest.raises(ValidationError, match="Invalid"):
        PythonFile.model_validate({**FILE, "file": "gast.whl"})


def test_the_place_of_a_file_is_its_host_or_the_index() -> None:
    assert PythonFile.model_validate(FILE).place == "the package index"
    assert Download.model_validate({**FILE, "url": URL}).place == "host.example:8443"


def test_what_is_not_on_the_index_has_an_address() -> None:
    with pytest.raises(ValidationError, match="'url' is missing"):
        Download.model_validate(FILE)


def test_a_patch_is_applied_or_copied() -> None:
    Patch(file="a.patch", folder="third_party", reason="a test of it")
    with pytest.raises(ValidationError, match="not both"):
        Patch(file="a.patch", folder="third_party", copied="x/a.patch", reason="a test of it")


@pytest.mark.parametrize(
    ("release", "understood"),
    [("8.5", False), ("9.3", False), ("9.4", True), ("9.5", True), ("10.2", False), ("10.4", True), ("11.1", True)],
)
def test_flags_are_understood_from_a_release_on_and_by_the_series_they_were_carried_back_to(
    release: str, *, understood: bool
) -> None:
    flags = Compiler(flags="-mcpu=neoverse-v1", least="11", backports=["10.4", "9.4"])
    assert flags.accepted_by(release) is understood


def test_where_nobody_knows_the_first_release_none_is_known_to_understand() -> None:
    assert not Compiler(flags="-mcpu=a64fx", least=None).accepted_by("99")


def test_a_compiler_too_old_for_the_cpu_gets_the_nearest_that_it_understands(matrix: Matrix) -> None:
    v2 = matrix.recipes.targets["v2"].compile
    assert v2.gcc_flags("14.2") == v2.gcc.flags
    assert v2.gcc_flags("9.4") == v2.older[0].flags != v2.gcc.flags
    assert v2.gcc_flags("4.8") is None


def test_every_target_has_flags_for_the_compiler_of_every_base_that_compiles(matrix: Matrix) -> None:
    for combo, compiled in builds(matrix):
        builder = matrix.base(combo).builder
        assert builder is not None
        words = compiled.bazel_options(combo.target, combo.backend, builder.gcc)
        flags = combo.target.compile.gcc_flags(builder.gcc)
        assert flags is not None
        assert {f"--copt={flag}" for flag in flags.split()} <= set(words)
        assert words[: len(compiled.options)] == compiled.options
        assert set(compiled.backends[combo.backend]) <= set(words)


def test_the_sizes_of_the_caches_are_told_where_they_are_known(matrix: Matrix) -> None:
    _, build = builds(matrix)[0]
    n1, m1 = matrix.recipes.targets["n1"], matrix.recipes.targets["m1"]
    backend = next(iter(build.backends))
    assert n1.compile.caches is not None
    assert [word for word in build.bazel_options(n1, backend, "9.4") if "CACHE" in word] == [
        one.format(level1=n1.compile.caches.level1, level2=n1.compile.caches.level2) for one in build.caches
    ]
    assert m1.compile.caches is None
    assert not any("CACHE" in word for word in build.bazel_options(m1, backend, "9.4"))


def test_a_target_without_flags_for_the_compiler_is_told_before_anything_starts(tree: Tree) -> None:
    tree.edit("recipes/targets/m1.yaml", 'least: "9"}', 'least: "12"}')
    message = r"recipes/targets/m1\.yaml has no compiler flags for Apple M1 that GCC 9\.4 accepts"
    with pytest.raises(InputError, match=message) as error:
        tree.plan("tensorflow-1.15.5-m1-eigen")
    assert error.value.next_step == "invoke list --target m1"
    assert "compile.older" in error.value.hint


def test_a_backend_that_the_recipe_has_no_words_for_is_told(tree: Tree) -> None:
    tree.edit(TENSORFLOW, "        eigen: []\n", "")
    with pytest.raises(InputError, match="cannot compile it: build.backends has no eigen"):
        tree.plan(COMPILED)


def test_a_base_without_a_builder_compiles_nothing(tree: Tree) -> None:
    tree.edit(TENSORFLOW, "provider: source\n    base: debian-11-python-3.7", "provider: source\n    base: debian-13")
    with pytest.raises(InputError, match="its base debian-13 has no builder"):
        tree.plan(COMPILED)


def test_an_interpreter_without_a_builder_is_a_mistake_of_the_base(tree: Tree) -> None:
    text = (tree.root / BASE).read_text(encoding="utf-8")
    (tree.root / BASE).write_text(text[: text.index("builder:")], encoding="utf-8")
    (told,) = [line for line in tree.mistakes() if BASE in line]
    assert "which needs 'builder'" in told


@pytest.mark.parametrize(("old", "new"), [("provider: source", "provider: wheel"), ("    build:\n", "    built:\n")])
def test_the_provider_source_and_the_way_it_is_built_come_together(tree: Tree, old: str, new: str) -> None:
    tree.edit(TENSORFLOW, old, new)
    assert any(line.startswith(TENSORFLOW) for line in tree.mistakes())


def test_a_missing_patch_is_told_with_its_place(tree: Tree) -> None:
    (tree.root / "recipes/patches/tensorflow-1.15.5/numpy-1.19.patch").unlink()
    with pytest.raises(
        InputError, match=r"the patch recipes/patches/tensorflow-1\.15\.5/numpy-1\.19\.patch does not exist"
    ):
        tree.plan(COMPILED)


def test_a_base_without_a_public_image_says_so(tree: Tree) -> None:
    with pytest.raises(InputError, match=r"debian-11-python-3\.7 comes from the distribution's archive only"):
        tree.plan(COMPILED, "registry")


def test_every_download_is_checked_by_its_hash_where_it_is_unpacked_or_installed(matrix: Matrix) -> None:
    combo, build = builds(matrix)[0]
    one = make_plan(matrix, combo)
    text = one.files["Dockerfile"].decode()
    for file in one.downloads:
        if file in combo.release.files:
            assert f"--hash=sha256:{file.sha256}" in one.files["files.txt"].decode()
        else:
            assert f"echo '{file.sha256}  /downloads/{file.file}' > /sum\nsha256sum --check --quiet /sum\n" in text
    assert {build.source.file, build.bazel.source.file} < {file.file for file in one.downloads}


def test_every_patch_is_in_the_context_and_applied_or_put_where_the_build_applies_it(matrix: Matrix) -> None:
    combo, build = builds(matrix)[0]
    one = make_plan(matrix, combo)
    parts = {stage.name: "\n".join(stage.instructions) for stage in stages(one.files["Dockerfile"])}
    for stage, patches in (("bazel", build.bazel.patches), ("compiled", build.patches)):
        for patch in patches:
            assert f"patches/{patch.file}" in one.files
            applied = f"--directory={patch.folder or '.'} --input=/patches/{patch.file}\n"
            assert (f"cp /patches/{patch.file} {patch.copied}\n" if patch.copied else applied) in parts[stage]
    assert "--fuzz=0" in parts["compiled"]
    assert {f"patches/{patch.file}" for patch in build.all_patches} == {
        x for x in one.files if x.startswith("patches/")
    }


@pytest.mark.parametrize(
    ("combo", "machine", "builder", "warned"),
    [
        (COMPILED, "amd64", "", True), (COMPILED, "arm64", "", False), (COMPILED, "amd64", "far-away", False),
        ("tensorflow-2.21.0-n1-eigen", "amd64", "", False),
    ],
)  # fmt: skip
def test_an_emulator_that_has_to_compile_is_warned_of(  # noqa: PLR0913, PLR0917 - a case's words
    matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, combo: str, machine: str, builder: str,
    warned: bool,  # noqa: FBT001
) -> None:  # fmt: skip
    said: list[str] = []
    monkeypatch.setattr(console, "say", lambda text, _: said.append(text))
    monkeypatch.setattr(debian_roots, "get_build_architecture", lambda: machine)
    monkeypatch.setattr(buildx, "run_build", lambda *_, **__: [])
    one = matrix.by_id[combo]
    assemble.assemble(tmp_path, make_plan(matrix, one), builder)
    assert bool(said) is warned
    assert all("compiles under emulation" in text for text in said)


def test_a_changed_patch_changes_the_digest(matrix: Matrix, tree: Tree) -> None:
    tree.edit("recipes/patches/tensorflow-1.15.5/numpy-1.19.patch", "NumPy 1.19", "NumPy 1.19.5")
    assert tree.plan(COMPILED).inputs != make_plan(matrix, matrix.by_id[COMPILED]).inputs


def test_the_committed_patches_are_unified_diffs_that_count_their_own_lines_right() -> None:
    patches = sorted((ROOT / "recipes/patches").rglob("*.patch"))
    assert patches
    for path in patches:
        hunks = re.split(r"^@@ -\d+,(\d+) \+\d+,(\d+) @@.*\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert len(hunks) > 1, path
        for old, new, body in zip(hunks[1::3], hunks[2::3], hunks[3::3], strict=True):
            lines = [line for line in body.splitlines() if not line.startswith(("---", "+++"))]
            assert sum(line.startswith((" ", "-")) for line in lines) == int(old), path
            assert sum(line.startswith((" ", "+")) for line in lines) == int(new), path


def test_what_was_compiled_and_what_came_as_a_file_are_among_the_packages_the_image_names(matrix: Matrix) -> None:
    for version in ("1.15.5", "1.15.0"):
        one = make_plan(matrix, matrix.by_id[f"tensorflow-{version}-n1-eigen"])
        text = one.files["image/opt/armwright/image.json"].decode()
        assert f'"tensorflow": "{version}"' in text
        assert '"gast": "0.2.2"' in text


def test_a_version_that_comes_as_a_file_is_installed_by_its_hash_and_compiles_no_framework(matrix: Matrix) -> None:
    one = make_plan(matrix, matrix.by_id["tensorflow-1.15.0-n1-eigen"])
    names = {stage.name for stage in stages(one.files["Dockerfile"])}
    assert {"builder", "python"} < names
    assert not {"bazel", "compiled"} & names
    assert b"tensorflow==1.15.0 --hash=sha256:" in one.files["files.txt"]
    assert b"tensorflow==" not in one.files["requirements.txt"]
