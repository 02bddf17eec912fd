"""The Docker Engine's images and containers, through Docker's SDK. One object is one daemon."""

from __future__ import annotations

import contextlib
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import requests
from docker.errors import APIError, ImageNotFound, NotFound

from armwright.engine import containers
from armwright.engine.containers import ContainerResult
from armwright.engine.probe import connect_engine
from armwright.system.errors import FailedError, InputError, MachineError

READABLE = 64_000_000  # bytes that `Engine.read` accepts; Armwright's own files in an image have less than 4 MB
TIMEOUT = 600  # seconds to wait for a response


@dataclass(frozen=True)
class Image:
    """An image in the engine's store.

    Attributes:
        digest: the digest of its manifest, "sha256:<64 hex digits>"; registries show the same.
        labels: its labels.
        compressed: bytes of its compressed layers and configuration, which a pull transfers.
        unpacked: bytes of its unpacked layers; 0 if it is not unpacked yet.
        platform: e.g. "linux/arm64".
        entrypoint: the program that gets a container's command as arguments.
        configuration: the whole configuration, as the engine returns it.
        layers: the digests of its unpacked layers, lowest first.
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
    """Turn a refusal, and an engine that stops during a request, into an ArmwrightError."""
    try:
        yield
    except APIError as error:
        raise FailedError(f"the Docker Engine refused: {error.explanation or error}", "invoke doctor") from error
    except requests.RequestException as error:
        raise MachineError(
            "the Docker Engine stopped answering", "./inv setup", hint="then run the same command again"
        ) from error


class Engine:
    """One Docker daemon.

    Attributes:
        reading: what the daemon reports about itself.

    Raises:
        MachineError: it does not answer, or it does not use the containerd image store.
    """

    def __init__(self) -> None:
        self._client, self.reading = connect_engine(TIMEOUT)
        weakref.finalize(self, self._client.close)
        self._api: Any = self._client.api  # its methods are not typed
        if not self.reading.containerd_store:
            raise MachineError(
                "the Docker Engine does not use the containerd image store: its digests would differ from a registry's",
                "./inv setup",
            )

    @property
    def version(self) -> str:
        """The engine's version."""
        return self.reading.version

    @property
    def folder(self) -> Path:
        """The folder of the engine's data, on the engine's machine."""
        return self.reading.root

    @_answering()
    def find(self, reference: str) -> Image | None:
        """Return an image by name, name@digest or digest; None if the store does not have it.

        Raises:
            InputError: `reference` is not a valid image reference.
        """
        if ".." in reference.split("/"):  # the SDK puts it into a URL, where this would name something else
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
            unpacked=self._sum_layers(reference),
            platform=f"{attributes['Os']}/{attributes['Architecture']}",
            entrypoint=tuple(attributes["Config"].get("Entrypoint") or ()),
            configuration=attributes["Config"],
            layers=tuple((attributes.get("RootFS") or {}).get("Layers") or ()),
        )

    def _sum_layers(self, reference: str) -> int:
        """Return the bytes of the unpacked layers; 0 for an image that was built or pulled but not unpacked yet."""
        try:
            return sum(layer["Size"] for layer in self._api.history(reference))
        except NotFound:
            return 0

    @_answering()
    def names(self) -> dict[str, str]:
        """Return every image name in the store with its digest."""
        return {tag: str(image["Id"]) for image in self._api.images() for tag in image.get("RepoTags") or []}

    @_answering()
    def tag(self, reference: str, name: str) -> None:
        """Give an image another name."""
        repository, _, tag = name.rpartition(":")
        self._api.tag(reference, repository, tag, force=True)

    @_answering()
    def untag(self, name: str) -> None:
        """Remove a name; a name that does not exist is not an error."""
        with contextlib.suppress(ImageNotFound):
            self._api.remove_image(name, noprune=True)

    @_answering()
    def read(self, reference: str, paths: Sequence[str]) -> dict[str, bytes]:
        """Read files and folders of an image without running anything in it.

        Args:
            reference: the image.
            paths: absolute paths.

        Returns:
            a tar for each path that exists; the names in it begin with the path's last part.

        Raises:
            FailedError: a path holds more than `READABLE` bytes.
        """
        archives = {}
        with containers.unstarted(self._client, reference) as container:
            for path in paths:
                with contextlib.suppress(NotFound):
                    data = bytearray()
                    for chunk in self._api.get_archive(container.id, path)[0]:
                        data += chunk
                        if len(data) > READABLE:
                            what = f"{path} in {reference} is larger than {READABLE / 1e6:.0f} MB"
                            raise FailedError(what, f"docker history {reference}")
                    archives[path] = bytes(data)
        return archives

    @contextlib.contextmanager
    def export(self, reference: str) -> Iterator[IO[bytes]]:
        """Yield an image's whole file tree as a tar that can be read once, without running anything in the image.

        Raises:
            FailedError: the engine cannot create a container of it.
            KeyboardInterrupt: raised after the container was removed.
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
        """Run a container without network, privileges or a writable file system, and remove it.

        Args:
            reference: the image.
            command: the arguments after the image's name.
            environment: variables.
            timeout: seconds after which it is killed.
            entrypoint: replaces the image's own.

        Raises:
            FailedError: it could not be started, or did not end in time.
            KeyboardInterrupt: raised after it was removed, in this thread or another.
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
        """Return the digest of a name in its registry; None if the registry does not have the name.

        The engine asks, with the credentials of `docker login` and over the same connection as `push`. Asking without
        an engine, for the answer to a request, is `publish.lookup`.

        Raises:
            FailedError: the registry does not answer.
        """
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
