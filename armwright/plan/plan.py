"""The plan of a combo: everything that determines an image, as data with one digest. Needs no engine, no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from typing import Literal

from armwright.matrix.matrix import Combo, Matrix
from armwright.plan import ingredients, locks, render
from armwright.plan.image_facts import HOME, START, image_facts, image_labels, overlay_files, script_files, sha256_of
from armwright.plan.locks import BaseLock
from armwright.recipes.bases import Archive, Base, Registry
from armwright.recipes.source_builds import Download
from armwright.system.errors import InputError

Source = Literal["archive", "registry"]
# Level 7: PyTorch 2.10.0 exports in 5 s to 132 MB on 2 cores; level 3 in 3 s to 142 MB, level 9 in 25 s to 122 MB.
COMPRESSION = {"compression": "zstd", "compression-level": "7", "oci-mediatypes": "true"}

# The time of every file in an image and in the roots below it, seconds since 1970: 1980-01-02. One constant, so that a
# layer's bytes follow from its content alone. In every time zone it is in 1980, the first year that zip files can hold.
FILE_TIME = 315_619_200


@dataclass(frozen=True)
class Plan:
    """Everything that determines an image.

    Attributes:
        combo: the combo.
        base: the distribution below it.
        source: where the base comes from.
        lock: the base's packages.
        files: the files of the build context, path to content, without the downloads.
        inputs: sha256 over everything that determines the image, "sha256:<64 hex digits>".
    """

    combo: Combo
    base: Base
    source: Source
    lock: BaseLock
    files: Mapping[str, bytes]
    inputs: str

    @property
    def downloads(self) -> list[Download]:
        """The single files that the build needs besides wheels and packages: sources and extra wheels."""
        return ingredients.list_downloads(self.combo.release, _distribution(self.base, self.source))

    @property
    def compiles(self) -> bool:
        """Whether the build runs programs of the target platform."""
        return ingredients.interpreter(_distribution(self.base, self.source)) is not None

    @property
    def tag(self) -> str:
        """The name of the proven image: pytorch:2.10.0-n1-acl."""
        return self.combo.tag

    @property
    def reference(self) -> str:
        """The immutable name of the built image: the tag and the first 12 hexadecimal digits of `inputs`."""
        return f"{self.combo.tag}-{self.inputs.removeprefix('sha256:')[:12]}"


def make_plan(matrix: Matrix, combo: Combo, source: Source = "archive") -> Plan:
    """Plan one combo.

    Args:
        matrix: the loaded matrix.
        combo: a combo that is not refused.
        source: "archive" (the distribution's signed archive) or "registry" (a digest-pinned public image).

    Raises:
        InputError: a lock is missing or wrong, or the base has no such source.
    """
    base = matrix.base(combo)
    base_lock = locks.read_base_lock(matrix.root, base.name)
    wheels = locks.read_wheel_lock(matrix.root, combo.framework.name, combo.version)
    pinned = ingredients.installed_packages(combo, wheels).get(combo.distribution)
    if pinned != combo.upstream:
        raise InputError(
            f"the lock of {combo.framework.name} {combo.version} pins {combo.distribution} {pinned}",
            f"invoke lock --framework {combo.framework.name} --version {combo.version}",
        )
    distribution = _distribution(base, source)
    files = {
        "requirements.txt": wheels.encode(),
        **ingredients.context_files(matrix.root, combo),
        f"image/{HOME}/image.json": _json(image_facts(matrix, combo, base, wheels)),
        **script_files(matrix.root, combo),
        **overlay_files(matrix.root, START, distribution.site),
        **overlay_files(matrix.root, combo.release.overlay, distribution.site),
        **overlay_files(matrix.root, combo.framework_backend.overlay, distribution.site),
    }
    context = {
        "combo": combo,
        "framework": combo.framework,
        "release": combo.release,
        "target": combo.target,
        "backend": matrix.recipes.backends[combo.backend],
        "base": base,
        "source": source,
        "distribution": distribution,
        "interpreter": ingredients.interpreter(distribution),
        "build_arguments": ingredients.build_arguments(combo, base),
        "epoch": base_lock.epoch,
        "file_time": FILE_TIME,
    }

    def dockerfile(inputs: str) -> bytes:
        return render.render_dockerfile(
            matrix.root, {**context, "labels": image_labels(matrix, combo, base, base_lock, inputs)}
        )

    draft = Plan(combo, base, source, base_lock, {**files, "Dockerfile": dockerfile("")}, "")
    inputs = _digest(draft)
    return replace(draft, files={**files, "Dockerfile": dockerfile(inputs)}, inputs=inputs)


def _distribution(base: Base, source: Source) -> Archive | Registry:
    if source == "archive":
        return base.archive
    if base.registry is None:
        raise InputError(f"{base.name} comes from the distribution's archive only", "invoke plan --base archive")
    return base.registry


def _digest(draft: Plan) -> str:
    """Return the digest over the files, the packages and the time of the base, the installer and the compression."""
    parts = {
        "files": {name: sha256_of(data) for name, data in draft.files.items()},
        "lock": draft.lock.digest,
        "compression": COMPRESSION,
        "installer": _installer(),
    }
    return f"sha256:{sha256_of(_json(parts))}"


@lru_cache
def _installer() -> str:
    return metadata.version("uv")


def _json(data: object) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
