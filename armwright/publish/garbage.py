"""Frees space in the local registry: docker-registry's own collection, with the registry stopped."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from armwright.publish import local_registry
from armwright.publish.registry_client import RegistryClient
from armwright.system import process
from armwright.system.errors import FailedError

_IMMUTABLE = re.compile(r"(?P<moving>.+)-[0-9a-f]{12}")
_FRESH = 60  # seconds: an upload that was written to this recently may still run
# The folders of distribution's storage (registry/storage/paths.go).
_STORE = Path("docker", "registry", "v2")


@dataclass(frozen=True)
class CollectedGarbage:
    """What a collection removed.

    Attributes:
        images: the superseded images, as `repository:tag`.
        blobs: the number of blobs that no image uses.
        uploads: the number of uploads that never ended.
        freed: bytes.
        kept: bytes of what is left.
    """

    images: tuple[str, ...]
    blobs: int
    uploads: int
    freed: int
    kept: int


def collect_garbage(home: Path, on_status: Callable[[str], None], *, superseded: bool = False) -> CollectedGarbage:
    """Remove what no image uses from the local registry. It is stopped meanwhile, and started again if it ran.

    Manifests without a name are kept: an image for several platforms consists of them.

    Args:
        home: the registry's folder.
        on_status: called with each line of the progress.
        superseded: also remove images that only an immutable name has, and whose name for people has moved on to
            another image.

    Raises:
        FailedError: an image is being pushed, or the collection failed.
        MachineError: docker-registry is not installed, or the registry could not be started again.
    """
    data = home / local_registry.DATA
    store = data / _STORE
    _refuse_fresh_uploads(store)
    before = _measure(data)
    images = _remove_superseded(home, on_status) if superseded else ()
    blobs = uploads = 0
    if (store / "blobs").is_dir():  # without it, docker-registry fails
        with local_registry.stopped_registry(home) as configuration:
            for folder in _list_uploads(store):
                shutil.rmtree(folder)
                uploads += 1
            blobs = _count_blobs(store)
            process.stream(
                ["docker-registry", "garbage-collect", str(configuration)], home / "gc.log", _report(on_status)
            )
            blobs -= _count_blobs(store)
    kept = _measure(data)
    return CollectedGarbage(images, blobs, uploads, max(before - kept, 0), kept)


def _remove_superseded(home: Path, on_status: Callable[[str], None]) -> tuple[str, ...]:
    """Delete the manifests of superseded images through the registry, which is started for it if it does not run."""
    status, started = local_registry.start_registry(home)
    removed = []
    try:
        client = RegistryClient(status.address)
        for repository in status.repositories:
            tags = {tag: client.find_digest(repository, tag) for tag in client.list_tags(repository)}
            for digest in sorted({digest for digest in tags.values() if digest}):
                names = [tag for tag, found in tags.items() if found == digest]
                if all(_is_superseded(tag, tags) for tag in names) and client.delete_manifest(repository, digest):
                    removed += [f"{repository}:{tag}" for tag in names]
                    on_status(f"removed {removed[-1]}")
    finally:
        if started:
            local_registry.stop_registry(home)
    return tuple(removed)


def _is_superseded(tag: str, tags: dict[str, str | None]) -> bool:
    """Return whether a tag is an immutable name whose name for people is another image's."""
    match = _IMMUTABLE.fullmatch(tag)
    moving = tags.get(match["moving"]) if match else None
    return moving is not None and moving != tags[tag]


def _refuse_fresh_uploads(store: Path) -> None:
    """Raise FailedError if an upload was written to a moment ago: stopping the registry would break it."""
    newest = max((_newest(folder) for folder in _list_uploads(store)), default=0.0)
    if time.time() - newest < _FRESH:
        what = "an image is being pushed to the local registry, or its push broke off less than a minute ago"
        raise FailedError(what, f"sleep {_FRESH} && invoke registry gc")


def _newest(folder: Path) -> float:
    return max((path.stat().st_mtime for path in (folder, *folder.rglob("*"))), default=0.0)


def _list_uploads(store: Path) -> list[Path]:
    return [path for path in store.glob("repositories/**/_uploads/*") if path.is_dir()]


def _count_blobs(store: Path) -> int:
    return sum(1 for _ in store.glob("blobs/sha256/*/*/data"))


def _measure(data: Path) -> int:
    return sum(path.stat().st_size for path in data.rglob("*") if path.is_file())


def _report(on_status: Callable[[str], None]) -> Callable[[str], str]:
    def read(line: str) -> str:
        on_status(line[:100])
        return line

    return read
