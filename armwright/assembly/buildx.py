"""Runs `docker buildx build`: BuildKit's events become progress and seconds per step, its output a log file."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from armwright.engine.address import EngineAddress, find_engine_address
from armwright.engine.containers import PLATFORM
from armwright.system import console, process
from armwright.system.errors import FailedError, MachineError

# A build that is cancelled can leave a record in BuildKit's cache whose files are gone (moby/buildkit#6808). Every
# build that uses the record then fails, and `docker buildx prune` keeps it. A build without the cache replaces it.
_LOST_CACHE = re.compile(r"failed to stat active key during commit: snapshot \S+ does not exist")


@dataclass(frozen=True)
class BuildStep:
    """A finished step of a build: its name, its seconds, and whether it came from the cache."""

    name: str
    seconds: float
    cached: bool


@dataclass
class EventReader:
    """Reads BuildKit's events (`--progress rawjson`): one JSON document per line, or over several in older releases."""

    progress: console.Progress
    verbose: bool = False
    _open: dict[str, str] = field(default_factory=dict)
    _steps: dict[str, BuildStep] = field(default_factory=dict)
    _document: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[BuildStep]:
        """The finished steps, in the order in which they finished."""
        return list(self._steps.values())

    def read_line(self, line: str) -> str | None:
        """Read one line of output; return the text for the log, or None."""
        if line == "{" or self._document:
            self._document.append(line)
            if line != "}":
                return None
            line = "".join(self._document)
            self._document.clear()
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            return line
        if not isinstance(event, dict) or event.keys() - {"vertexes", "statuses", "logs", "warnings"}:
            return line
        lines = [self._read_vertex(vertex) for vertex in event.get("vertexes") or []]
        lines += [_decode_log(log) for log in event.get("logs") or []]
        text = "\n".join(line for line in lines if line)
        if text and self.verbose:
            console.say(text)
        return text or None

    def _read_vertex(self, vertex: Mapping[str, Any]) -> str:
        """Update the steps from one vertex; return its line for the log, or an empty text."""
        digest, name = vertex["digest"], _shorten(vertex["name"])
        if vertex.get("completed"):
            seconds = _count_seconds(vertex)
            self._steps[digest] = BuildStep(name, seconds, bool(vertex.get("cached")))
            self._open.pop(digest, None)
            failed = f" ERROR: {vertex['error']}" if vertex.get("error") else ""
            return f"{name}: {'cached' if vertex.get('cached') else f'{seconds:.1f} s'}{failed}"
        if vertex.get("started") and digest not in self._open:
            self._open[digest] = name
            self.progress.update(name)
            return f"{name} …"
        return ""


def run_build(  # noqa: PLR0913 - the options of one command line
    context: Path,
    log: Path,
    *,
    name: str,
    epoch: int,
    compression: Mapping[str, str],
    builder: str = "",
    verbose: bool = False,
    family: str = "",
    address: EngineAddress | None = None,
) -> list[BuildStep]:
    """Build a context into the engine's image store.

    Args:
        context: the folder with the Dockerfile and everything that it uses.
        log: the file that BuildKit's output is appended to.
        name: the image's name, which exists only after the build has succeeded.
        epoch: SOURCE_DATE_EPOCH, seconds since 1970.
        compression: the exporter's options for layers.
        builder: a buildx builder; empty for the engine's own.
        verbose: print BuildKit's output as it comes.
        family: a name for contexts that share most of their files, so that these are sent once. BuildKit takes files
            of the same path, size and time for the same file: see `render.write_context`.
        address: the engine; None for the one that docker uses now.

    Returns:
        the steps.

    Raises:
        FailedError: the build failed; the message has the log's tail.
        MachineError: buildx is missing, or the disk is full.
    """
    arguments = ["docker", "buildx", "build", "--platform", PLATFORM, "--provenance=false", "--sbom=false"]
    arguments += ["--progress", "rawjson", "--build-arg", f"SOURCE_DATE_EPOCH={epoch}"]
    options = ",".join(f"{key}={value}" for key, value in compression.items())
    archive = context.with_name(f"{context.name}.oci.tar")
    address = address or find_engine_address()
    if builder:  # another builder has another image store: an archive brings the image over with the same digest
        arguments += ["--builder", builder, "--output", f"type=oci,dest={archive},name={name},{options}"]
    else:
        # the engine's own builder has its context's name, regardless of `docker buildx use` and BUILDX_BUILDER
        arguments += ["--builder", address.context, "--output", f"type=image,name={name},unpack=true,{options}"]
    with console.progress(f"build {name}") as progress, _linked(family, context) as folder:
        reader = EventReader(progress, verbose)
        try:
            _stream_build([*arguments, str(folder)], log, reader, address)
            if builder:
                load = ["docker", "load", "--input", str(archive)]
                process.stream(load, log, env=address.client_environment)
        except FailedError as failure:
            raise _explain(failure) from failure
        finally:
            archive.unlink(missing_ok=True)
    return reader.steps


def _stream_build(arguments: Sequence[str], log: Path, reader: EventReader, address: EngineAddress) -> None:
    """Run buildx; run it again without the cache if BuildKit has lost the files of a cached layer."""
    try:
        process.stream(arguments, log, reader.read_line, env=address.client_environment)
    except FailedError as failure:
        if not _LOST_CACHE.search(failure.what):
            raise
        console.step("BuildKit has lost a layer of its cache: the build starts again without the cache")
        process.stream([*arguments, "--no-cache"], log, reader.read_line, env=address.client_environment)


@contextlib.contextmanager
def _linked(family: str, context: Path) -> Iterator[Path]:
    """Yield a link to a context, with the name of its family.

    BuildKit stores a received context under the last part of its path (buildx: build/opt.go, SharedKey); the next
    context of that name is sent as a difference.
    """
    if not family:
        yield context
        return
    with tempfile.TemporaryDirectory(prefix="armwright-") as parent:
        folder = Path(parent, family)
        folder.symlink_to(context.resolve(), target_is_directory=True)
        yield folder


def read_platforms(builder: str, address: EngineAddress) -> tuple[str, ...]:
    """Return the platforms of a buildx builder, its own machine's first; none if it has not been started yet.

    Args:
        builder: the builder's name.
        address: the engine that docker's command line uses.

    Raises:
        MachineError: it does not exist, or docker has no buildx.
    """
    try:
        text = process.capture(["docker", "buildx", "inspect", builder], env=address.client_environment)
    except FailedError as failure:
        raise _explain(failure) from failure
    listed = re.search(r"^Platforms:\s*(\S.*)$", text, re.MULTILINE)
    return tuple(name.strip(" *") for name in listed[1].split(",")) if listed else ()


def summarize_steps(steps: Sequence[BuildStep], least: float = 1.0) -> list[str]:
    """Describe the uncached steps that took at least `least` seconds, e.g. "12.3 s  export layers"."""
    return [f"{step.seconds:5.1f} s  {step.name}" for step in steps if step.seconds >= least and not step.cached]


def _shorten(name: str) -> str:
    """Shorten a step's name to one readable line: "[packages 3/3] RUN --network=none uv pip install …"."""
    first = re.sub(r"--mount=\S+ ", "", name).splitlines()[0] if name else ""
    return first if len(first) <= 100 else first[:99] + "…"  # noqa: PLR2004 - fits a line


def _count_seconds(vertex: Mapping[str, Any]) -> float:
    if not vertex.get("started"):
        return 0.0
    begin, end = (
        datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", vertex[key])) for key in ("started", "completed")
    )
    return (end - begin).total_seconds()


def _decode_log(log: Mapping[str, Any]) -> str:
    return base64.b64decode(log.get("data") or "").decode(errors="replace").rstrip()


def _explain(failure: FailedError) -> FailedError | MachineError:
    """Return the error that buildx's output stands for; the failure itself if the output is unknown."""
    again = "then run the same command again"
    if "no space left" in failure.what.lower():
        return MachineError(f"the disk is full: {failure.what}", "docker system prune", hint=again)
    if re.search(r"is not a docker command|docker: unknown command|unknown flag", failure.what):
        return MachineError("docker has no buildx plugin, or one that is too old", "./inv setup")
    if re.search(r"error reading from server: EOF|Cannot connect to the Docker daemon|connection reset", failure.what):
        return MachineError(f"the Docker Engine stopped: {failure.what}", "./inv setup", hint=again)
    if re.search(r"no builder|failed to find driver|builder .* not found", failure.what):
        return MachineError(f"the buildx builder does not exist: {failure.what}", "docker buildx ls")
    return failure
