"""Containers: each serves one purpose, has no privileges, and is always removed."""

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
from docker.types import LogConfig

from armwright.engine.abandoned import make_labels
from armwright.system import interrupt
from armwright.system.errors import FailedError

PLATFORM = "linux/arm64"
INIT = "[FATAL tini"  # the engine's init prints this when the program does not exist


@dataclass(frozen=True)
class ContainerResult:
    """A finished container: its exit code and its two output streams."""

    code: int
    out: str
    err: str


class _Chunks(io.RawIOBase):
    """A file over chunks of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill a buffer from the next chunk; return the number of bytes, 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def stream_archive(chunks: Iterator[bytes]) -> IO[bytes]:
    """Return chunks of bytes as a file that can be read once, from its beginning."""
    return io.BufferedReader(_Chunks(chunks), 1 << 20)


@contextlib.contextmanager
def _removing(container: Container) -> Iterator[None]:
    """Remove a container after the work inside, and at once when everything is being stopped."""

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
    """Create a container that never runs, to read an image's files; it is always removed."""
    interrupt.check_interrupted()
    never_run = ["-"]  # the engine refuses a container without a command
    container = client.containers.create(
        reference,
        never_run,
        platform=PLATFORM,
        network_mode="none",
        use_config_proxy=False,
        labels=make_labels("read"),
    )
    with _removing(container):
        yield container


def run_container(  # noqa: PLR0913, PLR0917 - the options of a container
    client: DockerClient,
    reference: str,
    command: list[str],
    environment: Mapping[str, str],
    timeout: float,
    entrypoint: Sequence[str] | None,
    log_driver: str,
) -> ContainerResult:
    """Run a container; see `Engine.run`. The engine's log driver `log_driver` keeps its output until it is removed."""
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
            log_config=LogConfig(type=log_driver),
            init=True,  # process 1 ignores signals that it does not handle: it would hang instead of dying
            use_config_proxy=False,  # or a proxy of docker's configuration, password included, enters as variables
            labels=make_labels("smoke"),
        )
    except APIError as error:
        raise FailedError(f"the container could not be created: {error.explanation}", "invoke doctor") from error

    try:
        with _removing(container):
            container.start()
            code = int(container.wait(timeout=timeout)["StatusCode"])
            out, err = (
                container.logs(stdout=stream == "out", stderr=stream == "err").decode(errors="replace")
                for stream in ("out", "err")
            )
        if err.startswith(INIT):  # the init started, the program did not
            raise FailedError(f"the container could not be started: {err.splitlines()[0]}", "invoke doctor")
        return ContainerResult(code, out, err)
    except APIError as error:
        raise FailedError(f"the container could not be started: {error.explanation}", "invoke doctor") from error
    except requests.RequestException as error:
        if "timed out" not in str(error):
            raise
        raise FailedError(f"the container did not finish within {timeout:.0f} s", "invoke doctor") from error
