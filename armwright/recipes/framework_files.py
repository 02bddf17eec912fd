"""Frameworks as files: recipes/frameworks/<framework>/framework.yaml, and one <backend>.yaml per backend beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from armwright.recipes.frameworks import Framework, FrameworkBackend, FrameworkFile
from armwright.recipes.kernels import KernelEntry, KernelRules, Override
from armwright.recipes.names import Names, check_names
from armwright.system import yaml_file
from armwright.system.errors import nearest
from armwright.system.yaml_file import Location, Mistakes

FILE = "framework.yaml"


class PlacedRule(NamedTuple):
    """A kernel rule with its place in a backend's file."""

    place: Location
    source: str
    operation: str
    entry: KernelEntry


def load_frameworks(root: Path, known: Mapping[str, Collection[str]], mistakes: Mistakes) -> dict[str, Framework]:
    """Load all frameworks with their backends.

    Args:
        root: the project's root, the folder with recipes/.
        known: the names of the recipes in the other folders.
        mistakes: receives every mistake, with file, line and column.
    """
    frameworks: dict[str, Framework] = {}
    taken: dict[str, str] = {}
    folder = root / "recipes" / "frameworks"
    for stray in sorted(folder.glob("*.yaml")):
        document = yaml_file.read_yaml(stray, str(stray.relative_to(root)), mistakes)
        if document:
            mistakes.add(document, (), f"a framework is a folder: move this file to {stray.stem}/{FILE}")
    for path in sorted(folder.glob(f"*/{FILE}")):
        loaded = yaml_file.parse_yaml(path, str(path.relative_to(root)), FrameworkFile, mistakes)
        if loaded is None:
            continue
        document, framework = loaded
        check_names(framework, f"{path.parent.name}/{FILE}", document, taken, mistakes)
        for version, release in framework.versions.items():
            names = Names(document, known, mistakes)
            names.require_recipe(("versions", version, "base"), "bases", release.base)
            _check_environment(framework, version, names)
        backends = _load_backends(root, path.parent, framework, known, mistakes)
        if not backends:
            mistakes.add(document, (), f"the framework has no backend: write {path.parent.name}/<backend>.yaml")
        frameworks[framework.name] = Framework(**dict(framework), backends=backends)
    return frameworks


def _load_backends(
    root: Path, folder: Path, framework: FrameworkFile, known: Mapping[str, Collection[str]], mistakes: Mistakes
) -> dict[str, FrameworkBackend]:
    backends: dict[str, FrameworkBackend] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == FILE:
            continue
        loaded = yaml_file.parse_yaml(path, str(path.relative_to(root)), FrameworkBackend, mistakes)
        if loaded is None:
            continue
        document, backend = loaded
        names = Names(document, known, mistakes)
        names.require((), path.stem, known["backends"], "backend")
        _check_variables(framework, backend, names)
        _check_rules(backend, names)
        for index, override in enumerate(backend.overrides):
            _check_override(backend, index, override, framework, names)
        backends[path.stem] = backend
    return backends


def _check_environment(framework: FrameworkFile, version: str, names: Names) -> None:
    shared = {variable.name for variable in framework.environment}
    for position, variable in enumerate(framework.versions[version].environment):
        if variable.name in shared:
            place = ("versions", version, "environment", position, "name")
            names.note(place, f"the framework sets {variable.name} already")


def _check_variables(framework: FrameworkFile, backend: FrameworkBackend, names: Names) -> None:
    taken = {variable.name for variable in framework.environment}
    taken |= {variable.name for release in framework.versions.values() for variable in release.environment}
    for position, variable in enumerate(backend.environment):
        if variable.name in taken:
            names.note(("environment", position, "name"), f"the framework sets {variable.name} already")
        taken.add(variable.name)


def _check_rules(backend: FrameworkBackend, names: Names) -> None:
    """Note an id that stands twice, and a rule that requires a kernel of any operation."""
    seen: set[str] = set()
    for rule in _placed(("kernels",), backend.kernels):
        _check_wildcard(rule, names)
        if rule.entry.id in seen:
            names.note((*rule.place, "id"), f"another rule has the id '{rule.entry.id}'")
        seen.add(rule.entry.id)


def _check_override(
    backend: FrameworkBackend, index: int, override: Override, framework: FrameworkFile, names: Names
) -> None:
    """Note names that do not exist, and rules that replace none or are replaced by another override as well."""
    place = ("overrides", index)
    for position, target in enumerate(override.targets or ()):
        names.require_recipe((*place, "targets", position), "targets", target)
    for position, version in enumerate(override.versions or ()):
        names.require((*place, "versions", position), version, framework.versions, "version")
    replaced = {rule.entry.id: rule for rule in _placed(("kernels",), backend.kernels)}
    seen: set[str] = set()
    for rule in _placed((*place, "kernels"), override.kernels):
        _check_wildcard(rule, names)
        name = rule.entry.id
        base = replaced.get(name)
        if base is None:
            names.note((*rule.place, "id"), f"'{name}' replaces no rule: {nearest(name, replaced)}")
        elif (base.source, base.operation) != (rule.source, rule.operation):
            text = (
                f"'{name}' is a rule for {base.operation} by {base.source}, not for {rule.operation} by {rule.source}"
            )
            names.note((*rule.place, "id"), text)
        elif name in seen:
            names.note((*rule.place, "id"), f"another rule of this override has the id '{name}'")
        seen.add(name)
    _check_dtypes(backend, override, place, names)
    for earlier in backend.overrides[:index]:
        _check_overlap(earlier, override, place, names)


def _check_dtypes(backend: FrameworkBackend, override: Override, place: Location, names: Names) -> None:
    for dtype in override.dtypes:
        if dtype not in backend.dtypes:
            text = f"'{dtype}' replaces no data type: {nearest(dtype, backend.dtypes)}"
            names.note((*place, "dtypes", dtype), text, key=True)


def _check_overlap(earlier: Override, later: Override, place: Location, names: Names) -> None:
    """Note what two overrides replace for the same target in the same version: only one of them could count."""
    if not earlier.meets(later):
        return
    ids = {rule.entry.id for rule in _placed((), earlier.kernels)}
    for rule in _placed((*place, "kernels"), later.kernels):
        if rule.entry.id in ids:
            names.note((*rule.place, "id"), f"an earlier override replaces '{rule.entry.id}' for the same images")
    for dtype in later.dtypes.keys() & earlier.dtypes.keys():
        text = f"an earlier override replaces '{dtype}' for the same images"
        names.note((*place, "dtypes", dtype), text, key=True)


def _check_wildcard(rule: PlacedRule, names: Names) -> None:
    if "*" in rule.operation and rule.entry.implementations and not rule.entry.optional:
        names.note(rule.place, "a rule for several operations cannot require one of them: set 'optional: true'")


def _placed(place: Location, kernels: KernelRules) -> Iterator[PlacedRule]:
    for source, operations in kernels.items():
        for operation, entries in operations.items():
            for position, entry in enumerate(entries):
                yield PlacedRule((*place, source, operation, position), source, operation, entry)
