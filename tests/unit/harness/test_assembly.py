"""The sides of benchmarks/assembly.py: the Dockerfile by hand, its context, and what is compared with what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan
from benchmarks import assembly, by_hand
from benchmarks.assembly import ASSEMBLY, GZIP, PIP, ZSTD
from benchmarks.sides import Side
from tests.support import parse_stages

N1 = "pytorch-2.10.0-n1-acl"
OURS = Side(fetch=10.0, builds=[9.0, 20.0, 8.0], compressed=130, unpacked=500, compression="zstd", steps={})


def test_the_dockerfile_by_hand_runs_nothing_of_the_target(matrix: Matrix) -> None:
    for combo in (combo for combo in matrix.combos if combo.is_known_to_work and combo.release.provider == "wheel"):
        packages, image = parse_stages(by_hand.write_dockerfile(make_plan(matrix, combo)).encode())
        assert (packages.platform, image.platform) == ("$BUILDPLATFORM", "linux/arm64")
        assert "RUN" not in image.keywords()
        (run,) = (text for text in packages.instructions if text.startswith("RUN"))
        assert f"--python-version {matrix.base(combo).python} " in run
        assert ("--requirement /files.txt" in run) == ("target=/files.txt" in run) == bool(combo.release.files)


def test_the_context_by_hand_links_the_downloads_of_ours(matrix: Matrix, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    (ours / "wheels").mkdir(parents=True)
    for name in ("root.tar", "root.status", "tools.tar", "uv", "requirements.txt", "Dockerfile", "wheels/a.whl"):
        (ours / name).write_text("ours")
    by_hand.link_context(make_plan(matrix, matrix.by_id[N1]), ours, theirs)
    linked = {str(path.relative_to(theirs)) for path in theirs.rglob("*") if path.stat().st_nlink == 2}
    assert linked >= {"root.tar", "tools.tar", "uv", "requirements.txt", "wheels/a.whl"}
    assert (ours / "Dockerfile").read_text() == "ours"
    assembly.replace_file(theirs / "root.tar", b"theirs")
    assert (ours / "root.tar").read_text() == "ours"


def test_each_run_gives_all_files_of_the_image_another_time(matrix: Matrix) -> None:
    dockerfile = make_plan(matrix, matrix.by_id[N1]).files["Dockerfile"]
    assert len(assembly._TIME.findall(dockerfile)) == dockerfile.count(b"touch -h -d @") == 3


def test_builds_by_hand_are_compared_with_the_build_alone() -> None:
    hand = replace(OURS, fetch=0.0, builds=[18.0], compressed=200)
    ratios = assembly.compare_sides({ASSEMBLY: OURS, ZSTD: hand, GZIP: hand, PIP: replace(hand, builds=[190.0])})
    assert ratios[ZSTD] == ratios[GZIP] == {"seconds": 0.5, "compressed": 0.65, "unpacked": 1.0}
    assert ratios[PIP]["seconds"] == pytest.approx(0.1)
