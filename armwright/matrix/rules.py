"""Rules of matrix.yaml: they refuse combos, or call them unverified, each with a reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import BeforeValidator, InstanceOf, model_validator

from armwright.recipes.patterns import Name, Reason
from armwright.system.strict_model import StrictModel

NAME_KEY = Version("0.dev0")  # the key of every name that is not a version; lower than that of any version


@cache
def version_key(version: str) -> Version:
    """Return the sort key of a version; a name that is not a version, such as 1.x-compat, sorts before all versions."""
    try:
        return Version(version)
    except InvalidVersion:
        return NAME_KEY


@dataclass(frozen=True)
class Versions:
    """The versions that a rule matches: a range (">=2.10,<2.12") or a list of names.

    Attributes:
        specifiers: the range; a name that is not a version, such as 1.x-compat, is never in it.
        names: the list of names; empty for a range.
    """

    specifiers: SpecifierSet
    names: frozenset[str] = frozenset()

    def contains(self, version: str) -> bool:
        """Return whether a version matches."""
        if self.names:
            return version in self.names
        return version_key(version) > NAME_KEY and self.specifiers.contains(version_key(version), prereleases=True)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _parse_versions(value: object) -> object:
    if isinstance(value, list) and value and all(isinstance(version, str) for version in value):
        return Versions(SpecifierSet(), frozenset(value))
    if not isinstance(value, str):
        raise ValueError("must be text: put it in quotes, for example '==2.10.0'")  # noqa: TRY004 - pydantic reports a ValueError
    try:
        return Versions(SpecifierSet(value))
    except InvalidSpecifier as error:
        raise ValueError(f"{error}; write for example '==2.10.0' or '>=2.10,<2.12', or a list of versions") from error


NameList = Annotated[list[Name], BeforeValidator(_as_list)]


class AxisPattern(StrictModel):
    """The combos that a rule matches; an axis that is not named matches every value."""

    framework: NameList | None = None
    version: Annotated[InstanceOf[Versions], BeforeValidator(_parse_versions)] | None = None
    target: NameList | None = None
    backend: NameList | None = None

    @model_validator(mode="after")
    def _names_an_axis(self) -> AxisPattern:
        if not self.model_fields_set:
            raise ValueError("a rule must name at least one axis: without one it would match every combo")
        return self

    def frameworks(self, published: Collection[str]) -> Iterable[str]:
        """Return the published frameworks that match."""
        return published if self.framework is None else [name for name in self.framework if name in published]

    def of_version(self, framework: str, version: str) -> bool:
        """Return whether a version of a framework matches."""
        return (self.framework is None or framework in self.framework) and (
            self.version is None or self.version.contains(version)
        )

    def of_target(self, target: str) -> bool:
        """Return whether a target matches."""
        return self.target is None or target in self.target

    def of_backend(self, backend: str) -> bool:
        """Return whether a backend matches."""
        return self.backend is None or backend in self.backend


class Rule(StrictModel):
    """A rule about some combos, with its reason.

    Attributes:
        refuse: combos that cannot be built.
        unverified: combos with complete recipes that were never seen working; they are built only if selected by name.
    """

    refuse: AxisPattern | None = None
    unverified: AxisPattern | None = None
    because: Reason

    @model_validator(mode="after")
    def _has_one_effect(self) -> Rule:
        if (self.refuse is None) == (self.unverified is None):
            raise ValueError("a rule has either 'refuse' or 'unverified'")
        return self

    @property
    def pattern(self) -> AxisPattern:
        """The combos that it matches."""
        pattern = self.refuse or self.unverified
        assert pattern is not None  # noqa: S101 - for the type checker: the validator checks it
        return pattern


@dataclass(frozen=True)
class Verdict:
    """The reasons of the rules that match one combo: the first of each kind; None if no rule of that kind matches."""

    refusal: str | None = None
    unverified: str | None = None


def apply_rules(rules: Sequence[Rule]) -> Verdict:
    """Combine the rules that match a combo."""
    refusal = next((rule.because for rule in rules if rule.refuse is not None), None)
    return Verdict(refusal, next((rule.because for rule in rules if rule.unverified is not None), None))
