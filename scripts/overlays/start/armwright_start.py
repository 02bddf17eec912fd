"""Makes every Python of the image start as under the entrypoint: below the floor it ends, and variables are chosen.

Python reads `armwright.pth` beside this file at every start, with -I, -E and -s too; only -S leaves it out. It loads
this module unless the marker in the environment says that the entrypoint, or a Python above this one, has done it.
"""

from __future__ import annotations

import sys

HOME = "/opt/armwright"  # the entrypoint's modules, which this module shares
BYTE_CODE = "/usr/local/lib/armwright"  # their byte-code; without it Python compiles them, which takes longer


def prepare_process(home: str = HOME, byte_code: str = BYTE_CODE) -> None:
    """Prepare this process, and leave no module of ours where a user's `image` or `start` would find it."""
    before, prefix, no_writing = set(sys.modules), getattr(sys, "pycache_prefix", None), sys.dont_write_bytecode
    sys.path.insert(0, home)
    sys.pycache_prefix, sys.dont_write_bytecode = byte_code, True
    try:
        __import__("start").start_python()
    finally:
        sys.pycache_prefix, sys.dont_write_bytecode = prefix, no_writing
        sys.path.remove(home)
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(f"{home}/"):
                del sys.modules[name]
