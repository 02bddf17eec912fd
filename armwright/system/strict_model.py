"""The base class of the models that check files and documents."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A frozen model that converts no types (an unquoted `3.10` is a float, so not text) and accepts no unknown key."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
