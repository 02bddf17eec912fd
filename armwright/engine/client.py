"""The Docker Engine's images and containers, through Docker's SDK. One object is one daemon."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import requests
from docker.errors import APIError, ImageNotFound, NotFound

from armwright.engine import abandoned, containers
from armwright.engine.address import EngineAddress
from armwright.engine.containers import ContainerResult
from armwright.engine.probe import connect_engine, explain_unfit
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


def _read_names(api: Any) -> dict[str, str]:  # noqa: ANN401 - its methods are not typed
    return {tag: str(image["Id"]) for image in api.images() for tag in image.get("RepoTags") or []}


class PushError(FailedError):
    """The engine could not push an image.

    Attributes:
        text: what the engine reports.
    """

    def __init__(self, reference: str, text: str) -> None:
        super().__init__(f"push of {reference} failed: {text}", "invoke doctor")
        self.text = text


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
        MachineError: it does not answer, or it cannot hold and run the images.
        InputError: the environment or docker's configuration names no usable engine.
    """

    def __init__(self) -> None:
        connection = connect_engine(TIMEOUT)
        weakref.finalize(self, connection.close)
        self.reading = connection.reading
        self._client = connection.client
        self._api: Any = self._client.api  # its methods are not typed
        unfit = explain_unfit(self.reading)
        if unfit:
            raise unfit

    @property
    def version(self) -> str:
        """The engine's version."""
        return self.reading.version

    @property
    def address(self) -> EngineAddress:
        """Where the engine is, and what says so."""
        return self.reading.address

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
        with contextlib.suppress(NotFound):
            return _read_names(self._api)  # an image that is removed meanwhile is "not found": ask again
        return _read_names(self._api)

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
        # A log driver that differs from the engine's own: that may keep nothing, or have options that cut the output.
        log_driver = "json-file" if self.reading.log_driver == "local" else "local"
        return containers.run_container(self._client, reference, command, environment, timeout, entrypoint, log_driver)

    @_answering()
    def remove_abandoned(self) -> int:
        """Remove the containers that killed runs left on this machine's behalf; return how many there were."""
        return abandoned.remove_abandoned(self._client)

    @_answering()
    def push(self, reference: str, login: Mapping[str, str], on_status: Callable[[str], None]) -> None:
        """Push one name to its registry.

        Args:
            reference: the name.
            login: what the registry asks for, as the engine takes it; empty for none.
            on_status: called with each line of the progress.

        Raises:
            PushError: the registry refused it or does not answer.
        """
        try:
            for event in self._api.push(reference, stream=True, decode=True, auth_config=dict(login)):
                if "error" in event:
                    raise PushError(reference, str(event["error"]))
                if event.get("status"):
                    on_status(f"{event.get('id', '')} {event['status']}".strip())
        except APIError as error:
            raise PushError(reference, str(error.explanation or error)) from error

    @_answering()
    def allows_plain_http(self, host: str) -> bool:
        """Return whether the engine reaches a registry without TLS: it is in `insecure-registries` of daemon.json."""
        configuration = self._api.info().get("RegistryConfig") or {}
        index = (configuration.get("IndexConfigs") or {}).get(host) or {}
        networks = [ipaddress.ip_network(text) for text in configuration.get("InsecureRegistryCIDRs") or ()]
        return index.get("Secure") is False or any(
            address in network for address in _find_addresses(host) for network in networks
        )


def _find_addresses(host: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the addresses of a registry's host; none if it is unknown."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    with contextlib.suppress(ValueError):
        return {ipaddress.ip_address(name)}
    try:
        return {ipaddress.ip_address(str(found[4][0])) for found in socket.getaddrinfo(name, None)}
    except OSError:
        return set()
