"""Newer versions on the index, each checked by the tags, the hash and the METADATA of its AArch64 wheel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import TypeAdapter, ValidationError

from armwright.fetch import wheels
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex
from armwright.plan import locks
from armwright.recipes import patterns
from armwright.recipes.bases import Base
from armwright.system.errors import FailedError, some

_SHOWN = 8  # names in a reason
_LONGEST = 120  # characters of text from the index in a message
_WITHOUT_M = (3, 8)  # the first Python whose ABI tag has no m: cp38 after cp37m


@dataclass(frozen=True)
class Candidate:
    """A version on the index.

    Attributes:
        version: the version, as a recipe writes it.
        refusal: why it cannot be published; empty if it can.
    """

    version: str
    refusal: str = ""


def newer(files: Iterable[IndexFile], than: Version) -> dict[Version, list[IndexFile]]:
    """Return the files of each version that is newer than `than`, newest first."""
    versions: dict[Version, list[IndexFile]] = {}
    for file in files:
        if file.version > than:
            versions.setdefault(file.version, []).append(file)
    return dict(sorted(versions.items(), reverse=True))


def judge_version(version: Version, files: Iterable[IndexFile], base: Base, index: PackageIndex) -> Candidate:
    """Check whether a version can be published, by its files.

    Raises:
        MachineError: the index cannot be reached.
    """
    return Candidate(str(version), next(_reasons_against(version, files, base, index), ""))


def environment(base: Base) -> dict[str, str]:
    """Return the values of dependency markers for AArch64 Linux and the Python of a base, not for this machine."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{base.python}.0",
        "os_name": "posix",
        "platform_machine": "aarch64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{base.python}.0",
        "python_version": base.python,
        "sys_platform": "linux",
        "extra": "",
    }


def ranks(base: Base) -> Mapping[Tag, int]:
    """Return the wheel tags that run on a base, each with its rank; 0 is the best."""
    python = tuple(int(part) for part in base.python.split("."))
    name = "cp" + base.python.replace(".", "")
    platforms = wheels.list_platform_tags(base.glibc)
    abi = name + ("m" if python < _WITHOUT_M else "")
    tags = [*cpython_tags(python, [abi], platforms), *compatible_tags(python, name, platforms)]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def _reasons_against(version: Version, files: Iterable[IndexFile], base: Base, index: PackageIndex) -> Iterator[str]:
    """Yield reasons against publishing a version; checks that need a download come last."""
    if version.is_prerelease:
        yield "a pre-release"
    try:
        TypeAdapter(patterns.VersionName).validate_python(str(version))
    except ValidationError:
        yield "recipes do not accept a version of this form"
    known = ranks(base)
    fitting = [file for file in files if not known.keys().isdisjoint(file.tags)]
    if not fitting:
        yield f"no wheel for AArch64 and Python {base.python} with glibc {base.glibc}"
    kept = [file for file in fitting if file.yanked is None]
    if not kept:
        yield f"withdrawn upstream{_quoted(fitting[0].yanked or '')}"
    wheel = max(kept, key=lambda file: (-min(known[tag] for tag in file.tags if tag in known), file.build))
    yield from _check_python(wheel.requires_python, base)
    if not wheel.sha256:
        yield "its wheel has no sha256 on the index"
    try:
        metadata = index.metadata(wheel)
    except FailedError as failure:
        yield failure.what
        return
    yield from _check_python(metadata.requires_python, base)
    yield from _check_cuda(metadata.requires, base)


def _check_python(specifier: str, base: Base) -> Iterator[str]:
    try:
        required = SpecifierSet(specifier)
        if not required.contains(f"{base.python}.0"):
            yield f"it requires Python {required}, and {base.title} has {base.python}"
    except InvalidSpecifier:
        yield f"its Requires-Python is invalid{_quoted(specifier)}"


def _check_cuda(requires: Iterable[Requirement], base: Base) -> Iterator[str]:
    values = environment(base)
    try:
        needed = {
            canonicalize_name(requirement.name)
            for requirement in requires
            if requirement.marker is None or requirement.marker.evaluate(values)
        }
    except (ValueError, KeyError) as error:  # an invalid comparison, or an unknown variable
        yield f"a dependency's marker cannot be evaluated{_quoted(str(error))}"
        return
    names = sorted(name for name in needed if locks.FORBIDDEN.match(name))
    if names:
        yield f"a CUDA build: it requires {some(names, _SHOWN)}"


def _quoted(text: str) -> str:
    """Quote text from the index: shortened, and with unprintable characters escaped."""
    return f": {text[:_LONGEST]!r}" if text else ""
