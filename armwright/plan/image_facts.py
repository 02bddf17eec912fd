"""Facts that an image carries about itself: image.json, labels, scripts and overlays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from armwright.matrix.matrix import Combo, Matrix
from armwright.plan import ingredients
from armwright.plan.locks import BaseLock
from armwright.recipes.bases import Base

HOME = "opt/armwright"  # the folder of Armwright's own files in an image
START = "start"  # the overlay of every image: its Python starts as under the entrypoint
MARKER = "ARMWRIGHT_STARTED"  # set where the decisions of a start are made already (scripts/start.py)


@lru_cache(maxsize=512)
def sha256_of(data: bytes) -> str:
    """Return the sha256 of data in hexadecimal; cached, because many combos share files."""
    return hashlib.sha256(data).hexdigest()


def image_facts(matrix: Matrix, combo: Combo, base: Base, wheels: str) -> dict[str, Any]:
    """Return the content of image.json, which the entrypoint and the smoke run (scripts/) read.

    Args:
        matrix: the loaded matrix.
        combo: the combo.
        base: its base.
        wheels: the text of its wheel lock.
    """
    target, framework_backend = combo.target, combo.framework_backend
    backend = matrix.recipes.backends[combo.backend]
    rules = framework_backend.kernel_rules(target, combo.version)
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
        "packages": ingredients.installed_packages(combo, wheels),
        "fallbacks": _fallbacks(matrix, combo),
        "environment": [variable.model_dump() for variable in combo.environment],
        "fast_math": framework_backend.fast_math.model_dump() if framework_backend.fast_math else None,
        "dtypes": framework_backend.dtype_support(target, combo.version),
        "smoke": {
            "workloads": combo.workloads,
            "numerics": matrix.recipes.numerics.list_allowed(
                {variable.name: variable.value for variable in combo.environment}
            ),
            "kernels": [rule.model_dump(exclude={"needs", "lacks"}) for rule in rules],
            "files": {name.removeprefix(f"image/{HOME}/"): sha256_of(data) for name, data in scripts.items()},
        },
    }


def _fallbacks(matrix: Matrix, combo: Combo) -> list[dict[str, Any]]:
    """Return the images for CPUs below this floor, nearest first, of the same version where possible."""
    fallbacks = []
    for name in matrix.fallback_targets(combo.target):
        same = matrix.by_id[f"{combo.framework.name}-{combo.version}-{name}-{combo.backend}"]
        near = same if same.is_known_to_work else matrix.newest(combo.framework.name, name, combo.backend)
        if near is not None:
            fallbacks.append({"target": name, "floor": near.target.floor, "image": near.tag})
    return fallbacks


def image_labels(matrix: Matrix, combo: Combo, base: Base, base_lock: BaseLock, inputs: str) -> dict[str, str]:
    """Return the labels of an image: the OCI annotations and org.armwright.*.

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
        "org.opencontainers.image.description": f"{title} over {matrix.recipes.backends[combo.backend].title}",
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
    """Return the files that run inside the image: entrypoint, smoke run and the workloads of the framework."""
    modules = frozenset({combo.framework.name, combo.dialect})  # the module of a dialect may use that of its framework
    return _read_scripts(root / "scripts", modules, combo.dialect, tuple(combo.workloads))


@lru_cache
def _read_scripts(
    scripts: Path, modules: frozenset[str], dialect: str, workloads: tuple[str, ...]
) -> Mapping[str, bytes]:
    smoke = scripts / "smoke"
    paths = {*scripts.glob("*.py"), *smoke.glob("*.py"), *(smoke / "frameworks" / f"{module}.py" for module in modules)}
    for name in workloads:
        folder = smoke / name
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        shared = smoke / manifest.get("shares", name)
        paths |= {path for place in (folder, shared) for path in place.rglob("*") if path.is_file() and _is_data(path)}
        paths.add(shared / "workload.py")
        if not any(skip.get("dialect") == dialect and "dtypes" not in skip for skip in manifest.get("skips", [])):
            paths.add(folder / f"{dialect}.py")
    return {f"image/{HOME}/{path.relative_to(scripts)}": path.read_bytes() for path in sorted(paths)}


def _is_data(path: Path) -> bool:
    return path.suffix not in {".py", ".pyc"}


@lru_cache
def overlay_files(root: Path, name: str | None, site: str) -> Mapping[str, bytes]:
    """Return the overlay files of a version or a backend; they go into the site directory of the image."""
    if name is None:
        return {}
    folder = root / "scripts" / "overlays" / name
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {f"image{site}/{path.relative_to(folder)}": path.read_bytes() for path in paths}
