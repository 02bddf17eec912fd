"""From a plan to a Dockerfile and to files: nothing of the target platform runs, nothing of the host gets in."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armwright.matrix.matrix import Combo, Matrix
from armwright.plan import render
from armwright.plan.plan import Plan, make_plan
from armwright.recipes.bases import Registry
from tests.support import Tree, parse_stages

TARGET, BUILD = "linux/arm64", "$BUILDPLATFORM"
DOWNLOADS = re.compile(r"^(bazel build |EXTRA_BAZEL_ARGS=)", re.MULTILINE)  # what the sources name, each by its hash


def registry(plan: Plan) -> Registry:
    assert plan.base.registry is not None
    return plan.base.registry


@pytest.fixture(scope="module", params=["archive", "registry"])
def plans(matrix: Matrix, request: pytest.FixtureRequest) -> list[Plan]:
    possible = [combo for combo in matrix.combos if combo.refusal is None]
    return [
        make_plan(matrix, combo, request.param) for combo in possible if request.param in matrix.base(combo).sources
    ]


def test_only_compiling_stages_run_on_the_target_platform(plans: list[Plan]) -> None:
    for plan in plans:
        parts = parse_stages(plan.files["Dockerfile"])
        compiling = {"builder", "python", "packages", *(("bazel", "compiled") if plan.combo.release.build else ())}
        assert {stage.platform for stage in parts} == {TARGET, BUILD}
        running = {stage.name for stage in parts if stage.platform == TARGET and "RUN" in stage.keywords()}
        assert running == (compiling if plan.compiles else set())
        assert any("RUN" in stage.keywords() for stage in parts)  # else the parser is blind


def test_the_last_stage_sets_user_entrypoint_and_command(plans: list[Plan]) -> None:
    for plan in plans:
        image = parse_stages(plan.files["Dockerfile"])[-1]
        assert image.platform == TARGET
        assert image.keywords()[-3:] == ["USER", "ENTRYPOINT", "CMD"]
        assert image.instructions[-3] == "USER 1000:1000"
        assert image.instructions[-1] == 'CMD ["info"]'
        python = plan.base.archive.python if plan.source == "archive" else registry(plan).python
        assert image.instructions[-2] == f'ENTRYPOINT ["{python}", "-I", "-S", "/opt/armwright/entrypoint.py"]'
        assert all(step.startswith("COPY --link --from=") for step in image.instructions if step.startswith("COPY"))


def test_every_named_stage_exists_and_every_run_has_no_network(plans: list[Plan]) -> None:
    for plan in plans:
        parts = parse_stages(plan.files["Dockerfile"])
        names = {stage.name for stage in parts}
        steps = [step for stage in parts for step in stage.instructions]
        assert set(re.findall(r"--from=(\S+)", "\n".join(steps))) <= names
        for stage in parts:
            for step in stage.instructions:
                if step.startswith("RUN") and stage.origin in names | {"scratch"} and not DOWNLOADS.search(step):
                    assert step.startswith("RUN --network=none "), step


def test_no_context_contains_an_address(plans: list[Plan]) -> None:
    host = re.compile(
        r"://|\b[\w-]+\.(?:com|org|net|io|dev|internal|local|example)(?::\d+)?(?:/|\s|$)|\b(?:\d+\.){3}\d+:\d+"
    )
    for plan in plans:
        texts = {name: plan.files[name].decode() for name in ("Dockerfile", "requirements.txt")}
        texts["image.json"] = plan.files["image/opt/armwright/image.json"].decode()
        assert {name: host.findall(text) for name, text in texts.items() if host.search(text)} == {}


def test_only_build_platform_stages_use_a_registry(plans: list[Plan]) -> None:
    for plan in plans:
        parts = parse_stages(plan.files["Dockerfile"])
        names = {stage.name for stage in parts}
        foreign = {stage.origin for stage in parts} - names - {"scratch"}
        assert foreign == (set() if plan.source == "archive" else {registry(plan).image})
        assert all("@sha256:" in image for image in foreign)


def test_no_trailing_blanks_and_no_three_empty_lines(plans: list[Plan]) -> None:
    for plan in plans:
        text = plan.files["Dockerfile"].decode()
        assert not re.search(r"[ \t]\n", text)
        assert "\n\n\n\n" not in text
        assert "{{" not in text
        assert "{%" not in text


def test_the_head_says_what_it_is_and_how_to_build_it_manually(plans: list[Plan]) -> None:
    for plan in plans:
        head = plan.files["Dockerfile"].decode().split("FROM")[0]
        assert head.startswith(f"# {plan.combo.id}: ")
        assert f"SOURCE_DATE_EPOCH={plan.lock.epoch} docker buildx build --platform linux/arm64" in head


@pytest.mark.parametrize("hole", ["{{ nothing }}", "{{ combo.nothing }}", "{% for x in nothing %}{% endfor %}"])
def test_a_template_that_names_what_a_plan_does_not_have_fails(tree: Tree, hole: str) -> None:
    tree.edit("dockerfiles/image.j2", "USER", f"{hole}\nUSER")
    with pytest.raises(jinja2.UndefinedError, match="nothing"):
        tree.plan("pytorch-2.10.0-n1-acl")


def labels(dockerfile: bytes) -> dict[str, str]:
    """Read LABEL as BuildKit's lexer does inside double quotes: a backslash keeps only itself, a quote and a dollar."""
    step = next(text for text in parse_stages(dockerfile)[-1].instructions if text.startswith("LABEL "))
    texts = {}
    for name, quoted in re.findall(r'([\w.]+)="((?:[^"\\]|\\.)*)"', step):
        assert not re.search(r"(?<!\\)(?:\\\\)*\$", quoted), "a variable would be expanded"
        texts[name] = re.sub(r'\\(["\\$])', r"\1", quoted)
    return texts


def titled(combo: Combo, title: str) -> Combo:
    checked = type(combo.target).model_validate({**combo.target.model_dump(), "title": title})
    return replace(combo, target=checked)


HOSTILE = st.text(
    st.one_of(st.sampled_from("\"'\\$`{}%#<>;|&!*\u2028\u0085 "), st.characters(exclude_categories=["Cc", "Cs"])),
    min_size=2,
    max_size=30,
)


@given(HOSTILE)
@settings(max_examples=60)
def test_a_title_of_any_characters_survives_in_its_label(matrix: Matrix, title: str) -> None:
    combo = titled(matrix.by_id["pytorch-2.10.0-n1-acl"], title)
    texts = labels(make_plan(matrix, combo).files["Dockerfile"])
    assert texts["org.opencontainers.image.title"] == f"PyTorch 2.10.0 for {title}"
    assert texts["org.armwright.combo"] == combo.id


@pytest.mark.parametrize(
    "title", ['a" b', "${PATH} and $HOME", "back\\slash\\", "\\$x \\\\", "{{ 7 * 7 }}{% raw %}", "# escape=`", "é — µ"]
)
def test_a_hostile_title_stays_a_title(matrix: Matrix, title: str) -> None:
    combo = titled(matrix.by_id["pytorch-2.10.0-n1-acl"], title)
    dockerfile = make_plan(matrix, combo).files["Dockerfile"]
    assert labels(dockerfile)["org.opencontainers.image.title"].endswith(title)
    assert [stage.keywords() for stage in parse_stages(dockerfile)] == [
        stage.keywords() for stage in parse_stages(make_plan(matrix, matrix.by_id[combo.id]).files["Dockerfile"])
    ]


@pytest.mark.parametrize("title", ["two\nlines", "a\rb", "a\x00b", "a\x7fb", "\x1b[31mred"])
def test_a_title_with_a_control_character_never_gets_that_far(matrix: Matrix, title: str) -> None:
    with pytest.raises(ValueError, match="title"):
        titled(matrix.by_id["pytorch-2.10.0-n1-acl"], title)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*")}


@pytest.mark.parametrize("mask", [0o077, 0o000])
def test_files_are_written_with_the_same_modes_under_any_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        render.write_context(tmp_path / "context", {"Dockerfile": b"FROM scratch\n", "image/opt/a/b.py": b"\x00\xff"})
    finally:
        os.umask(before)
    assert modes(tmp_path / "context") == {
        "Dockerfile": 0o644,
        "image": 0o755,
        "image/opt": 0o755,
        "image/opt/a": 0o755,
        "image/opt/a/b.py": 0o644,
    }
    assert (tmp_path / "context/image/opt/a/b.py").read_bytes() == b"\x00\xff"


def test_writing_again_removes_what_an_earlier_plan_left(tmp_path: Path) -> None:
    folder = tmp_path / "context"
    render.write_context(folder, {"Dockerfile": b"old", "image/old.py": b"old"})
    (folder / "wheels").mkdir()
    (folder / "wheels" / "a.whl").write_bytes(b"download")
    render.write_context(folder, {"Dockerfile": b"new"})
    assert [path.name for path in folder.rglob("*")] == ["Dockerfile"]
    assert (folder / "Dockerfile").read_bytes() == b"new"


def test_obstacles_are_replaced_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"kept")
    folder = tmp_path / "context"
    render.write_context(folder, {"a/b": b"a folder, then a file", "c": b"a file, then a folder"})
    (folder / "d").symlink_to(outside)
    (folder / "e").symlink_to(outside / "kept")
    (folder / "f").symlink_to(outside)
    files = {"a": b"1", "c/b": b"2", "d/kept": b"3", "e": b"kept"}
    render.write_context(folder, files)
    written = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert written == files
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert (outside / "kept").read_bytes() == b"kept"


def test_a_download_shared_by_a_link_outlives_the_context(tmp_path: Path) -> None:
    cached = tmp_path / "cache.whl"
    cached.write_bytes(b"kept")
    render.write_context(tmp_path / "context", {"Dockerfile": b""})
    os.link(cached, tmp_path / "context" / "cache.whl")
    render.write_context(tmp_path / "context", {"Dockerfile": b""})
    assert cached.read_bytes() == b"kept"


def test_a_missing_template_is_named(tree: Tree) -> None:
    context: dict[str, Any] = {}
    (tree.root / "dockerfiles/Dockerfile.j2").unlink()
    with pytest.raises(jinja2.TemplateNotFound, match=r"Dockerfile\.j2"):
        render.render_dockerfile(tree.root, context)


def test_files_of_different_content_have_different_times(tmp_path: Path) -> None:
    for folder, content in (("one", b"12"), ("same", b"12"), ("other", b"21")):
        render.write_context(tmp_path / folder, {"image/file": content, "Dockerfile": content})
    times = {path.parent.name: path.stat().st_mtime_ns for path in tmp_path.glob("*/Dockerfile")}
    assert times["one"] == times["same"]
    assert times["one"] != times["other"]
    assert times["one"] == (tmp_path / "one" / "image" / "file").stat().st_mtime_ns
