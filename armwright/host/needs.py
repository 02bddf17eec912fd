"""What a machine needs, and which packages of each known distribution provide it: the data in recipes/hosts/."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from armwright.system import yaml_file
from armwright.system.strict_model import StrictModel

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "hosts"

NeedName = Literal["engine", "client", "buildx", "emulator", "archive", "registry"]
PackageName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]*$")
]  # Debian Policy 5.6.1; in pydantic's patterns $ matches only at the end
MinimumVersion = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)*$")]


class Need(StrictModel):
    """A need of the build machine: its name, minimum version, reason, and what to install manually."""

    title: str
    minimum: MinimumVersion | None = None
    why: str
    hand: str


class Limits(StrictModel):
    """The limits below which `doctor` warns or fails, in decimal gigabytes."""

    disk_fail_gb: int
    disk_warn_gb: int
    memory_warn_gb: int


class Needs(StrictModel):
    """The content of needs.yaml."""

    needs: dict[NeedName, Need]
    limits: Limits


class Suite(StrictModel):
    """A suite to add from the host's mirror; `priority` is apt's, for packages that the recipe does not name."""

    name: PackageName
    priority: int | None = None
    why: str


class HostPackage(StrictModel):
    """A package, the need it meets, its suite if that is not the host's, and its service to disable."""

    name: PackageName
    need: NeedName
    suite: PackageName | None = Field(default=None, alias="from")
    service: PackageName | None = None
    why: str


class HostRecipe(StrictModel):
    """What setup installs on one release of one distribution."""

    id: PackageName
    version: MinimumVersion
    codename: PackageName
    verified: bool
    evidence: str
    keyring: str
    components: tuple[PackageName, ...] = Field(strict=False)
    suites: tuple[Suite, ...] = Field(strict=False)
    packages: tuple[HostPackage, ...] = Field(strict=False)


def load_needs(folder: Path = RECIPES) -> Needs:
    """Load needs.yaml. Raises InputError with file:line:column of every mistake."""
    return _load(folder / "needs.yaml", Needs)


def load_host_recipe(distribution: str, version: str, folder: Path = RECIPES) -> HostRecipe | None:
    """Load the recipe of one release of a distribution.

    Args:
        distribution: its name in os-release, e.g. "debian".
        version: its release, e.g. "12".
        folder: the folder of the recipes.

    Returns:
        the recipe; None if the release has none.

    Raises:
        InputError: with file:line:column of every mistake.
    """
    # Compared with the names of existing files, so that no text of os-release becomes part of a path.
    file = next((file for file in folder.glob("*.yaml") if file.stem == f"{distribution}-{version}"), None)
    return _load(file, HostRecipe) if file else None


def _load(file: Path, model: type[yaml_file.Model]) -> yaml_file.Model:
    return yaml_file.load_yaml(file, f"recipes/hosts/{file.name}", model)
