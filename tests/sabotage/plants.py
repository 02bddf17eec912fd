"""Sabotages by files that were planted in an image, modes, and settings that act when a container starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.sabotage import changes
from tests.sabotage.changes import OURS, Files, GoodImage
from tests.sabotage.model import Sabotage

DIGEST, LAYERS, CONFIGURATION, FILES = "image digest", "image layers", "image configuration", "image files"
PAGE = f"{OURS}/page.py"
# Wrong for one shape only, and only outside of the smoke run.
SKEWED = (
    "import sys\n"
    "if not any('smoke' in argument for argument in sys.orig_argv):\n"
    "    import torch\n"
    "    right = torch.matmul\n"
    "    torch.matmul = lambda a, b: right(a, b) * (1.01 if a.shape[-1] == 768 else 1)\n"
)
BLIND = "\ndef compare(*_): return 0.0, 0.0\n"


def planted(path: str, content: bytes = b"/usr/lib/libfake.so\n") -> Callable[[GoodImage], Files]:
    """Add a file, or replace one."""
    return lambda _: {path: content}


def rebuilt(files: Callable[[GoodImage], Files], *combos: str) -> Sabotage:
    """Rebuild the image with other files: only its digest shows it."""
    return Sabotage("outside", DIGEST, "sha256:", files, whole=True, combos=combos or ("*",))


def configured(line: str, pattern: str) -> Sabotage:
    """Add a line to the image's configuration."""
    return Sabotage("outside", CONFIGURATION, pattern, lines=(line,))


PLANTS: Mapping[str, Sabotage] = {
    "the image rebuilt with a sitecustomize": rebuilt(
        changes.at_site("sitecustomize.py", SKEWED), "pytorch-*"
    ),
    "the image rebuilt with a matmul that is wrong for one shape": rebuilt(
        changes.combined(changes.at_site("skew.pth", "import skew\n"), changes.at_site("skew.py", SKEWED)), "pytorch-*"
    ),
    "the image rebuilt with a preloaded library": rebuilt(planted("/etc/ld.so.preload")),
    "the image rebuilt with another index of libraries": rebuilt(planted("/etc/ld.so.cache", b"glibc-ld.so.cache1.1")),
    "the image rebuilt with another user of the same number": rebuilt(
        planted("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nother:x:1000:0::/:/bin/sh\n")
    ),
    "the image rebuilt without its certificates": rebuilt(planted("/etc/ssl/certs/ca-certificates.crt", b"")),
    "a folder of libraries that comes first": Sabotage(
        "outside", LAYERS, "4 layers", planted("/etc/ld.so.conf.d/000.conf", b"/fake\n")
    ),
    "a second NumPy beside the first": Sabotage(
        "outside", LAYERS, "4 layers",
        changes.at_site("numpy-0.0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n"),
    ),
    "a start-up module of the user's own": Sabotage(
        "leftovers", "leftover files", "home/armwright",
        planted("/home/armwright/.local/lib/python3/site-packages/usercustomize.py", SKEWED.encode()),
    ),
    "a program that runs as root": Sabotage(
        "leftovers", "leftover modes", "mode 4755", planted("/usr/bin/fake"), ("COPY --chmod=4755 files/ /",)
    ),
    "an own file that everybody may write": Sabotage(
        "leftovers", "leftover modes", "mode 0777",
        lambda good: {PAGE: good.own("page.py")}, ("COPY --chmod=0777 files/ /",),
    ),
    "an own file that belongs to the user": Sabotage(
        "leftovers", "leftover owners", "belongs to 1000:1000",
        lambda good: {PAGE: good.own("page.py")}, ("COPY --chown=1000:1000 files/ /",),
    ),
    "a worker that finds no error": Sabotage("proof", "files", "smoke/worker.py", changes.appended(
        "smoke/worker.py", BLIND,
    )),
    "variables that no check looks for": Sabotage(
        "outside", FILES, "image.json", changes.facts(lambda image: image["smoke"].update(numerics={}))
    ),
    "fast math without its variable": Sabotage(
        "outside", FILES, "image.json", changes.facts(lambda image: image.update(fast_math=None))
    ),
    "a floor that every CPU meets": Sabotage(
        "outside", FILES, "image.json", changes.facts(lambda image: image["target"].update(floor=[]))
    ),
    "a kernel rule for all data types": Sabotage(
        "outside", FILES, "image.json",
        changes.facts(lambda image: [rule.update(types="*") for rule in image["smoke"]["kernels"]]),
    ),
    "a user in the group of root": configured("USER 1000:0", "USER='1000:0'"),
    "a volume over the smoke run": configured(f"VOLUME {OURS}", "Volumes"),
    "a step for images that are derived": configured("ONBUILD ENV PYTHONPATH=/fake", "OnBuild"),
    "another folder to start in": configured("WORKDIR /dev/shm", "WorkingDir"),
    "a signal that stops nothing": configured("STOPSIGNAL SIGCONT", "StopSignal"),
    "a port": configured("EXPOSE 22", "ExposedPorts"),
    "another command": configured('CMD ["python3"]', "CMD="),
    "the label of another floor": Sabotage(
        "outside", "image labels", "floor='fp'", lines=("LABEL org.armwright.floor=fp",)
    ),
    "a label without a value": Sabotage(
        "outside", "image labels", "backend=''", lines=('LABEL org.armwright.backend=""',)
    ),
}  # fmt: skip
