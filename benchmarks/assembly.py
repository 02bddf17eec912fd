"""Measures what assembly without emulation saves: the same versions, installed the usual way and assembled our way.

    python benchmarks/assembly.py [--combo ID]     # from the project's root, inside .venv; needs what a build needs

The usual way: a base image with Python and pip is given, as if it had been pulled. Then one `docker buildx build
--platform linux/arm64` whose `RUN pip install` works under emulation, with every version of the combo's lock; layers
are compressed with gzip, the default. In its time: the download of the wheels, their installation, export. Before the
clock starts, the base image is made of the packages of our own base and pip with what it needs; Python's byte-code is
in it, and its layers are compressed already.

Our way: nothing is given. In its time: fetching and unpacking both roots (image and build tools) from the
distribution's archive, the download of the wheels, assembly, export. No proof is run on either side.

Both sides start with empty download and BuildKit caches (`docker buildx prune --all`; the project's own downloads stay
where they are and are not used), with the same package index, one after the other; ours goes first, so that a warm
proxy or mirror helps the other. Its files get another date than those of a real build: else the engine might already
hold their layers. What is compared is how long images take to make, never how fast they compute.
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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from armwright.assembly import (  # noqa: E402 - the path is set first
    assemble,
    buildx,
)
from armwright.engine.client import Engine  # noqa: E402 - the path is set first
from armwright.engine.containers import PLATFORM  # noqa: E402 - the path is set first
from armwright.fetch import debian_roots  # noqa: E402
from armwright.matrix import matrix, selection  # noqa: E402 - the path is set first
from armwright.pipeline import preflight  # noqa: E402 - the path is set first
from armwright.plan import locks  # noqa: E402 - the path is set first
from armwright.plan.plan import (  # noqa: E402 - the path is set first
    COMPRESSION,
    Plan,
    make_plan,
)
from armwright.proof import (  # noqa: E402 - the path is set first
    smoke,
)
from armwright.system import console, http_session, process  # noqa: E402
from armwright.system.errors import FailedError, InputError, MachineError  # noqa: E402 - as above
from benchmarks import outcome  # noqa: E402 - as above

GIVEN, USUAL, OURS = "armwright-bench:given", "armwright-bench:usual", "armwright-bench:ours"
PIP = "python3-pip"  # the distribution's package
AIM = {"faster": 4.0, "compressed": 0.6}  # issue 2, item 12
LEAST_FREE = 2 * preflight.LEAST_FREE
# Settings of pip that say where and how to fetch; find-links and local indexes would serve one side from the disk.
NETWORK = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
DOCKERFILE = """\
FROM scratch AS given
ADD root.tar /
ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8
# what the maintainer scripts would have made
RUN mkdir -p /etc/ssl/certs && cat /usr/share/ca-certificates/*/*.crt > /etc/ssl/certs/ca-certificates.crt
RUN python3 -m compileall -qq -j 0 {libraries}

FROM given
RUN {mounts} python3 -m pip install --no-cache-dir --break-system-packages --progress-bar off {packages}
"""


@dataclass(frozen=True)
class Side:
    """One way of making the image.

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


def main(words: Sequence[str]) -> int:
    """Run both sides, print the table, write the document; return the exit code."""
    parser = argparse.ArgumentParser(description="Emulated pip install against assembly, same versions, same run.")
    parser.add_argument("--combo", default="", help="an id, as `invoke list` shows it; left out: the matrix's first")
    chosen = parser.parse_args(words)
    return outcome.code(lambda: run(chosen.combo))


def run(combo: str) -> None:
    """Measure one combo.

    Raises:
        InputError: there is no such combo, or it is not made of wheels.
        MachineError: the engine or the emulator is missing, or the disk is too small; nothing was started.
        FailedError: one side failed.
    """
    known = matrix.load_matrix(ROOT)
    one = make_plan(known, selection.select_combos(known, selection.Selector(combo=combo or "*"))[0])
    if one.combo.release.provider != "wheel":
        raise InputError(f"{one.combo.id} is not made of published wheels: there is nothing to compare", "invoke list")
    engine = Engine()
    emulator = smoke.require_runner(one.combo.target)
    free = shutil.disk_usage(ROOT).free
    if free < LEAST_FREE:
        raise MachineError(
            f"the disk has {free / 1e9:.1f} GB free and both sides need {LEAST_FREE / 1e9:.0f} GB",
            "docker system prune, then the same command again",
        )
    log = outcome.log("assembly")
    console.say(outcome.CACHE, "yellow")
    with tempfile.TemporaryDirectory(dir=outcome.OUTPUT, prefix="scratch-") as folder, same_index() as settings:
        scratch = Path(folder)
        try:
            ours = our_way(engine, one, scratch / "ours", log)
            usual = usual_way(engine, one, scratch / "usual", log, settings)
        finally:
            for name in (GIVEN, USUAL, OURS):
                engine.untag(name)
    report(one, emulator, engine, usual, ours)


@contextmanager
def same_index() -> Iterator[str]:
    """Give both sides the same package index: this machine's, without what only this machine's disk has.

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
    bundle = certificates()
    if bundle:
        os.environ["PIP_CERT"] = str(bundle)
    try:
        yield "[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
    finally:
        os.environ.clear()
        os.environ.update(before)


def our_way(engine: Engine, one: Plan, scratch: Path, log: Path) -> Side:
    """Fetch and assemble, as `invoke build` does, from empty caches below a folder of its own."""
    outcome.empty_cache(log)
    epoch = one.lock.epoch - outcome.DAY
    dockerfile = one.files["Dockerfile"].replace(str(one.lock.epoch).encode(), str(epoch).encode())
    one = replace(one, files={**one.files, "Dockerfile": dockerfile})
    started = time.monotonic()
    assemble.fetch_context(scratch, one)
    fetched = time.monotonic()
    context = assemble.context_path(scratch, one.combo)
    buildx.run_build(context, log, name=OURS, epoch=epoch, compression=COMPRESSION)
    ended = time.monotonic()
    return measured(engine, OURS, {"fetch": fetched - started, "build": ended - fetched}, one.combo.target.emulator.cpu)


def usual_way(engine: Engine, plan: Plan, scratch: Path, log: Path, settings: str) -> Side:
    """Install with pip inside an AArch64 container."""
    scratch.mkdir(parents=True)
    root = debian_roots.CachedRoot(scratch / "root.tar", scratch / "root.status")
    names = [*(package.name for package in plan.base.archive.packages), PIP]
    with console.progress("unpack the root that is given to the usual way (not timed)") as shown:
        debian_roots.unpack_root(plan.base, debian_roots.TARGET_ARCHITECTURE, names, root, log, shown)
    secrets = write_context(scratch, plan, settings)
    outcome.empty_cache(log)
    words = ["docker", "buildx", "build", "--platform", PLATFORM, "--provenance=false", "--sbom=false"]
    words += ["--progress", "rawjson", *(word for name, path in secrets.items() for word in _secret(name, path))]
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
    words += [word for name in proxies if name in os.environ for word in ("--build-arg", name)]

    def make(name: str, *more: str) -> float:
        output = f"type=image,name={name},unpack=true"
        with console.progress(f"build {name}") as shown:
            process.stream([*words, *more, "--output", output, str(scratch)], log, buildx.EventReader(shown).read_line)
            return shown.seconds

    make(GIVEN, "--target", "given")
    return measured(engine, USUAL, {"build": make(USUAL)}, plan.combo.target.emulator.cpu)


def _secret(name: str, path: Path) -> tuple[str, str]:
    return "--secret", f"id={name},src={path}"


def write_context(scratch: Path, plan: Plan, settings: str) -> dict[str, Path]:
    """Write the usual way's Dockerfile; return its secrets, which no layer keeps."""
    configuration = scratch.with_suffix(".pip.conf")  # beside the context, not in it
    configuration.write_text(settings, encoding="utf-8")
    configuration.chmod(0o600)
    secrets = {"pip": configuration}
    mounts = ["--mount=type=secret,id=pip,target=/run/secrets/pip"]
    variables = ["PIP_CONFIG_FILE=/run/secrets/pip", "PIP_ROOT_USER_ACTION=ignore"]
    bundle = certificates()
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


def certificates() -> Path | None:
    """Return the certificates this machine trusts, if it has them in a file."""
    bundle = http_session.find_ca_bundle()
    return bundle if bundle and bundle.is_file() else None


def measured(engine: Engine, name: str, parts: Mapping[str, float], emulated: str) -> Side:
    """Ask the engine how large an image became; starting it once unpacks it, outside the time of both sides.

    Raises:
        FailedError: it is not there, or does not start.
    """
    ran = engine.run(name, ["true"], {"QEMU_CPU": emulated}, timeout=120)
    if ran.code:
        raise FailedError(f"{name} does not start: {ran.err.strip() or f'exit {ran.code}'}", "invoke doctor")
    image = engine.find(name)
    if image is None or not image.unpacked:
        raise FailedError(f"the build ended well, but the engine has no unpacked image {name}", "invoke doctor")
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
        f"{plan.combo.id}: how long an image takes to make",
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
    how = f"with {emulator}" if emulator else "without emulation, so the ratio of seconds says little"
    console.say(f"measured on {outcome.MACHINE}, {how}: it compares assembly, and says nothing about inference speed")
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in ours.parts.items())
    console.say(f"in our seconds: both roots and the wheels from the network ({parts}); in the usual way's: the wheels")
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
    outcome.write("assembly", document)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
