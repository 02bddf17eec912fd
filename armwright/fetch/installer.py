"""The program that installs wheels during a build: taken from this environment if it is the one of the recipe."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Literal

from armwright.recipes.patterns import Sha256
from armwright.system import process, yaml_file
from armwright.system.errors import MachineError
from armwright.system.files import sha256
from armwright.system.strict_model import StrictModel

RECIPE = "recipes/installer.yaml"


class Installer(StrictModel):
    """recipes/installer.yaml.

    Attributes:
        program: its name.
        version: its version, as in requirements/run.lock.
        sha256: the hash of the program, by the machine's name of its architecture.
    """

    program: str
    version: str
    sha256: dict[Literal["x86_64", "aarch64"], Sha256]


def load_installer(root: Path) -> Installer:
    """Load recipes/installer.yaml.

    Raises:
        InputError: every mistake in the file, with line and column.
    """
    return yaml_file.load_yaml(root / RECIPE, RECIPE, Installer)


def find_installer(root: Path) -> Path:
    """Return this environment's installer.

    Args:
        root: the project's root.

    Raises:
        MachineError: it is absent, or it is another program than the recipe's.
    """
    recipe = load_installer(root)
    path = Path(process.require_program(recipe.program))
    wanted = dict(recipe.sha256).get(platform.machine())  # type: ignore[call-overload]
    if sha256(path) != wanted:
        what = f"{path} is not {recipe.program} {recipe.version}, whose hash {RECIPE} has; nothing was built with it"
        raise MachineError(what, "rm -r .venv && ./inv doctor", hint="find out first who replaced it")
    return path
