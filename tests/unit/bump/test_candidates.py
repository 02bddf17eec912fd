"""Newer versions are checked by facts about their AArch64 wheel, independent of this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.version import Version

from armwright.bump import candidates
from armwright.fetch import index_pages
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex, WheelMetadata
from armwright.matrix.matrix import Matrix
from armwright.recipes.bases import Base
from armwright.system.errors import FailedError, MachineError
from tests.wheelhouse import AARCH64, Wheel, page


@pytest.fixture(scope="module")
def base(matrix: Matrix) -> Base:
    base = matrix.recipes.bases["debian-13"]
    assert (base.python, base.glibc) == ("3.13", "2.41")
    return base


def files(*wheels: Wheel) -> list[IndexFile]:
    return index_pages.parse_page(json.dumps(page(wheels)).encode(), "application/json", "https://a.example/", "lamp")


@dataclass(frozen=True)
class FakeIndex(PackageIndex):
    """An index that returns the metadata that a test wants."""

    requires: tuple[str, ...] = ()
    requires_python: str = ""
    failure: Exception | None = None
    only: str = ""

    def metadata(self, file: IndexFile) -> WheelMetadata:
        assert self.only in {"", file.name}
        if self.failure:
            raise self.failure
        return WheelMetadata(tuple(map(Requirement, self.requires)), self.requires_python)


class UnusedIndex(PackageIndex):
    """An index from which nothing may be downloaded."""

    def metadata(self, file: IndexFile) -> WheelMetadata:
        raise AssertionError(file.name)


def refusal(base: Base, *wheels: Wheel, index: PackageIndex | None = None) -> str:
    listed = files(*wheels)
    return candidates.judge_version(listed[0].version, listed, base, index or UnusedIndex(())).refusal


@pytest.mark.parametrize(
    "tags",
    [
        AARCH64,
        "cp313-cp313-manylinux_2_41_aarch64",
        "cp313-cp313-manylinux2014_aarch64",
        "cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64",
        "cp39-abi3-manylinux_2_28_aarch64",
        "py3-none-manylinux_2_28_aarch64",
        "py3-none-any",
        "cp312.cp313-none-any",
    ],
)
def test_wheel_for_aarch64_and_the_python_is_accepted(base: Base, tags: str) -> None:
    assert refusal(base, Wheel("lamp", "1.1.0", tags), index=FakeIndex((), requires=("numpy",))) == ""


@pytest.mark.parametrize(
    "tags",
    [
        "cp313-cp313-manylinux_2_28_x86_64",
        "cp313-cp313-manylinux_2_42_aarch64",
        "cp313-cp313-musllinux_1_2_aarch64",
        "cp313-cp313-linux_aarch64",
        "cp313-cp313-macosx_14_0_arm64",
        "cp313-cp313-win_arm64",
        "cp312-cp312-manylinux_2_28_aarch64",
        "cp314-cp314-manylinux_2_28_aarch64",
        "cp313-cp313t-manylinux_2_28_aarch64",
        "cp314-abi3-manylinux_2_28_aarch64",
        "pp311-pypy311_pp73-manylinux_2_28_aarch64",
        "py2-none-any",
    ],
)
def test_wheel_for_another_platform_or_python_is_refused(base: Base, tags: str) -> None:
    assert refusal(base, Wheel("lamp", "1.1.0", tags)) == "no wheel for AArch64 and Python 3.13 with glibc 2.41"


@pytest.mark.parametrize(("python", "abi"), [("3.7", "cp37m"), ("3.8", "cp38"), ("3.14", "cp314")])
def test_abi_tag_is_that_of_the_python_version(base: Base, python: str, abi: str) -> None:
    other = base.model_copy(update={"python": python})
    name = "cp" + python.replace(".", "")
    index = FakeIndex((), requires=(f'triton; python_version != "{python}"',))
    assert refusal(other, Wheel("lamp", "1.1.0", f"{name}-{abi}-manylinux2014_aarch64"), index=index) == ""
    assert refusal(other, Wheel("lamp", "1.1.0")).startswith(f"no wheel for AArch64 and Python {python} ")


def test_source_distribution_is_refused(base: Base) -> None:
    entry = {"files": [{"filename": "lamp-1.1.0.tar.gz", "url": "lamp-1.1.0.tar.gz", "hashes": {"sha256": "0" * 64}}]}
    listed = index_pages.parse_page(json.dumps(entry).encode(), "application/json", "https://a.example/", "lamp")
    judged = candidates.judge_version(Version("1.1.0"), listed, base, UnusedIndex(()))
    assert judged == candidates.Candidate("1.1.0", "no wheel for AArch64 and Python 3.13 with glibc 2.41")


@pytest.mark.parametrize("version", ["1.1.0rc1", "1.1.0a1", "1.1.0.dev3"])
def test_pre_release_is_refused(base: Base, version: str) -> None:
    assert refusal(base, Wheel("lamp", version)) == "a pre-release"


@pytest.mark.parametrize("version", ["1.1.0.post1", "1!2.0", "1.1.0+cpu", "2", "1.2.3.4.5"])
def test_version_that_recipes_do_not_accept_is_refused(base: Base, version: str) -> None:
    assert refusal(base, Wheel("lamp", version)) == "recipes do not accept a version of this form"


def test_withdrawn_version_is_refused_with_its_reason(base: Base) -> None:
    assert refusal(base, Wheel("lamp", "1.1.0", yanked="")) == "withdrawn upstream"
    assert refusal(base, Wheel("lamp", "1.1.0", yanked="it burns")) == "withdrawn upstream: 'it burns'"


def test_text_from_the_index_is_escaped_and_shortened(base: Base) -> None:
    shown = refusal(base, Wheel("lamp", "1.1.0", yanked="\x1b[2J\u202ea\nb" + "c" * 10_000))
    assert shown.isprintable()
    assert len(shown) < 200


def test_withdrawn_wheel_does_not_hide_another_wheel(base: Base) -> None:
    withdrawn = Wheel("lamp", "1.1.0", "cp313-cp313-manylinux_2_40_aarch64", yanked="")
    assert refusal(base, withdrawn, Wheel("lamp", "1.1.0"), index=FakeIndex((), only=f"lamp-1.1.0-{AARCH64}.whl")) == ""


def test_wheel_without_a_hash_is_refused(base: Base) -> None:
    assert refusal(base, Wheel("lamp", "1.1.0", hashed=False)) == "its wheel has no sha256 on the index"


@pytest.mark.parametrize("specifier", [">=3.14", "<3.13", "==3.12.*", "!=3.13.*"])
def test_version_for_another_python_is_refused(base: Base, specifier: str) -> None:
    expected = f"it requires Python {specifier}, and Debian 13 has 3.13"
    assert refusal(base, Wheel("lamp", "1.1.0", requires_python=specifier)) == expected
    assert refusal(base, Wheel("lamp", "1.1.0"), index=FakeIndex((), requires_python=specifier)) == expected
    assert refusal(base, Wheel("lamp", "1.1.0", requires_python=">=3.10"), index=FakeIndex(())) == ""


def test_invalid_requires_python_is_refused(base: Base) -> None:
    wheel = Wheel("lamp", "1.1.0", requires_python="~3")
    assert refusal(base, wheel) == "its Requires-Python is invalid: '~3'"


@pytest.mark.parametrize("index", [">=3.10", ""])
def test_the_wheel_that_pip_would_choose_is_checked(base: Base, index: str) -> None:
    older = Wheel("lamp", "1.1.0", "cp313-cp313-manylinux_2_17_aarch64", hashed=False, requires_python=index)
    general = Wheel("lamp", "1.1.0", "py3-none-any", hashed=False)
    newer = Wheel("lamp", "1.1.0", "cp313-cp313-manylinux_2_41_aarch64")
    assert refusal(base, older, newer, general, index=FakeIndex((), only=newer.file)) == ""


def test_the_newer_of_two_builds_is_checked(base: Base) -> None:
    first, second = Wheel("lamp", "1.1.0", f"2-{AARCH64}"), Wheel("lamp", "1.1.0", f"10-{AARCH64}")
    assert refusal(base, first, second, index=FakeIndex((), only=second.file)) == ""


CUDA = (
    'cuda-bindings<14,>=13.0.3; platform_system == "Linux"',
    'Nvidia_CUDNN.cu13==9.1; platform_machine == "aarch64" and sys_platform == "linux"',
    'triton==3.6.0; python_version < "3.14" and implementation_name == "cpython"',
)


def test_cuda_build_is_refused_with_its_requirements(base: Base) -> None:
    index = FakeIndex((), requires=("numpy", *CUDA))
    assert (
        refusal(base, Wheel("lamp", "1.1.0"), index=index)
        == "a CUDA build: it requires cuda-bindings, nvidia-cudnn-cu13, triton"
    )


@pytest.mark.parametrize("requirement", CUDA)
def test_one_cuda_requirement_is_enough(base: Base, requirement: str) -> None:
    index = FakeIndex((), requires=("numpy", requirement))
    assert refusal(base, Wheel("lamp", "1.1.0"), index=index).startswith("a CUDA build: it requires ")


def test_long_list_of_cuda_requirements_is_shortened(base: Base) -> None:
    index = FakeIndex((), requires=tuple(f"nvidia-x{number}" for number in range(20)))
    assert refusal(base, Wheel("lamp", "1.1.0"), index=index).endswith("nvidia-x14, nvidia-x15 and 12 more")


@pytest.mark.parametrize(
    "requirement",
    [
        'triton==3.6.0; platform_machine == "x86_64"',
        'nvidia-cudnn-cu13; platform_system == "Windows" or sys_platform == "darwin"',
        'triton; extra == "fast"',
        'cuda-bindings; python_version >= "3.14"',
        'triton; platform_python_implementation == "PyPy" or os_name == "nt"',
        "tritonclient",
    ],
)
def test_requirement_of_another_platform_is_not_cuda(base: Base, requirement: str) -> None:
    assert refusal(base, Wheel("lamp", "1.1.0"), index=FakeIndex((), requires=(requirement,))) == ""


def test_markers_are_evaluated_for_the_image(base: Base) -> None:
    here = candidates.environment(base)
    assert default_environment().keys() <= here.keys()
    assert (here["platform_machine"], here["sys_platform"], here["python_version"]) == ("aarch64", "linux", "3.13")


@pytest.mark.parametrize("marker", ['python_version ~= "one"', '"fast" in extras'])
def test_invalid_marker_is_refused(base: Base, marker: str) -> None:
    index = FakeIndex((), requires=(f"triton; {marker}",))
    assert refusal(base, Wheel("lamp", "1.1.0"), index=index).startswith("a dependency's marker cannot be evaluated")


def test_bad_metadata_is_refused_and_network_error_is_raised(base: Base) -> None:
    broken = FakeIndex((), failure=FailedError("its METADATA is invalid"))
    assert refusal(base, Wheel("lamp", "1.1.0"), index=broken) == "its METADATA is invalid"
    with pytest.raises(MachineError, match="cannot be reached"):
        refusal(base, Wheel("lamp", "1.1.0"), index=FakeIndex((), failure=MachineError("cannot be reached")))


def test_newer_versions_are_sorted_as_versions() -> None:
    listed = files(*(Wheel("lamp", version) for version in ("1.9.0", "1.10.0", "1.2.0", "1.8.0", "1.10.0", "1.8.0rc1")))
    newer = candidates.newer(listed, Version("1.8.0"))
    assert [str(version) for version in newer] == ["1.10.0", "1.9.0"]
    assert [len(wheels) for wheels in newer.values()] == [2, 1]
