"""What the distributions in an image require is there, and what the frameworks offer can be imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from subprocess import CompletedProcess
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OPENBLAS, EIGEN = "pytorch-2.10.0-n1-openblas", "tensorflow-2.21.0-n1-eigen"
GENERIC, COMPAT = "pytorch-2.9.1-generic-acl", "tensorflow-1.x-compat-n1-acl"
Images = Mapping[str, Any]
Contained = Callable[..., CompletedProcess[str]]
DISTRIBUTIONS = """
import importlib.metadata, json, os, platform, sys
every = importlib.metadata.distributions()
print(json.dumps({
    "distributions": [[one.metadata["Name"], one.version, one.requires or []] for one in every],
    "environment": {"python_version": "%d.%d" % sys.version_info[:2], "python_full_version": platform.python_version(),
        "sys_platform": sys.platform, "platform_machine": platform.machine(), "platform_system": platform.system(),
        "os_name": os.name, "implementation_name": sys.implementation.name, "extra": "",
        "platform_python_implementation": platform.python_implementation()},
}))
"""
# Every module without a leading underscore in its name or in that of a package above it. tensorflow.python is not part
# of TensorFlow's API, which its attributes are.
IMPORT = """
import contextlib, importlib, importlib.util, io, json, os, sys, warnings
warnings.simplefilter("ignore")
top, private = sys.argv[1], set(sys.argv[2:])
root, names, failed = os.path.dirname(importlib.util.find_spec(top).origin), [], {}
for folder, folders, files in os.walk(root):
    folders[:] = [name for name in folders if name[0] != "_" and os.path.exists(f"{folder}/{name}/__init__.py")
        and f"{folder}/{name}"[len(root) + 1:] not in private]
    package = top + folder[len(root):].replace("/", ".")
    names += [package, *(f"{package}.{name[:-3]}" for name in files if name.endswith(".py") and name[0] != "_")]
for name in sorted(names):
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            importlib.import_module(name)
    except BaseException as error:
        failed[name] = f"{type(error).__name__}: {error}"[:200]
module = sys.modules[top]
for name in dir(module):
    try:
        getattr(module, name)
    except Exception as error:
        failed[f"{top}.{name}"] = f"{type(error).__name__}: {error}"[:200]
print("ANSWER " + json.dumps({"number": len(names), "failed": failed}))
"""


@pytest.mark.parametrize("combo", [OPENBLAS, GENERIC, EIGEN, COMPAT])
def test_every_declared_requirement_is_in_the_image(proven: Images, contained: Contained, combo: str) -> None:
    done = contained(proven[combo], "python3", "-c", DISTRIBUTIONS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    installed = {canonicalize_name(name): version for name, version, _ in found["distributions"]}
    assert len(installed) > 8
    missing = []
    for name, _, requirements in found["distributions"]:
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate(found["environment"]):
                version = installed.get(canonicalize_name(requirement.name))
                if version is None or not requirement.specifier.contains(version, prereleases=True):
                    missing.append(f"{name} requires {requirement}, and the image has {version}")
    assert missing == []


@pytest.mark.parametrize(
    ("combo", "module", "private", "least"),
    [(OPENBLAS, "torch", (), 800), (GENERIC, "torch", (), 800), (EIGEN, "tensorflow", ("python",), 200)],
)
def test_every_public_module_imports_or_has_a_reason(  # noqa: PLR0913, PLR0917 - what differs between images
    proven: Images, contained: Contained, combo: str, module: str, private: tuple[str, ...], least: int
) -> None:
    done = contained(proven[combo], "python3", "-", module, *private, given=IMPORT)
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert (done.returncode, len(lines)) == (0, 1), done.stderr
    found = json.loads(lines[0].removeprefix("ANSWER "))
    assert found["number"] >= least
    listed = [glob for known in proven[combo].plan.combo.framework.unimportable for glob in known.modules]
    assert {
        name: why for name, why in found["failed"].items() if not any(fnmatchcase(name, glob) for glob in listed)
    } == {}
