"""Rules: what is said of some combinations, with the reason; a rule is data, and so is every refusal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion
from packaging.version import Version as Ordered
from pydantic import BeforeValidator, InstanceOf, model_validator

from armwright.recipes.model import Recipe
from armwright.recipes.patterns import Name, Reason

NAMED = Ordered("0.dev0")


@cache
def order(version: str) -> Ordered:
    """Return what versions are sorted by; a name of ours, 1.x-compat, comes before every version of upstream's."""
    try:
        return Ordered(version)
    except InvalidVersion:
        return NAMED


@dataclass(frozen=True)
class Versions:
    """The versions a rule speaks of: by order, as Python's packages are (">=2.10,<2.12"), or by name.

    Attributes:
        order: a range; a name of ours has no order and is in none.
        names: the versions as written, where it is no range.
    """

    order: SpecifierSet
    names: frozenset[str] = frozenset()

    def contains(self, version: str) -> bool:
        """Say whether a version is among them."""
        if self.names:
            return version in self.names
        return order(version) > NAMED and self.order.contains(order(version), prereleases=True)


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _versions(value: object) -> object:
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return Versions(SpecifierSet(), frozenset(value))
    if not isinstance(value, str):
        raise ValueError("must be text: put it in quotes, for example '==2.10.0'")  # noqa: TRY004 - pydantic's way
    try:
        return Versions(SpecifierSet(value))
    except InvalidSpecifier as error:
        raise ValueError(f"{error}; write for example '==2.10.0' or '>=2.10,<2.12', or a list of versions") from error


Names = Annotated[list[Name], BeforeValidator(_one_or_more)]


class AxisPattern(Recipe):
    """The combinations a rule speaks of; an axis left out means any value."""

    framework: Names | None = None
    version: Annotated[InstanceOf[Versions], BeforeValidator(_versions)] | None = None
    target: Names | None = None
    backend: Names | None = None

    @model_validator(mode="after")
    def _names_an_axis(self) -> AxisPattern:
        if not self.model_fields_set:
            raise ValueError("a rule names at least one axis; an empty one would refuse everything")
        return self

    def frameworks(self, published: Collection[str]) -> Iterable[str]:
        """Return the published frameworks that it speaks of."""
        return published if self.framework is None else [name for name in self.framework if name in published]

    def of_version(self, framework: str, version: str) -> bool:
        """Say whether it speaks of a version of a framework, on some target, over some backend."""
        return (self.framework is None or framework in self.framework) and (
            self.version is None or self.version.contains(version)
        )

    def of_target(self, target: str) -> bool:
        """Say whether it speaks of a target."""
        return self.target is None or target in self.target

    def of_backend(self, backend: str) -> bool:
        """Say whether it speaks of a backend."""
        return self.backend is None or backend in self.backend


class Rule(Recipe):
    """What is said of some combinations, with the reason.

    Attributes:
        refuse: these cannot exist.
        unverified: these are written completely and were never seen working here; they are built when asked for by
            name.
    """

    refuse: AxisPattern | None = None
    unverified: AxisPattern | None = None
    because: Reason

    @model_validator(mode="after")
    def _says_one_thing(self) -> Rule:
        if (self.refuse is None) == (self.unverified is None):
            raise ValueError("a rule says either 'refuse' or 'unverified'")
        return self

    @property
    def pattern(self) -> AxisPattern:
        """The combinations it speaks of."""
        pattern = self.refuse or self.unverified
        assert pattern is not None  # noqa: S101 - for the type checker: checked when it was made
        return pattern


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one combination: the first reason of each kind, None where no rule speaks of it."""

    refusal: str | None = None
    unverified: str | None = None


def apply_rules(rules: Sequence[Rule]) -> Verdict:
    """Return what rules say together of a combination that all of them speak of."""
    refusal = next((rule.because for rule in rules if rule.refuse is not None), None)
    return Verdict(refusal, next((rule.because for rule in rules if rule.unverified is not None), None))
