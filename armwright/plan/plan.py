"""The plan of a combo: everything an image is made of as data, and one digest over it. Pure: no engine, no network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from armwright.matrix.matrix import Combo, Matrix
from armwright.plan import ingredients, locks, render
from armwright.plan.locks import BaseLock
from armwright.recipes.bases import Archive, Base, Registry
from armwright.recipes.source_builds import Download
from armwright.system.errors import InputError

Source = Literal["archive", "registry"]
HOME = "opt/armwright"  # where our own files are in an image
# Level 7: PyTorch 2.10.0 exports in 5 s to 132 MB on 2 cores; level 3 in 3 s to 142 MB, level 9 in 25 s to 122 MB.
COMPRESSION = {"compression": "zstd", "compression-level": "7", "oci-mediatypes": "true"}


@dataclass(frozen=True)
class Plan:
    """What would be built.

    Attributes:
        combo: the combo.
        base: the distribution below it.
        source: where the base comes from.
        lock: the base's packages.
        files: the context's own files (path to content); downloads are added when they are fetched.
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
        """The files that are taken as they are, one by one."""
        return ingredients.downloads(self.combo.release, _distribution(self.base, self.source))

    @property
    def compiles(self) -> bool:
        """Programs of the target platform run while it is built."""
        return ingredients.interpreter(_distribution(self.base, self.source)) is not None

    @property
    def tag(self) -> str:
        """The name a proven image gets: pytorch:2.10.0-n1-acl."""
        return self.combo.tag

    @property
    def reference(self) -> str:
        """The immutable name, given when it is built: the tag and the first 12 digits of the inputs."""
        return f"{self.combo.tag}-{self.inputs.removeprefix('sha256:')[:12]}"


def plan(matrix: Matrix, combo: Combo, source: Source = "archive") -> Plan:
    """Plan one combo.

    Args:
        matrix: the loaded matrix.
        combo: a combo that is not refused.
        source: "archive" (the distribution's signed archive) or "registry" (a digest-pinned public image).

    Raises:
        InputError: a lock is missing or wrong, or the base has no such source.
    """
    base = matrix.base(combo)
    base_lock = locks.read_base(matrix.root, base.name)
    wheels = locks.read_wheels(matrix.root, combo.framework.name, combo.version)
    pinned = ingredients.installed(combo, wheels).get(combo.distribution)
    if pinned != combo.upstream:
        raise InputError(
            f"the lock of {combo.framework.name} {combo.version} pins {combo.distribution} {pinned}",
            f"invoke lock --framework {combo.framework.name} --version {combo.version}",
        )
    chosen = _distribution(base, source)
    files = {
        "requirements.txt": wheels.encode(),
        **ingredients.files(matrix.root, combo),
        f"image/{HOME}/image.json": _json(_image(matrix, combo, base, wheels)),
        **_scripts(matrix.root, combo),
        **_overlay(matrix.root, combo.release.overlay, chosen.site),
        **_overlay(matrix.root, combo.flavour.overlay, chosen.site),
    }
    context = {
        "combo": combo,
        "framework": combo.framework,
        "release": combo.release,
        "target": combo.target,
        "backend": matrix.recipes.backends[combo.backend],
        "base": base,
        "source": source,
        "distribution": chosen,
        "interpreter": ingredients.interpreter(chosen),
        "words": ingredients.words(combo, base),
        "epoch": base_lock.epoch,
    }

    def dockerfile(inputs: str) -> bytes:
        return render.dockerfile(matrix.root, {**context, "labels": _labels(matrix, combo, base, base_lock, inputs)})

    draft = Plan(combo, base, source, base_lock, {**files, "Dockerfile": dockerfile("")}, "")
    inputs = _digest(draft)
    return replace(draft, files={**files, "Dockerfile": dockerfile(inputs)}, inputs=inputs)


def _distribution(base: Base, source: Source) -> Archive | Registry:
    if source == "archive":
        return base.archive
    if base.registry is None:
        raise InputError(f"{base.name} comes from the distribution's archive only", "leave --base out")
    return base.registry


def _digest(draft: Plan) -> str:
    """Digest everything that determines the image: the files, the base's packages, the tools, the compression."""
    parts = {
        "files": {name: _sha256(data) for name, data in draft.files.items()},
        "lock": draft.lock.digest,
        "compression": COMPRESSION,
        "installer": _installer(),
    }
    return f"sha256:{_sha256(_json(parts))}"


@lru_cache
def _installer() -> str:
    return metadata.version("uv")


@lru_cache(maxsize=512)
def _sha256(data: bytes) -> str:
    """Hash what many combos share once."""
    return hashlib.sha256(data).hexdigest()


def _image(matrix: Matrix, combo: Combo, base: Base, wheels: str) -> dict[str, Any]:
    """Describe the image for its own entrypoint and smoke run (scripts/): image.json."""
    target, flavour = combo.target, combo.flavour
    backend = matrix.recipes.backends[combo.backend]
    scripts = _scripts(matrix.root, combo)
    return {
        "schema": 1,
        "combo": combo.id,
        "dialect": combo.dialect,
        "title": combo.title,
        "module": combo.framework.module,
        "distribution": combo.distribution,
        "version": combo.upstream,
        "target": {
            "name": target.name,
            "title": target.title,
            "floor": target.floor,
            "parts": target.parts,
            "vector_bytes": target.vector_bytes,
            "emulator": target.emulator.cpu,
        },
        "backend": {"name": backend.name, "title": backend.title, "versions": combo.release.libraries},
        "python": base.python,
        "base": base.name,
        "provider": combo.release.provider,
        "packages": _packages(combo, wheels),
        "fallbacks": _fallbacks(matrix, combo),
        "environment": [one.model_dump() for one in combo.environment],
        "fast_math": flavour.fast_math.model_dump() if flavour.fast_math else None,
        "dtypes": flavour.precisions(target, combo.version),
        "smoke": {
            "workloads": combo.workloads,
            "kernels": [rule.model_dump(exclude={"needs", "lacks"}) for rule in flavour.rules(target, combo.version)],
            "files": {name.removeprefix(f"image/{HOME}/"): _sha256(data) for name, data in scripts.items()},
        },
    }


def _packages(combo: Combo, wheels: str) -> dict[str, str]:
    """Name what the image holds: the locked distributions but for those that the recipe drops."""
    dropped = [path for drop in combo.framework.drop for path in drop.paths]
    return {
        name: version
        for name, version in ingredients.installed(combo, wheels).items()
        if not any(fnmatchcase(f"{name.replace('-', '_')}-{version}.dist-info", path) for path in dropped)
    }


def _fallbacks(matrix: Matrix, combo: Combo) -> list[dict[str, Any]]:
    """Name the images that run where this one refuses to, nearest first: of the same version where there is one."""
    found = []
    for name in matrix.chain(combo.target):
        same = matrix.by_id[f"{combo.framework.name}-{combo.version}-{name}-{combo.backend}"]
        near = same if same.sound else matrix.newest(combo.framework.name, name, combo.backend)
        if near is not None:
            found.append({"target": name, "floor": near.target.floor, "image": near.tag})
    return found


def _labels(matrix: Matrix, combo: Combo, base: Base, base_lock: BaseLock, inputs: str) -> dict[str, str]:
    title = f"{combo.title} for {combo.target.title}"
    return {
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.description": f"{title}, computed by {matrix.recipes.backends[combo.backend].title}",
        "org.opencontainers.image.version": combo.version,
        "org.opencontainers.image.created": base_lock.created,
        "org.armwright.combo": combo.id,
        "org.armwright.target": combo.target.name,
        "org.armwright.backend": combo.backend,
        "org.armwright.provider": combo.release.provider,
        "org.armwright.floor": ",".join(combo.target.floor),
        "org.armwright.python": base.python,
        "org.armwright.inputs": inputs,
    }


def _scripts(root: Path, combo: Combo) -> Mapping[str, bytes]:
    """Collect what runs inside the image: entrypoint, smoke run and the framework's workloads."""
    modules = frozenset({combo.framework.name, combo.dialect})  # a dialect's module may use its framework's
    return _read_scripts(root / "scripts", modules, combo.dialect, tuple(combo.workloads))


@lru_cache
def _read_scripts(
    scripts: Path, modules: frozenset[str], dialect: str, workloads: tuple[str, ...]
) -> Mapping[str, bytes]:
    smoke = scripts / "smoke"
    paths = {*scripts.glob("*.py"), *smoke.glob("*.py"), *(smoke / "frameworks" / f"{one}.py" for one in modules)}
    for name in workloads:
        folder = smoke / name
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        shared = smoke / manifest.get("shares", name)
        paths |= {path for one in (folder, shared) for path in one.rglob("*") if path.is_file() and _is_data(path)}
        paths.add(shared / "workload.py")
        if not any(skip.get("dialect") == dialect and "dtypes" not in skip for skip in manifest.get("skips", [])):
            paths.add(folder / f"{dialect}.py")
    return {f"image/{HOME}/{path.relative_to(scripts)}": path.read_bytes() for path in sorted(paths)}


def _is_data(path: Path) -> bool:
    return path.suffix not in {".py", ".pyc"}


def _overlay(root: Path, name: str | None, site: str) -> dict[str, bytes]:
    """Collect the files that make a version what it is, or switch a backend on; they land in the site directory."""
    if name is None:
        return {}
    folder = root / "scripts" / "overlays" / name
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {f"image{site}/{path.relative_to(folder)}": path.read_bytes() for path in paths}


def _json(data: object) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
