"""BuildKit through `docker buildx build`: its events become progress and seconds per step, its words a log file."""

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

from armwright.engine.containers import PLATFORM
from armwright.system import console, process
from armwright.system.errors import FailedError, MachineError


@dataclass(frozen=True)
class BuildStep:
    """A finished step of a build: its name, seconds, and whether it came from the cache."""

    name: str
    seconds: float
    cached: bool


@dataclass
class EventReader:
    """Reads BuildKit's events (`--progress rawjson`): JSON documents of one line, or of many from older releases."""

    shown: console.Progress
    verbose: bool = False
    _open: dict[str, str] = field(default_factory=dict)
    _steps: dict[str, BuildStep] = field(default_factory=dict)
    _document: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[BuildStep]:
        """The finished steps, in the order they finished."""
        return list(self._steps.values())

    def line(self, line: str) -> str | None:
        """Take one line of output; return what belongs in the log."""
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
        words = [self._vertex(vertex) for vertex in event.get("vertexes") or []]
        words += [_text(log) for log in event.get("logs") or []]
        text = "\n".join(word for word in words if word)
        if text and self.verbose:
            console.say(text)
        return text or None

    def _vertex(self, vertex: Mapping[str, Any]) -> str:
        digest, name = vertex["digest"], _short(vertex["name"])
        if vertex.get("completed"):
            seconds = _seconds(vertex)
            self._steps[digest] = BuildStep(name, seconds, bool(vertex.get("cached")))
            self._open.pop(digest, None)
            failed = f" ERROR: {vertex['error']}" if vertex.get("error") else ""
            return f"{name}: {'cached' if vertex.get('cached') else f'{seconds:.1f} s'}{failed}"
        if vertex.get("started") and digest not in self._open:
            self._open[digest] = name
            self.shown.update(name)
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
) -> list[BuildStep]:
    """Build a context into the engine's image store.

    Args:
        context: the folder with the Dockerfile and everything it names.
        log: the file that BuildKit's words are appended to.
        name: the name the image gets when, and only when, the build is complete.
        epoch: SOURCE_DATE_EPOCH, seconds since 1970.
        compression: the exporter's options for layers.
        builder: a buildx builder other than the engine's own.
        verbose: show BuildKit's words as they come.
        family: a name for contexts that have most of their files in common, so that these are sent once. It takes
            files of the same path, size and time for the same file: see `render.write`.

    Returns:
        the steps.

    Raises:
        FailedError: the build failed; the log's tail is in the message.
        MachineError: buildx is missing, or the disk is full.
    """
    words = ["docker", "buildx", "build", "--platform", PLATFORM, "--provenance=false", "--sbom=false"]
    words += ["--progress", "rawjson", "--build-arg", f"SOURCE_DATE_EPOCH={epoch}"]
    options = ",".join(f"{key}={value}" for key, value in compression.items())
    archive = context.with_name(f"{context.name}.oci.tar")
    if builder:  # another builder has a store of its own: the image travels as an archive, its digest unchanged
        words += ["--builder", builder, "--output", f"type=oci,dest={archive},name={name},{options}"]
    else:
        # "default" is the engine's own, whatever `docker buildx use` or BUILDX_BUILDER say
        words += ["--builder", "default", "--output", f"type=image,name={name},unpack=true,{options}"]
    with console.progress(f"build {name}") as shown, _called(family, context) as folder:
        follower = EventReader(shown, verbose)
        try:
            process.stream([*words, str(folder)], log, follower.line)
            if builder:
                process.stream(["docker", "load", "--input", str(archive)], log)
        except FailedError as failure:
            raise _cause(failure) from failure
        finally:
            archive.unlink(missing_ok=True)
    return follower.steps


@contextlib.contextmanager
def _called(family: str, context: Path) -> Iterator[Path]:
    """Give a context's folder the name of its family.

    BuildKit keeps what it was sent under the last part of the folder's path (buildx: build/opt.go, SharedKey), and is
    sent only what differs from that.
    """
    if not family:
        yield context
        return
    with tempfile.TemporaryDirectory(prefix="armwright-") as parent:
        folder = Path(parent, family)
        folder.symlink_to(context.resolve(), target_is_directory=True)
        yield folder


def require_builder(builder: str) -> None:
    """Check that a buildx builder is there, before anything is fetched for it.

    Raises:
        MachineError: it is not, or docker has no buildx.
    """
    try:
        process.capture(["docker", "buildx", "inspect", builder])
    except FailedError as failure:
        raise _cause(failure) from failure


def summarize_steps(steps: Sequence[BuildStep], least: float = 1.0) -> list[str]:
    """Describe the steps that took at least so many seconds, e.g. "12.3 s  export layers"."""
    return [f"{step.seconds:5.1f} s  {step.name}" for step in steps if step.seconds >= least and not step.cached]


def _short(name: str) -> str:
    """Cut a step's name to one readable line: "[packages 3/3] RUN --network=none uv pip install …"."""
    first = re.sub(r"--mount=\S+ ", "", name).splitlines()[0] if name else ""
    return first if len(first) <= 100 else first[:99] + "…"  # noqa: PLR2004 - a terminal's line


def _seconds(vertex: Mapping[str, Any]) -> float:
    if not vertex.get("started"):
        return 0.0
    begin, end = (
        datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", vertex[key])) for key in ("started", "completed")
    )
    return (end - begin).total_seconds()


def _text(log: Mapping[str, Any]) -> str:
    return base64.b64decode(log.get("data") or "").decode(errors="replace").rstrip()


def _cause(failure: FailedError) -> FailedError | MachineError:
    if "no space left" in failure.what.lower():
        return MachineError(f"the disk is full: {failure.what}", "docker system prune, then the same command again")
    if re.search(r"is not a docker command|docker: unknown command|unknown flag", failure.what):
        return MachineError("docker has no buildx plugin that is new enough", "./inv setup")
    if re.search(r"error reading from server: EOF|Cannot connect to the Docker daemon|connection reset", failure.what):
        return MachineError(f"the engine went away: {failure.what}", "./inv setup, then the same command again")
    if re.search(r"no builder|failed to find driver|builder .* not found", failure.what):
        return MachineError(f"there is no such builder: {failure.what}", "docker buildx ls")
    return failure
