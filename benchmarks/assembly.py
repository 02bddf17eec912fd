"""Compares assembly without emulation with `pip install` under emulation, for the same package versions.

    python -m benchmarks.assembly [--combo ID]     # in the project's root, inside .venv; needs what a build needs

The usual way starts from a base image with Python and pip, as if it had been pulled. One `docker buildx build
--platform linux/arm64` runs `pip install` under emulation, with every version of the combo's lock; layers are
compressed with gzip, the default. Its time includes downloading and installing the wheels and the export. The base
image is built before the clock starts, from the packages of Armwright's base and pip with its dependencies; it contains
Python's byte-code, and its layers are already compressed.

Armwright's way starts from nothing. Its time includes fetching and unpacking both roots (image and build tools) from
the distribution's archive, downloading the wheels, assembly and export. Neither side runs a proof.

Both sides start with empty download and BuildKit caches (`docker buildx prune --all`; the project's own downloads are
kept and not used) and use the same package index, one after the other. Armwright runs first, so a warm proxy or mirror
helps the usual way. The files of Armwright's image get a different date than in a real build, because the engine might
already have those layers. The benchmark compares how long images take to build, not how fast they compute.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from armwright.assembly import assemble, buildx
from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.fetch import debian_roots
from armwright.matrix import selection
from armwright.matrix.matrix import load_matrix
from armwright.pipeline import preflight
from armwright.plan import locks
from armwright.plan.plan import COMPRESSION, Plan, make_plan
from armwright.proof import smoke
from armwright.system import console, http_session, process
from armwright.system.errors import FailedError, InputError, MachineError
from benchmarks import outcome
from benchmarks.outcome import ROOT

GIVEN, USUAL, OURS = "armwright-bench:given", "armwright-bench:usual", "armwright-bench:ours"
PIP = "python3-pip"  # the name of the distribution's package
AIM = {"faster": 4.0, "compressed": 0.6}  # issue 2, item 12
LEAST_FREE = 2 * preflight.LEAST_FREE
# pip's settings for the network. Without find-links and local indexes, no side gets a wheel from the disk.
NETWORK = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
DOCKERFILE = """\
FROM scratch AS given
ADD root.tar /
ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8
# what the packages' maintainer scripts would create
RUN mkdir -p /etc/ssl/certs && cat /usr/share/ca-certificates/*/*.crt > /etc/ssl/certs/ca-certificates.crt
RUN python3 -m compileall -qq -j 0 {libraries}

FROM given
RUN {mounts} python3 -m pip install --no-cache-dir --break-system-packages --progress-bar off {packages}
"""


@dataclass(frozen=True)
class Side:
    """The measurements of one way to build the image.

    Attributes:
        seconds: from the first download to the image in the engine.
        compressed: bytes of the compressed layers.
        unpacked: bytes of the unpacked layers.
        parts: seconds of each part.
    """

    seconds: float
    compressed: int
    unpacked: int
    parts: Mapping[str, float]


def main(arguments: Sequence[str]) -> int:
    """Run both sides, print the table, write the document; return the exit code."""
    parser = argparse.ArgumentParser(description="Compare assembly with emulated pip install for the same versions.")
    parser.add_argument("--combo", default="", help="id from `invoke list` (default: the first)")
    combo = parser.parse_args(arguments).combo
    return outcome.run_benchmark(lambda: run(combo))


def run(combo: str) -> None:
    """Measure one combo.

    Raises:
        InputError: the combo is unknown, or not built from wheels.
        MachineError: the engine or the emulator is missing, or the disk is too small; nothing was started.
        FailedError: one side failed.
    """
    matrix = load_matrix(ROOT)
    plan = make_plan(matrix, selection.select_combos(matrix, selection.Selector(combo=combo or "*"))[0])
    if plan.combo.release.provider != "wheel":
        raise InputError(f"{plan.combo.id} is not built from published wheels, so pip cannot install it", "invoke list")
    engine = Engine()
    emulator = smoke.require_runner(plan.combo.target)
    free = shutil.disk_usage(ROOT).free
    if free < LEAST_FREE:
        raise MachineError(
            f"the disk has {free / 1e9:.1f} GB free, and the benchmark needs {LEAST_FREE / 1e9:.0f} GB",
            "docker system prune",
            hint="run the same command again after that",
        )
    log = outcome.new_log("assembly")
    console.say(outcome.CACHE, "yellow")
    with tempfile.TemporaryDirectory(dir=outcome.OUTPUT, prefix="scratch-") as folder, same_index() as settings:
        scratch = Path(folder)
        try:
            ours = armwright_way(engine, plan, scratch / "ours", log)
            usual = usual_way(engine, plan, scratch / "usual", log, settings)
        finally:
            for name in (GIVEN, USUAL, OURS):
                engine.untag(name)
    report(plan, emulator, engine, usual, ours)


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


def armwright_way(engine: Engine, plan: Plan, scratch: Path, log: Path) -> Side:
    """Fetch and assemble as `invoke build` does, with empty caches in a scratch folder."""
    outcome.empty_cache(log)
    epoch = plan.lock.epoch - outcome.DAY
    dockerfile = plan.files["Dockerfile"].replace(str(plan.lock.epoch).encode(), str(epoch).encode())
    plan = replace(plan, files={**plan.files, "Dockerfile": dockerfile})
    started = time.monotonic()
    assemble.fetch_context(scratch, plan)
    fetched = time.monotonic()
    context = assemble.context_path(scratch, plan.combo)
    buildx.run_build(context, log, name=OURS, epoch=epoch, compression=COMPRESSION)
    ended = time.monotonic()
    parts = {"fetch": fetched - started, "build": ended - fetched}
    return measure_image(engine, OURS, parts, plan.combo.target.emulator.cpu)


def usual_way(engine: Engine, plan: Plan, scratch: Path, log: Path, settings: str) -> Side:
    """Install with pip inside an AArch64 container."""
    scratch.mkdir(parents=True)
    root = debian_roots.CachedRoot(scratch / "root.tar", scratch / "root.status")
    names = [*(package.name for package in plan.base.archive.packages), PIP]
    with console.progress("unpack the base of the usual way (not timed)") as shown:
        debian_roots.unpack_root(plan.base, debian_roots.TARGET_ARCHITECTURE, names, root, log, shown)
    secrets = write_context(scratch, plan, settings)
    outcome.empty_cache(log)
    command = ["docker", "buildx", "build", "--platform", PLATFORM, "--provenance=false", "--sbom=false"]
    command += ["--progress", "rawjson", *(option for name, path in secrets.items() for option in _secret(name, path))]
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
    command += [option for name in proxies if name in os.environ for option in ("--build-arg", name)]

    def build(name: str, *options: str) -> float:
        output = f"type=image,name={name},unpack=true"
        with console.progress(f"build {name}") as shown:
            arguments = [*command, *options, "--output", output, str(scratch)]
            process.stream(arguments, log, buildx.EventReader(shown).read_line)
            return shown.seconds

    build(GIVEN, "--target", "given")
    return measure_image(engine, USUAL, {"build": build(USUAL)}, plan.combo.target.emulator.cpu)


def _secret(name: str, path: Path) -> tuple[str, str]:
    return "--secret", f"id={name},src={path}"


def write_context(scratch: Path, plan: Plan, settings: str) -> dict[str, Path]:
    """Write the Dockerfile of the usual way; return the files of its secrets, which are in no layer."""
    configuration = scratch.with_suffix(".pip.conf")  # beside the context, not in it
    configuration.write_text(settings, encoding="utf-8")
    configuration.chmod(0o600)
    secrets = {"pip": configuration}
    mounts = ["--mount=type=secret,id=pip,target=/run/secrets/pip"]
    variables = ["PIP_CONFIG_FILE=/run/secrets/pip", "PIP_ROOT_USER_ACTION=ignore"]
    bundle = find_certificates()
    if bundle:
        secrets["ca"] = bundle
        mounts.append("--mount=type=secret,id=ca,target=/run/secrets/ca")
        variables.append("PIP_CERT=/run/secrets/ca")
    pinned = locks.locked_packages(plan.files["requirements.txt"].decode())
    packages = " ".join(f"{name}=={version}" for name, version in pinned.items())
    libraries = " ".join(plan.base.archive.libraries)
    text = DOCKERFILE.format(mounts=" ".join([*mounts, *variables]), packages=packages, libraries=libraries)
    (scratch / "Dockerfile").write_text(text, encoding="utf-8")
    (scratch / ".dockerignore").write_text("*\n!root.tar\n", encoding="utf-8")
    return secrets


def find_certificates() -> Path | None:
    """Return the file with the certificates that this machine trusts; None without one."""
    bundle = http_session.find_ca_bundle()
    return bundle if bundle and bundle.is_file() else None


def measure_image(engine: Engine, name: str, parts: Mapping[str, float], emulated: str) -> Side:
    """Start an image once, which unpacks it outside the measured time, and read its size from the engine.

    Raises:
        FailedError: the engine has no such image, or it does not start.
    """
    ran = engine.run(name, ["true"], {"QEMU_CPU": emulated}, timeout=120)
    if ran.code:
        raise FailedError(f"{name} does not start: {ran.err.strip() or f'exit {ran.code}'}", "invoke doctor")
    image = engine.find(name)
    if image is None or not image.unpacked:
        raise FailedError(f"the build succeeded, but the engine has no unpacked image {name}", "invoke doctor")
    return Side(sum(parts.values()), image.compressed, image.unpacked, parts)


def report(plan: Plan, emulator: str, engine: Engine, usual: Side, ours: Side) -> None:
    """Print the table and write build/benchmarks/assembly.json."""
    ratios = {
        "faster": usual.seconds / ours.seconds,
        "compressed": ours.compressed / usual.compressed,
        "unpacked": ours.unpacked / usual.unpacked,
    }
    usual_name = "pip install, emulated" if emulator else "pip install, native"
    console.table(
        f"{plan.combo.id}: how long the build of an image takes",
        ["", usual_name, "assembly", "ratio", "aim"],
        [
            ["seconds", f"{usual.seconds:.0f}", f"{ours.seconds:.0f}", f"{ratios['faster']:.1f} times faster",
             f">= {AIM['faster']:.0f}"],
            ["compressed", console.megabytes(usual.compressed), console.megabytes(ours.compressed),
             f"{ratios['compressed']:.2f} of the size", f"<= {AIM['compressed']}"],
            ["unpacked", console.megabytes(usual.unpacked), console.megabytes(ours.unpacked),
             f"{ratios['unpacked']:.2f} of the size", ""],
        ],
    )  # fmt: skip
    how = f"with {emulator}" if emulator else "without emulation, so the ratio of seconds means little"
    console.say(f"measured on {outcome.MACHINE}, {how}; the speed of inference is not compared")
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in ours.parts.items())
    console.say(f"assembly downloads both roots and the wheels ({parts}); pip install downloads the wheels only")
    document = {
        "combo": plan.combo.id,
        "packages": locks.locked_packages(plan.files["requirements.txt"].decode()),
        "machine": outcome.MACHINE,
        "emulator": emulator,
        "engine": engine.version,
        "usual": {**asdict(usual), "compression": "gzip"},
        "ours": {**asdict(ours), "compression": COMPRESSION["compression"]},
        "ratios": ratios,
        "aim": AIM,
    }
    outcome.write_document("assembly", document)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
