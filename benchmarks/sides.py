"""What the sides of benchmarks/assembly.py share: their measurements, and this machine's package index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from armwright.assembly.buildx import BuildStep
from armwright.engine.client import Engine
from armwright.system import http_session, process
from armwright.system.errors import FailedError

# pip's settings for the network. Without find-links and local indexes, no side gets a wheel from the disk.
NETWORK = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
LEAST_STEP = 0.5  # seconds of a step that the document lists


@dataclass(frozen=True)
class BuildRun:
    """One build from an empty cache to the unpacked image in the engine: its seconds, and BuildKit's steps."""

    seconds: float
    steps: Sequence[BuildStep]


@dataclass(frozen=True)
class Side:
    """The measurements of one way to build the image.

    Attributes:
        fetch: seconds of the downloads before BuildKit starts; 0 without any.
        builds: BuildKit's seconds in each run.
        compressed: bytes of the compressed layers.
        unpacked: bytes of the unpacked layers.
        compression: how the layers are compressed.
        steps: seconds of BuildKit's longer steps in the last run; some ran at the same time.
    """

    fetch: float
    builds: Sequence[float]
    compressed: int
    unpacked: int
    compression: str
    steps: Mapping[str, float]

    @property
    def build(self) -> float:
        """The median of BuildKit's seconds."""
        return median(self.builds)

    @property
    def seconds(self) -> float:
        """Seconds from the first download to the unpacked image."""
        return self.fetch + self.build


def measure_side(  # noqa: PLR0913, PLR0917 - what a side is
    engine: Engine, name: str, runs: Sequence[BuildRun], compression: str, emulated: str, fetch: float = 0.0
) -> Side:
    """Start an image once, which shows that it works, and read its sizes from the engine.

    Args:
        engine: the engine that built it.
        name: the image's name.
        runs: its builds.
        compression: how its layers are compressed.
        emulated: the CPU that QEMU emulates.
        fetch: seconds of the downloads before the builds.

    Raises:
        FailedError: the engine has no such image, or it does not start.
    """
    ran = engine.run(name, ["true"], {"QEMU_CPU": emulated}, timeout=120)
    if ran.code:
        raise FailedError(f"{name} does not start: {ran.err.strip() or f'exit {ran.code}'}", "invoke doctor")
    image = engine.find(name)
    if image is None or not image.unpacked:
        raise FailedError(f"the build succeeded, but the engine has no unpacked image {name}", "invoke doctor")
    steps = {step.name: step.seconds for step in runs[-1].steps if step.seconds >= LEAST_STEP}
    builds = [run.seconds for run in runs]
    return Side(fetch, builds, image.compressed, image.unpacked, compression, steps)


@contextmanager
def same_index() -> Iterator[str]:
    """Use this machine's package index for both sides, without indexes that are files on its disk.

    Yields:
        the settings as the text of a pip.conf, for the side that runs in a container.
    """
    lines = process.capture(["pip", "config", "list"]).splitlines()
    pairs = ((key.rpartition(".")[2], value.strip("'\"")) for key, _, value in (line.partition("=") for line in lines))
    settings = {
        key.removeprefix("default-"): " ".join(word for word in value.split() if not word.startswith("file:"))
        for key, value in pairs
        if key.removeprefix("default-") in NETWORK
    }
    settings = {key: value for key, value in settings.items() if value}
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        del os.environ[name]
    os.environ |= {f"PIP_{key.upper().replace('-', '_')}": value for key, value in settings.items()}
    os.environ |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    bundle = find_certificates()
    if bundle:
        os.environ["PIP_CERT"] = str(bundle)
    try:
        yield "[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
    finally:
        os.environ.clear()
        os.environ.update(before)


def find_certificates() -> Path | None:
    """Return the file with the certificates that this machine trusts; None without one."""
    bundle = http_session.find_ca_bundle()
    return bundle if bundle and bundle.is_file() else None
