"""Locks: exact versions and hashes, no address, no CUDA."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from armwright.matrix.matrix import Matrix
from armwright.plan import ingredients, locks
from armwright.system.errors import InputError
from tests.support import ROOT, Tree

HASH = f"    --hash=sha256:{'0a' * 32}"
GOOD = f"# a lock\nnumpy==2.5.5 \\\n{HASH} \\\n{HASH}\ntorch==2.10.0 \\\n{HASH}\n"


def wrong(text: str) -> list[str]:
    with pytest.raises(InputError) as refused:
        locks.check_wheel_lock(text, "a.txt")
    assert refused.value.code == 2
    assert "invoke lock" in refused.value.next_step
    return [line.strip() for line in refused.value.what.splitlines()[1:]]


def test_every_committed_lock_is_good_and_pins_its_own_framework(matrix: Matrix) -> None:
    for combo in {(combo.framework.name, combo.version): combo for combo in matrix.combos}.values():
        wheels = locks.read_wheel_lock(ROOT, combo.framework.name, combo.version)
        assert ingredients.installed_packages(combo, wheels)[combo.distribution] == combo.upstream
        assert not any(
            name.startswith(("nvidia", "cuda")) or name == "triton" for name in locks.locked_packages(wheels)
        )


def test_every_base_lock_serves_both_build_platforms(matrix: Matrix) -> None:
    for base in matrix.recipes.bases.values():
        lock = locks.read_base_lock(ROOT, base.name)
        assert {package.name for package in base.archive.packages} <= set(lock.root)
        assert {package.name for package in (base.builder.packages if base.builder else ())} <= set(lock.builder)
        assert bool(base.builder) == bool(lock.builder)
        for architecture in ("amd64", "arm64"):
            assert {package.name for package in base.tools} <= set(lock.tools[architecture])


def test_a_lock_of_names_versions_and_hashes_is_good() -> None:
    locks.check_wheel_lock(GOOD, "a.txt")
    locks.check_wheel_lock("", "a.txt")
    assert locks.locked_packages(GOOD) == {"numpy": "2.5.5", "torch": "2.10.0"}


def test_versions_are_read_whole() -> None:
    text = "a==1!2.0rc1+cpu.x \\\nb-c.d==0 \\\n# e==1\n    f==1\n"
    assert locks.locked_packages(text) == {"a": "1!2.0rc1+cpu.x", "b-c.d": "0"}


@pytest.mark.parametrize("name", ["nvidia-cublas-cu12", "nvidia-nccl", "cuda-bindings", "cuda-toolkit", "triton"])
def test_a_cuda_distribution_is_refused(name: str) -> None:
    assert wrong(f"{GOOD}{name}==1.0 \\\n{HASH}\n") == [
        f"a.txt:7: {name} is a CUDA distribution, and this image is for CPUs"
    ]


@pytest.mark.parametrize("name", ["tritonclient", "nvidiax", "barracuda-x"])
def test_a_name_that_only_looks_like_a_cuda_distribution_is_good(name: str) -> None:
    locks.check_wheel_lock(f"{name}==1.0 \\\n{HASH}\n", "a.txt")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--index-url https://mirror.example/simple", "an address"),
        ("--extra-index-url http://a:secret@mirror.example/", "an address"),
        ("torch @ https://example.org/torch.whl", "an address"),
        ("# from https://mirror.example/simple", "an address"),
        ("--find-links /opt/wheels", "not a pinned requirement"),
        ("-r other.txt", "not a pinned requirement"),
        ("-e .", "not a pinned requirement"),
        ("scipy", "not a pinned requirement"),
        ("scipy>=1.0", "not a pinned requirement"),
        ("scipy>=1.0 \\", "not a pinned requirement"),
        ("scipy==1.0", "scipy has no sha256"),
        ("scipy==1.0 \\", "scipy has no sha256"),
        ("Nvidia_cublas==1.0 \\", "not a pinned requirement"),
        ("    --hash=sha256:abc", "not a pinned requirement"),
        (f"    --hash=md5:{'0' * 32}", "not a pinned requirement"),
        (f"{HASH} --pre", "not a pinned requirement"),
        ("%PDF-1.4", "not a pinned requirement"),
        ("<html>", "not a pinned requirement"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(line: str, text: str) -> None:
    mistakes = wrong(f"{GOOD}{line}\n")
    assert len(mistakes) == 1
    assert mistakes[0].startswith("a.txt:7: ")
    assert text in mistakes[0]


@pytest.mark.parametrize("more", ["; sys_platform == 'win32'", "--pre", "-r other.txt", "--config-settings=a=b"])
def test_a_pinned_line_contains_only_a_version(more: str) -> None:
    mistakes = wrong(f"scipy==1.0 {more} \\\n{HASH}\n")
    assert mistakes[0].startswith("a.txt:1: more than name==version")


@pytest.mark.parametrize("hashed", ["    --hash=sha256:abc", "# --hash=sha256:", f"numpy==1 \\\n{HASH}"])
def test_a_version_without_a_whole_hash_behind_it_is_refused(hashed: str) -> None:
    assert wrong(f"scipy==1.0 \\\n{hashed}\n")[0] == "a.txt:1: scipy has no sha256"


def test_all_bad_lines_are_reported_together() -> None:
    assert len(wrong(f"scipy\n{GOOD}triton==3.0 \\\n{HASH}\nhttps://example.org\n")) == 3


def test_a_missing_lock_is_an_error_with_the_command_to_make_it(tree: Tree) -> None:
    with pytest.raises(InputError, match=r"pytorch 9\.9 has no lock") as refused:
        locks.read_wheel_lock(tree.root, "pytorch", "9.9")
    assert refused.value.next_step == "invoke lock --framework pytorch --version 9.9"
    with pytest.raises(InputError, match="moon has no lock") as refused:
        locks.read_base_lock(tree.root, "moon")
    assert refused.value.next_step == "invoke lock --base moon"


def test_a_lock_that_is_not_even_text_is_refused(tree: Tree) -> None:
    locks.wheel_lock_path(tree.root, "pytorch", "2.9.1").write_bytes(b"\xff\xfe\x00torch")
    with pytest.raises(InputError, match=r"recipes/locks/pytorch-2\.9\.1\.txt:1: not a pinned requirement"):
        locks.read_wheel_lock(tree.root, "pytorch", "2.9.1")


DIGEST = "ab" * 32
BASE = f"""created: "2026-11-20T09:32:55Z"
root:
  dash: {{version: 0.5.12-12, sha256: {DIGEST}}}
tools:
  amd64: {{}}
"""


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"2026-11-20T09:32:55Z"', "2026-11-20T09:32:55Z", "1:10: 'created' must be text: put 2026-11-20T09:32:55Z"),
        ("2026-11-20T09", "2026-13-20T09", "1:10: 'created'"),  # fits the pattern, and is no time
        ("2026-11-20T09:32:55Z", "today", "1:10: 'created'"),
        ("0.5.12-12", "0.5", "3:19: 'version' must be text: put 0.5 in quotes"),
        ("0.5.12-12", "'0.5; rm'", "3:19: 'version'"),
        (DIGEST, "abc", "'sha256'"),
        (f", sha256: {DIGEST}", "", "3:9: 'sha256' is missing"),
        ("dash:", "'da sh':", "3:3: 'da sh'"),
        ("amd64:", "riscv:", "5:3: 'riscv'"),
        ("tools:", "tool:", "4:1: unknown key 'tool': did you mean 'tools'?"),
    ],
)
def test_a_mistake_in_a_base_lock_is_reported_at_its_place(tree: Tree, old: str, new: str, place: str) -> None:
    locks.base_lock_path(tree.root, "debian-13").write_text(BASE.replace(old, new, 1))
    with pytest.raises(InputError) as refused:
        locks.read_base_lock(tree.root, "debian-13")
    assert "recipes/locks/debian-13.yaml:" in refused.value.what
    assert place in refused.value.what


def test_a_base_lock_is_read_as_it_was_written(tree: Tree) -> None:
    deb = locks.Deb(version="1:1.35", sha256=DIGEST)
    number = locks.Deb(version="20250419", sha256=DIGEST)  # YAML takes it for a number unless it is quoted
    made = locks.BaseLock(created="2026-11-20T09:32:55Z", root={"tar": deb, "tz": number}, tools={"arm64": {"a+": deb}})
    locks.write_base_lock(tree.root, "debian-13", made)
    assert locks.read_base_lock(tree.root, "debian-13") == made
    assert "invoke lock --base debian-13" in locks.base_lock_path(tree.root, "debian-13").read_text().splitlines()[0]


def test_the_epoch_is_the_lock_s_time_in_utc() -> None:
    made = locks.BaseLock(created="2026-11-20T09:32:55Z", root={}, tools={})
    assert datetime.fromtimestamp(made.epoch, UTC).isoformat() == "2026-11-20T09:32:55+00:00"
