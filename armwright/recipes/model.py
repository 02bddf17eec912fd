"""What all models of recipes have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from armwright.recipes.patterns import Glob, Reason, Setting, Variable


class Recipe(BaseModel):
    """Base of all models: frozen, strict (an unquoted `3.10` is a float and is refused), no unknown key."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Drop(Recipe):
    """Files that are left out, with the reason."""

    paths: list[Glob] = Field(min_length=1)
    reason: Reason


class Environment(Recipe):
    """A variable the entrypoint sets where the user has not; `{cpus}` is the number of usable CPUs.

    Attributes:
        fixed: it is part of the image too, and so there when a command bypasses the entrypoint.
        most: the largest number that `{cpus}` becomes, whatever the machine has; the reason says whose bound it is.
    """

    name: Variable
    value: Setting
    reason: Reason
    fixed: bool = False
    most: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _what_is_fixed_is_known(self) -> Environment:
        if self.fixed and "{" in self.value:
            raise ValueError("a value that depends on the machine cannot be fixed in the image")
        return self

    @model_validator(mode="after")
    def _what_is_bounded_is_a_number_of_cpus(self) -> Environment:
        if self.most is not None and "{cpus}" not in self.value:
            raise ValueError("'most' bounds {cpus}, which is not in the value")
        return self
