"""Checks at the registry that a whole image has arrived, and moves names: the last step, which can be taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from armwright.publish.registry_client import MANIFEST_TYPES, RegistryClient, digest_of
from armwright.system.errors import FailedError, some

_NAMED = 3  # blobs that a message names; the others are counted
_DEFAULT_TYPE, _INDEX_TYPE = MANIFEST_TYPES[:2]


def find_missing_blobs(client: RegistryClient, repository: str, digest: str, seen: set[tuple[str, str]]) -> list[str]:
    """Compare the blobs of an image with those that the registry has.

    Args:
        client: the registry.
        repository: the repository.
        digest: the image's digest; the registry has its manifest.
        seen: repositories and blobs that were found before; those of this image are added.

    Returns:
        a clause for each blob that is absent or has another size.

    Raises:
        FailedError: the registry fails, or returns another manifest.
    """
    problems = []
    for blob, size in _list_blobs(client, repository, digest):
        if (repository, blob) in seen:
            continue
        found = client.find_blob(repository, blob)
        if found is None:
            problems.append(f"{blob} is absent")
        elif found not in {-1, size}:
            problems.append(f"{blob} has {found} bytes instead of {size}")
        else:
            seen.add((repository, blob))
    return problems


def require_arrival(client: RegistryClient, repository: str, tag: str, digest: str, seen: set[tuple[str, str]]) -> None:
    """Check that a name is an image's and that all of the image's blobs are there.

    Raises:
        FailedError: the name is another image's, which is then taken back, or a blob is not there.
    """
    name = f"{client.host}/{repository}:{tag}"
    found = client.fetch_digest(repository, tag)
    if found is None:
        raise FailedError(f"the registry took {name} but does not have it", f"docker pull {name}")
    if found != digest:
        outcome = _take_back(client, repository, tag, found, None)
        raise FailedError(f"the registry has {found} under {name}, but {digest} was proven; {outcome}")
    problems = find_missing_blobs(client, repository, digest, seen)
    if problems:
        what = f"{name} has not arrived whole: {some(problems, _NAMED)}"
        raise FailedError(what, f"docker pull {name}", hint="repair the registry's storage, then run the command again")
    _require_configuration(client, repository, digest)


def move_name(client: RegistryClient, repository: str, tag: str, digest: str) -> bool:
    """Let a name be that of an image which has arrived; return whether it had to be moved.

    Raises:
        FailedError: the registry refuses; the name is as it was, or the message says what it is.
    """
    before = client.find_digest(repository, tag)
    if before == digest:
        return False
    manifest = client.read_manifest(repository, digest)
    old = client.read_manifest(repository, before) if before else None
    client.write_manifest(repository, tag, manifest, _media_type(manifest))
    found = client.fetch_digest(repository, tag)
    if found != digest:
        outcome = _take_back(client, repository, tag, found, old)
        name = f"{client.host}/{repository}:{tag}"
        raise FailedError(f"{name} was moved to {digest}, but the registry has {found} under it; {outcome}")
    return True


def remove_name(client: RegistryClient, repository: str, tag: str, digest: str) -> bool:
    """Remove a name from a registry; return whether it is gone.

    Not every registry can delete a tag (distribution before 3.0 cannot). Then the manifest is deleted, unless it has
    another name too.
    """
    if client.delete_manifest(repository, tag):
        return True
    others = [name for name in client.list_tags(repository) if name != tag]
    if any(client.find_digest(repository, name) == digest for name in others):
        return False
    return client.delete_manifest(repository, digest)


def _require_configuration(client: RegistryClient, repository: str, digest: str) -> None:
    """Read an image's configuration, which is small: the size of a blob says nothing about its content.

    Raises:
        FailedError: the registry returns other bytes for it.
    """
    configuration = _parse_manifest(client.read_manifest(repository, digest), digest).get("config")
    if configuration:
        client.read_blob(repository, str(configuration["digest"]))


def _take_back(client: RegistryClient, repository: str, tag: str, wrong: str | None, old: bytes | None) -> str:
    """Give a name that moved wrongly its earlier image, or remove it; return what was done, as a clause."""
    try:
        if old is not None:
            client.write_manifest(repository, tag, old, _media_type(old))
            if client.find_digest(repository, tag) == digest_of(old):
                return f"the name was moved back to {digest_of(old)}"
        elif wrong is None or remove_name(client, repository, tag, wrong):
            return "the name was removed"
    except FailedError as error:
        return f"the name could not be taken back: {error.what}"
    return "the name could not be taken back"


def _list_blobs(client: RegistryClient, repository: str, digest: str) -> Iterator[tuple[str, int]]:
    """Yield the digest and size of every blob of a manifest; those of each platform's manifest for an index."""
    manifest = _parse_manifest(client.read_manifest(repository, digest), digest)
    for child in manifest.get("manifests") or ():
        yield from _list_blobs(client, repository, str(child["digest"]))
    if "config" in manifest:
        for blob in (manifest["config"], *manifest["layers"]):
            yield str(blob["digest"]), int(blob["size"])


def _parse_manifest(body: bytes, digest: str) -> Mapping[str, Any]:
    try:
        manifest = json.loads(body)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise FailedError(f"the manifest {digest} is not a JSON object", f"docker buildx imagetools inspect {digest}")
    return manifest


def _media_type(manifest: bytes) -> str:
    document = json.loads(manifest)
    return str(document.get("mediaType") or (_INDEX_TYPE if "manifests" in document else _DEFAULT_TYPE))
