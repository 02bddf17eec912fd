"""Containers: each is made for one thing, as strictly as an image of ours allows, and is removed whatever happens."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import requests
from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from armwright.system import interrupt
from armwright.system.errors import FailedError

PLATFORM = "linux/arm64"
INIT = "[FATAL tini"  # how the engine's own first program says that there is no program to run


@dataclass(frozen=True)
class ContainerResult:
    """A finished container: its exit code and both streams."""

    code: int
    out: str
    err: str


class _Chunks(io.RawIOBase):
    """A stream that comes in pieces, as a file to read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill a buffer as far as the next piece goes; 0 at the end."""
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def stream_archive(chunks: Iterator[bytes]) -> IO[bytes]:
    """Return what comes in pieces as a file that is read once, from its beginning."""
    return io.BufferedReader(_Chunks(chunks), 1 << 20)


@contextlib.contextmanager
def _removed(container: Container) -> Iterator[None]:
    """Remove a container after what is done inside, and at once when everything is being stopped."""

    def remove() -> None:
        with contextlib.suppress(APIError, requests.RequestException):
            container.remove(force=True)

    try:
        with interrupt.stoppable(lambda _: remove()):
            yield
    finally:
        remove()


@contextlib.contextmanager
def unstarted(client: DockerClient, reference: str) -> Iterator[Container]:
    """Make a container that never runs, to read an image's files from; it is removed whatever happens."""
    interrupt.check_interrupted()
    never_run = ["-"]  # an image without a command of its own is refused
    container = client.containers.create(
        reference, never_run, platform=PLATFORM, network_mode="none", labels={"org.armwright.run": "read"}
    )
    with _removed(container):
        yield container


def run_container(  # noqa: PLR0913, PLR0917 - what a container is made of
    client: DockerClient,
    reference: str,
    command: list[str],
    environment: Mapping[str, str],
    timeout: float,
    entrypoint: Sequence[str] | None,
) -> ContainerResult:
    """Run a container; see `Engine.run`."""
    interrupt.check_interrupted()
    try:
        container = client.containers.create(
            reference,
            command,
            environment=dict(environment),
            platform=PLATFORM,
            entrypoint=list(entrypoint) if entrypoint else None,
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            init=True,  # the first process of all takes no signal that it does not ask for: it would hang, not die
            labels={"org.armwright.run": "smoke"},
        )
    except APIError as error:
        raise FailedError(f"the container could not be made: {error.explanation}", "invoke doctor") from error

    try:
        with _removed(container):
            container.start()
            code = int(container.wait(timeout=timeout)["StatusCode"])
            out, err = (
                container.logs(stdout=stream == "out", stderr=stream == "err").decode(errors="replace")
                for stream in ("out", "err")
            )
        if err.startswith(INIT):  # it began, and found nothing to begin
            raise FailedError(f"the container could not be started: {err.splitlines()[0]}", "invoke doctor")
        return ContainerResult(code, out, err)
    except APIError as error:
        raise FailedError(f"the container could not be started: {error.explanation}", "invoke doctor") from error
    except requests.RequestException as error:
        if "timed out" not in str(error):
            raise
        raise FailedError(f"the container did not end within {timeout:.0f} s", "invoke doctor") from error
