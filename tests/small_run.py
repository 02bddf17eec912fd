"""A copy of the project whose framework is one small wheel, so that a real `invoke build` takes seconds."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.support import ROOT, Tree

FRAMEWORK = """\
name: pytorch
title: A small wheel
module: filelock
distribution: filelock
workloads: [lenet]
versions:
{versions}
"""
BACKEND = """\
kernels:
  onednn:
    "*":
      - {id: no-onednn, implementations: [], reason: oneDNN does not run}
"""
VERSION = '  "{version}": {{provider: wheel, base: debian-13, upstream: {upstream}, requires: [filelock]}}'
MATRIX = """\
axes:
  frameworks:
    pytorch: VERSIONS
  targets: [n1]
  backends: [acl]
rules: []
"""


def make_small_run(root: Path, versions: Sequence[str], smoke: str) -> Tree:
    """Make the copy.

    Args:
        root: its folder.
        versions: the versions of the framework, all of which are that wheel.
        smoke: the program that takes the place of the smoke run.
    """
    tree = Tree(root)
    shutil.copytree(ROOT / "armwright", tree.root / "armwright", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tasks.py", tree.root)
    (ROOT / "build" / "cache").mkdir(parents=True, exist_ok=True)
    (tree.root / "build").mkdir()
    (tree.root / "build" / "cache").symlink_to(ROOT / "build" / "cache")  # nothing is downloaded twice
    whole = (ROOT / "recipes" / "locks" / "pytorch-2.10.0.txt").read_text()
    wheel = re.search(r"^filelock==(?P<version>\S+) \\\n(?:    .*\n)+", whole, re.MULTILINE)
    assert wheel, "the lock no longer has a small wheel"
    folder = tree.root / "recipes" / "frameworks"
    shutil.rmtree(folder)
    (folder / "pytorch").mkdir(parents=True)
    recipes = [VERSION.format(version=version, upstream=wheel["version"]) for version in versions]
    (folder / "pytorch" / "framework.yaml").write_text(FRAMEWORK.format(versions="\n".join(recipes)))
    (folder / "pytorch" / "acl.yaml").write_text(BACKEND)
    for version in versions:
        (tree.root / f"recipes/locks/pytorch-{version}.txt").write_text(wheel[0])
    tree.publish(MATRIX.replace("VERSIONS", json.dumps(list(versions))))
    (tree.root / "scripts/smoke/smoke.py").write_text(smoke)
    return tree
