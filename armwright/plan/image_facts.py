"""What an image is told about itself: image.json, its labels, its scripts and overlays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from armwright.matrix.matrix import Combo, Matrix
from armwright.plan import ingredients
from armwright.plan.locks import BaseLock
from armwright.recipes.bases import Base

HOME = "opt/armwright"  # where our own files are in an image


@lru_cache(maxsize=512)
def sha256_of(data: bytes) -> str:
    """Hash what many combos share once."""
    return hashlib.sha256(data).hexdigest()


def image_facts(matrix: Matrix, combo: Combo, base: Base, wheels: str) -> dict[str, Any]:
    """Describe the image for its own entrypoint and smoke run (scripts/): image.json."""
    target, flavour = combo.target, combo.flavour
    backend = matrix.recipes.backends[combo.backend]
    scripts = script_files(matrix.root, combo)
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
            "files": {name.removeprefix(f"image/{HOME}/"): sha256_of(data) for name, data in scripts.items()},
        },
    }


def _packages(combo: Combo, wheels: str) -> dict[str, str]:
    """Name what the image holds: the locked distributions but for those that the recipe drops."""
    dropped = [path for drop in combo.framework.drop for path in drop.paths]
    return {
        name: version
        for name, version in ingredients.installed_packages(combo, wheels).items()
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


def image_labels(matrix: Matrix, combo: Combo, base: Base, base_lock: BaseLock, inputs: str) -> dict[str, str]:
    """Return the labels of an image: the OCI annotations and ours (docs/reference).

    Args:
        matrix: the loaded matrix.
        combo: the combo.
        base: its base.
        base_lock: the base's lock; its time is the image's.
        inputs: the digest over everything that determines the image.
    """
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


def script_files(root: Path, combo: Combo) -> Mapping[str, bytes]:
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


def overlay_files(root: Path, name: str | None, site: str) -> dict[str, bytes]:
    """Collect the files that make a version what it is, or switch a backend on; they land in the site directory."""
    if name is None:
        return {}
    folder = root / "scripts" / "overlays" / name
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {f"image{site}/{path.relative_to(folder)}": path.read_bytes() for path in paths}
