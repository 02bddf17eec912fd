"""Names in recipes: each must be that of another recipe, and mean one thing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from armwright.system import yaml_file
from armwright.system.errors import nearest
from armwright.system.yaml_file import Document, Mistakes


class Named(Protocol):
    """A recipe with a name; frameworks, backends and targets have aliases too."""

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """The name of the recipe."""


@dataclass(frozen=True)
class Names:
    """The check of the names in one recipe.

    Attributes:
        document: the recipe's document.
        known: the names of the recipes in each folder of recipes/.
        mistakes: receives the mistakes.
    """

    document: Document
    known: Mapping[str, Collection[str]]
    mistakes: Mistakes

    def require(
        self, place: yaml_file.Location, name: str, allowed: Collection[str], what: str, *, key: bool = False
    ) -> None:
        """Note a name that is not allowed."""
        if name not in allowed:
            self.note(place, f"unknown {what} '{name}': {nearest(name, allowed)}", key=key)

    def require_recipe(self, place: yaml_file.Location, folder: str, name: str) -> None:
        """Note a name that no recipe of a folder has."""
        self.require(place, name, self.known[folder], "name")

    def note(self, place: yaml_file.Location, text: str, *, key: bool = False) -> None:
        """Note a mistake of this recipe."""
        self.mistakes.add(self.document, place, text, key=key)


def check_names(recipe: Named, file: str, document: Document, taken: dict[str, str], mistakes: Mistakes) -> None:
    """Check that a recipe is in the file of its name, and that no other recipe of its kind uses its names.

    Args:
        recipe: the recipe.
        file: the file or folder that must have its name: n1.yaml, or pytorch/framework.yaml.
        document: its document.
        taken: the names and aliases in use, each with the recipe that uses it; this recipe's are added.
        mistakes: receives the mistakes.
    """
    expected = file.replace(file.split("/", maxsplit=1)[0].removesuffix(".yaml"), recipe.name, 1)
    if file != expected:
        mistakes.add(document, ("name",), f"the recipe '{recipe.name}' must be in {expected}")
    for alias in (recipe.name, *getattr(recipe, "aliases", [])):
        if taken.setdefault(alias, recipe.name) != recipe.name:
            mistakes.add(document, ("aliases",), f"'{alias}' already means {recipe.kind} '{taken[alias]}'")
