"""Environment variables that change what an image computes; the smoke run checks them as a set."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from armwright.recipes.patterns import Reason, Sentence, Setting, Variable
from armwright.system.strict_model import StrictModel

FILE = "recipes/numerics.yaml"


class NumericVariable(StrictModel):
    """One variable.

    Attributes:
        name: the variable.
        neutral: values that leave the numbers as they are, in upper case; an unset variable always does.
        effect: what every other value changes.
        source: where the library's documentation or source says so.
    """

    name: Variable
    neutral: list[Setting]
    effect: Reason
    source: Sentence


class Numerics(StrictModel):
    """recipes/numerics.yaml."""

    variables: list[NumericVariable] = Field(min_length=1)

    def list_allowed(self, environment: Mapping[str, str]) -> dict[str, list[str]]:
        """Return the allowed values of each variable.

        Args:
            environment: the variables that the image sets itself, whose values are allowed too.
        """
        return {
            variable.name: [*variable.neutral, *([environment[variable.name]] if variable.name in environment else [])]
            for variable in self.variables
        }
