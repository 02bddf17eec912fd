"""The usual Dockerfile: `pip install` under emulation, a side of benchmarks/assembly.py.

It starts from a base image with Python and pip, as if it had been pulled. The base image is built before the clock
starts, from the packages of our base and pip with its dependencies; it contains Python's byte-code, and its layers are
already compressed. One `docker buildx build --platform linux/arm64` runs `pip install` under emulation, with every
version of the combo's lock; layers are compressed with gzip, the default. Its time includes downloading and installing
the wheels and the export.
"""

from __future__ import annotations

import os
from pathlib import Path

from armwright.assembly import buildx
from armwright.engine.containers import PLATFORM
from armwright.fetch import debian_roots, debian_sources
from armwright.plan import locks
from armwright.plan.plan import Plan
from armwright.system import console, process
from benchmarks import outcome
from benchmarks.sides import BuildRun, find_certificates

GIVEN, EMULATED = "armwright-bench:given", "armwright-bench:emulated"
PIP = "python3-pip"  # the name of the distribution's package
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


def build_with_pip(plan: Plan, scratch: Path, log: Path, settings: str) -> BuildRun:
    """Install with pip inside an AArch64 container.

    Args:
        plan: the plan, for the versions of the packages.
        scratch: a folder for the build context.
        log: the log file for the output of apt and BuildKit.
        settings: pip's settings for the network, the text of a pip.conf.
    """
    scratch.mkdir(parents=True)
    names = [*(package.name for package in plan.base.archive.packages), PIP]
    title = "unpack the base of the usual way (not timed)"
    with console.progress(title) as shown, debian_roots.apt_scratch(scratch) as place:
        run = debian_roots.AptRun(place, log, shown)
        sources = debian_sources.list_mirror_sources(plan.base)
        archive = debian_roots.open_archive(sources, run, debian_roots.TARGET_ARCHITECTURE)
        packages = debian_roots.fetch_packages(archive, names)
        debian_roots.unpack_root(plan.base, packages, scratch / "root.tar", place.folder)
    secrets = write_context(scratch, plan, settings)
    outcome.empty_cache(log)
    command = ["docker", "buildx", "build", "--platform", PLATFORM, "--provenance=false", "--sbom=false"]
    command += ["--progress", "rawjson", *(option for name, path in secrets.items() for option in _secret(name, path))]
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
    command += [option for name in proxies if name in os.environ for option in ("--build-arg", name)]

    def build(name: str, *options: str) -> BuildRun:
        output = f"type=image,name={name},unpack=true"
        with console.progress(f"build {name}") as shown:
            arguments = [*command, *options, "--output", output, str(scratch)]
            reader = buildx.EventReader(shown)
            process.stream(arguments, log, reader.read_line)
            return BuildRun(shown.seconds, reader.steps)

    build(GIVEN, "--target", "given")
    return build(EMULATED)


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
