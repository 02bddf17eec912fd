"""Models that several recipes share."""

from __future__ import annotations

from pydantic import Field, model_validator

from armwright.recipes.patterns import Glob, Reason, Setting, Variable
from armwright.system.strict_model import StrictModel


class Drop(StrictModel):
    """Files to remove from an image, and why."""

    paths: list[Glob] = Field(min_length=1)
    reason: Reason


class Environment(StrictModel):
    """A variable that the entrypoint sets unless the user did; `{cpus}` is the number of usable CPUs.

    Attributes:
        fixed: whether the image itself sets it too, for commands that bypass the entrypoint.
        most: the upper limit of `{cpus}`; the reason says where the limit comes from.
    """

    name: Variable
    value: Setting
    reason: Reason
    fixed: bool = False
    most: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _fixed_value_has_no_placeholder(self) -> Environment:
        if self.fixed and "{" in self.value:
            raise ValueError("a value that depends on the machine cannot be fixed in the image")
        return self

    @model_validator(mode="after")
    def _limited_value_has_the_number_of_cpus(self) -> Environment:
        if self.most is not None and "{cpus}" not in self.value:
            raise ValueError("'most' limits {cpus}, but the value does not contain {cpus}")
        return self
