"""The Dockerfile that a good engineer writes by hand for the same image, a side of benchmarks/assembly.py.

uv installs the wheels on the build platform, for the target platform, and the result is copied onto the root. So no
program of the target platform runs here either. Nothing is dropped, stripped or compiled to byte-code.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from armwright.plan.plan import Plan

DOCKERFILE = """\
FROM --platform=$BUILDPLATFORM scratch AS packages
ADD tools.tar /
COPY uv /usr/local/bin/uv
RUN --network=none --mount=type=bind,source=wheels,target=/wheels \\
  --mount=type=bind,source=requirements.txt,target=/requirements.txt{mounts} \\
  uv pip install --quiet --no-config --offline --no-index --find-links /wheels --require-hashes --no-deps --no-cache \\
  --link-mode copy --python-platform aarch64-{manylinux} --python-version {python} \\
  --target /packages{site} --requirements /requirements.txt{files}

FROM --platform=linux/arm64 scratch
COPY stamp /
ADD root.tar /
COPY --link --from=packages /packages/ /
ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8
USER 1000:1000
CMD ["python3"]
"""
MOUNTS = """ \\
  --mount=type=bind,source=files.txt,target=/files.txt --mount=type=bind,source=downloads,target=/downloads"""
FILES = " --find-links /downloads --requirements /files.txt"


def write_dockerfile(plan: Plan) -> str:
    """Return the Dockerfile for the wheels and the root of a plan."""
    mounts, files = (MOUNTS, FILES) if plan.combo.release.files else ("", "")
    base = plan.base
    return DOCKERFILE.format(
        manylinux=base.manylinux, python=base.python, site=base.archive.site, mounts=mounts, files=files
    )


def link_context(plan: Plan, fetched: Path, context: Path) -> None:
    """Write the context of the Dockerfile.

    Args:
        plan: the plan.
        fetched: the plan's own context, whose downloads are linked: both sides get the same wheels and roots.
        context: the new folder.
    """
    context.mkdir(parents=True)
    for path in (fetched / name for name in ("root.tar", "tools.tar", "uv", "requirements.txt", "files.txt")):
        if path.exists():
            os.link(path, context / path.name)
    for path in (fetched / name for name in ("wheels", "downloads")):
        if path.exists():
            shutil.copytree(path, context / path.name, copy_function=os.link)
    (context / "Dockerfile").write_text(write_dockerfile(plan), encoding="utf-8")
