"""Newer versions on the index, each judged by facts: its tags, its hash, what its METADATA requires on AArch64."""

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
_LONGEST = 120  # characters of a word that somebody else wrote
_WITHOUT_M = (3, 8)  # the first Python whose binary interface is not called cp…m


@dataclass(frozen=True)
class Candidate:
    """A version that the index has.

    Attributes:
        version: the version, as a recipe has it.
        refusal: why it cannot be published; empty where nothing speaks against it.
    """

    version: str
    refusal: str = ""


def newer(files: Iterable[IndexFile], than: Version) -> dict[Version, list[IndexFile]]:
    """Return the files of each version newer than one, newest first."""
    found: dict[Version, list[IndexFile]] = {}
    for file in files:
        if file.version > than:
            found.setdefault(file.version, []).append(file)
    return dict(sorted(found.items(), reverse=True))


def judge_version(version: Version, files: Iterable[IndexFile], base: Base, index: PackageIndex) -> Candidate:
    """Judge a version by its files.

    Raises:
        MachineError: the index cannot be reached.
    """
    return Candidate(str(version), next(_against(version, files, base, index), ""))


def environment(base: Base) -> dict[str, str]:
    """Return what dependency markers are evaluated for: AArch64 Linux and the base's Python, and not this machine."""
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
    """Return the tags of wheels that run on a base, each with its rank; the best is 0."""
    python = tuple(int(part) for part in base.python.split("."))
    name = "cp" + base.python.replace(".", "")
    platforms = wheels.list_platform_tags(base.glibc)
    abi = name + ("m" if python < _WITHOUT_M else "")
    tags = [*cpython_tags(python, [abi], platforms), *compatible_tags(python, name, platforms)]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def _against(version: Version, files: Iterable[IndexFile], base: Base, index: PackageIndex) -> Iterator[str]:
    """Say what speaks against a version; what costs a download comes last."""
    if version.is_prerelease:
        yield "a pre-release"
    try:
        TypeAdapter(patterns.VersionName).validate_python(str(version))
    except ValidationError:
        yield "a recipe holds no version of this form"
    known = ranks(base)
    fitting = [file for file in files if not known.keys().isdisjoint(file.tags)]
    if not fitting:
        yield f"no wheel for AArch64 and Python {base.python} with glibc {base.glibc}"
    left = [file for file in fitting if file.yanked is None]
    if not left:
        yield f"withdrawn by its makers{_quoted(fitting[0].yanked or '')}"
    wheel = max(left, key=lambda file: (-min(known[tag] for tag in file.tags if tag in known), file.build))
    yield from _python(wheel.requires_python, base)
    if not wheel.sha256:
        yield "its wheel has no sha256 on the index"
    try:
        said = index.metadata(wheel)
    except FailedError as failure:
        yield failure.what
        return
    yield from _python(said.requires_python, base)
    yield from _cuda(said.requires, base)


def _python(written: str, base: Base) -> Iterator[str]:
    try:
        wanted = SpecifierSet(written)
        if not wanted.contains(f"{base.python}.0"):
            yield f"it requires Python {wanted}, and {base.title} has {base.python}"
    except InvalidSpecifier:
        yield f"the versions of Python it requires make no sense{_quoted(written)}"


def _cuda(requires: Iterable[Requirement], base: Base) -> Iterator[str]:
    here = environment(base)
    try:
        needed = {canonicalize_name(one.name) for one in requires if one.marker is None or one.marker.evaluate(here)}
    except (ValueError, KeyError) as error:  # what is compared, or what is named, makes no sense
        yield f"a dependency's marker cannot be evaluated{_quoted(str(error))}"
        return
    names = sorted(name for name in needed if locks.FORBIDDEN.match(name))
    if names:
        yield f"a CUDA build: it requires {some(names, _SHOWN)}"


def _quoted(words: str) -> str:
    """Quote what somebody else wrote: not too much of it, and what cannot be printed as Python writes it."""
    return f": {words[:_LONGEST]!r}" if words else ""
