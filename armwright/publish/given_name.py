"""The registry's name that an image has in the engine while it is pushed, and the journal that restores it.

The engine pushes an image only under a name of the registry. A user may have pulled another image under that name, so
the name is given for one push, and then it is what it was. A journal is written before the name is given and removed
after it was restored. With the journal, the next run restores what a killed run left.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from armwright.engine.address import EngineAddress
from armwright.engine.client import Engine
from armwright.system import console, turns
from armwright.system.files import remove_unfinished, write_whole
from armwright.system.strict_model import StrictModel

_WAITING = "another staging is running in this checkout; waiting for it to finish"


class GivenName(StrictModel):
    """The content of a journal: a name that an image gets for a push.

    Attributes:
        name: the name, with the registry.
        digest: the digest of the image.
        before: the digest of the image that has the name in the engine now; None if there is none.
    """

    name: str
    digest: str
    before: str | None


@dataclass(frozen=True)
class LeftName:
    """A name that a killed run left in the engine, and the command that restores it without another run."""

    name: str
    undo: str


@contextlib.contextmanager
def staging_turn(root: Path, engine: Engine) -> Iterator[None]:
    """Let one process of a checkout stage at a time; first, restore the name that a killed one left in the engine.

    Args:
        root: the project's root.
        engine: the engine that pushes.

    Raises:
        FailedError: the engine does not restore the name.
    """
    with turns.alone(_lock_path(root), lambda: console.say(_WAITING)):
        _restore(root, engine)
        remove_unfinished(_folder(root))
        yield


def restore_name(root: Path, engine: Engine) -> None:
    """Restore the name that a killed run of a checkout left in an engine, unless the checkout is staging now.

    Raises:
        FailedError: the engine does not restore the name.
    """
    if _journal_path(root, engine.address).exists():
        with turns.alone_if_free(_lock_path(root)) as free:
            if free:
                _restore(root, engine)


def find_left_name(root: Path, address: EngineAddress) -> LeftName | None:
    """Return the name that a killed run of a checkout left in an engine; None if there is none."""
    path = _journal_path(root, address)
    given = _read(path)
    if given is None:
        return None
    with turns.alone_if_free(_lock_path(root)) as free:
        if not free:
            return None
    restore = ["docker", "tag", given.before, given.name] if given.before else ["docker", "image", "rm", given.name]
    return LeftName(given.name, f"{shlex.join(restore)}; rm {path.relative_to(root)}")


@contextlib.contextmanager
def give_name(root: Path, engine: Engine, digest: str, name: str) -> Iterator[None]:
    """Give an image a name in the engine while the block runs. It must run in the turn of a staging.

    Args:
        root: the project's root.
        engine: the engine that has the image.
        digest: the image's digest.
        name: the name, with the registry.

    Raises:
        FailedError: the engine does not give or restore the name.
    """
    found = engine.find(name)
    given = GivenName(name=name, digest=digest, before=found.digest if found else None)
    path = _journal_path(root, engine.address)
    write_whole(path, f"{given.model_dump_json(indent=1)}\n")
    try:
        engine.tag(digest, name)
        yield
    finally:
        _put_back(engine, given)
        path.unlink()


def _restore(root: Path, engine: Engine) -> None:
    path = _journal_path(root, engine.address)
    given = _read(path)
    if given and _put_back(engine, given):
        console.say(f"restored {given.name} in the engine, which a killed run left")
    path.unlink(missing_ok=True)


def _put_back(engine: Engine, given: GivenName) -> bool:
    """Let a name be what it was; return whether it was still given.

    A name that another image has now was moved by somebody else, and stays. So does a name that is not of the image's
    inputs: no staging gave it, whatever the journal says.
    """
    image = engine.find(given.name)
    if image is None or image.digest != given.digest:
        return False
    inputs = image.labels.get("org.armwright.inputs", "").removeprefix("sha256:")
    if not inputs or not given.name.endswith(f"-{inputs[:12]}"):
        return False
    if given.before is None or engine.find(given.before) is None:  # it may have been removed since
        engine.untag(given.name)
    else:
        engine.tag(given.before, given.name)
    return True


def _read(path: Path) -> GivenName | None:
    """Return the content of a journal; None if there is none, or it is not a journal."""
    try:
        return GivenName.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def _folder(root: Path) -> Path:
    return root / "build" / "staging"


def _lock_path(root: Path) -> Path:
    return _folder(root) / ".turn"


def _journal_path(root: Path, address: EngineAddress) -> Path:
    """Return the path of an engine's journal: names of another engine are not restored in this one."""
    return _folder(root) / f"{hashlib.sha256(address.host.encode()).hexdigest()[:12]}.json"
