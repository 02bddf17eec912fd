"""The engine: images and containers, through Docker's own SDK. Everything here speaks of one daemon on this machine."""

from __future__ import annotations

import contextlib
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from armwright.engine import containers
from armwright.engine.containers import ContainerResult
from armwright.system.errors import FailedError, InputError, MachineError

READABLE = 64_000_000  # bytes read from an image at once: our own files are below 4 MB
POOL = 100  # connections that are kept: more combos than that are hardly proven at once


@dataclass(frozen=True)
class Image:
    """An image in the engine's store.

    Attributes:
        digest: of its manifest, "sha256:<64 hex digits>"; the same that a registry shows.
        labels: its labels.
        compressed: bytes of its compressed layers and configuration, what a pull transfers.
        unpacked: bytes of its unpacked layers; 0 when it is not unpacked yet.
        platform: e.g. "linux/arm64".
        entrypoint: the words that a container's command is given to.
        configuration: all of it, as the engine tells it.
        layers: the digests of its unpacked layers, the lowest first.
    """

    digest: str
    labels: Mapping[str, str]
    compressed: int
    unpacked: int
    platform: str
    entrypoint: tuple[str, ...] = ()
    configuration: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[str, ...] = ()


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Turn an engine that goes away in the middle into a sentence; what it answers is the caller's to judge."""
    try:
        yield
    except APIError as error:
        raise FailedError(f"the Docker engine refused: {error.explanation or error}", "invoke doctor") from error
    except requests.RequestException as error:
        raise MachineError("the Docker engine stopped answering", "./inv setup, then the same command again") from error


class Engine:
    """One Docker daemon.

    Raises:
        MachineError: it does not answer.
    """

    def __init__(self) -> None:
        try:
            self._client = docker.from_env(timeout=600, version="auto", max_pool_size=POOL)
            weakref.finalize(self, self._client.close)
            self._api: Any = self._client.api  # its methods are not typed
            self.info: Mapping[str, Any] = self._client.info()
        except (DockerException, requests.RequestException) as error:
            raise MachineError("the Docker engine does not answer; nothing was started", "./inv setup") from error
        if not any("containerd.snapshotter" in str(value) for _, value in self.info.get("DriverStatus") or []):
            raise MachineError(
                "the engine does not use the containerd image store: its digests would not be the registry's",
                "./inv setup",
            )

    @cached_property
    @_answering()
    def version(self) -> str:
        """The engine's version."""
        return str(self._client.version()["Version"])

    @property
    def folder(self) -> Path:
        """The folder of the engine's data; on another machine when the engine is there."""
        return Path(self.info["DockerRootDir"])

    @_answering()
    def find(self, reference: str) -> Image | None:
        """Return an image by name, name@digest or digest; None if the store has none.

        Raises:
            InputError: it is no reference.
        """
        if ".." in reference.split("/"):  # the SDK puts it into a URL, where this would lead to something else
            raise InputError(f"not an image reference: {reference!r}", "docker images")
        try:
            attributes = self._api.inspect_image(reference)
        except (ImageNotFound, NotFound):
            return None
        except APIError as error:
            raise InputError(f"not an image reference: {reference!r}: {error.explanation}", "docker images") from error
        return Image(
            digest=attributes["Id"],
            labels=attributes["Config"].get("Labels") or {},
            compressed=attributes["Size"],
            unpacked=self._unpacked(reference),
            platform=f"{attributes['Os']}/{attributes['Architecture']}",
            entrypoint=tuple(attributes["Config"].get("Entrypoint") or ()),
            configuration=attributes["Config"],
            layers=tuple((attributes.get("RootFS") or {}).get("Layers") or ()),
        )

    def _unpacked(self, reference: str) -> int:
        """Sum the layers' sizes; 0 for an image that was pulled or built and not unpacked yet."""
        try:
            return sum(layer["Size"] for layer in self._api.history(reference))
        except NotFound:
            return 0

    @_answering()
    def names(self) -> dict[str, str]:
        """Return every name in the store with the digest behind it."""
        return {tag: str(image["Id"]) for image in self._api.images() for tag in image.get("RepoTags") or []}

    @_answering()
    def tag(self, reference: str, name: str) -> None:
        """Give an image one more name."""
        repository, _, tag = name.rpartition(":")
        self._api.tag(reference, repository, tag, force=True)

    @_answering()
    def untag(self, name: str) -> None:
        """Take a name away; nothing happens when it is not there."""
        with contextlib.suppress(ImageNotFound):
            self._api.remove_image(name, noprune=True)

    @_answering()
    def read(self, reference: str, paths: Sequence[str]) -> dict[str, bytes]:
        """Read files and folders out of an image; no program of it runs.

        Args:
            reference: the image.
            paths: absolute paths.

        Returns:
            a tar for each path that is there; the names in it begin with the path's last part.

        Raises:
            FailedError: there is more than files of ours can be.
        """
        found = {}
        with containers.unstarted(self._client, reference) as container:
            for path in paths:
                with contextlib.suppress(NotFound):
                    data = bytearray()
                    for chunk in self._api.get_archive(container.id, path)[0]:
                        data += chunk
                        if len(data) > READABLE:
                            what = f"{path} in {reference} holds more than {READABLE / 1e6:.0f} MB"
                            raise FailedError(what, f"docker history {reference}")
                    found[path] = bytes(data)
        return found

    @contextlib.contextmanager
    def export(self, reference: str) -> Iterator[IO[bytes]]:
        """Give an image's whole file tree as a tar that is read once, from its beginning; no program of it runs.

        Raises:
            FailedError: the engine cannot make a container of it.
            KeyboardInterrupt: passed on after the container was removed.
        """
        with _answering(), containers.unstarted(self._client, reference) as container:
            yield containers.stream_archive(self._api.export(container.id))

    @_answering()
    def run(
        self,
        reference: str,
        command: list[str],
        environment: Mapping[str, str],
        timeout: float,
        entrypoint: Sequence[str] | None = None,
    ) -> ContainerResult:
        """Run a container as strictly as an image of ours allows: no network, read-only, no new privileges.

        Args:
            reference: the image.
            command: the words after the image's name.
            environment: variables.
            timeout: seconds after which it is killed.
            entrypoint: words instead of the image's own.

        Raises:
            FailedError: it could not be started, or did not end in time.
            KeyboardInterrupt: passed on after it was removed, in this thread or another.
        """
        return containers.run_container(self._client, reference, command, environment, timeout, entrypoint)

    @_answering()
    def push(self, reference: str, on_status: Callable[[str], None]) -> None:
        """Push one name to its registry.

        Raises:
            FailedError: the registry refused it or does not answer.
        """
        try:
            for event in self._api.push(reference, stream=True, decode=True):
                if "error" in event:
                    raise FailedError(f"push of {reference} failed: {event['error']}", "invoke registry show")
                if event.get("status"):
                    on_status(f"{event.get('id', '')} {event['status']}".strip())
        except APIError as error:
            raise FailedError(f"push of {reference} failed: {error}", "invoke registry show") from error

    @_answering()
    def remote_digest(self, reference: str) -> str | None:
        """Return the digest behind a name in its registry, with the engine's own credentials; None if there is none."""
        try:
            return str(self._api.inspect_distribution(reference)["Descriptor"]["digest"])
        except NotFound:
            return None
        except APIError as error:
            if re.search(r"not found|(manifest|name) unknown", str(error.explanation)):
                return None
            raise FailedError(
                f"the registry of {reference} does not answer: {error.explanation}", "invoke registry start"
            ) from error
