"""A folder for temporary files, in a container that has none: read-only, and nothing mounted on /tmp.

`import tensorflow` wants one (it imports absl.testing, which asks for its place at once) and ends with an error where
Python finds none. `armwright_temporary.pth` has this run whenever Python starts, also past the image's entrypoint.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

USUAL = ("/tmp", "/var/tmp", "/usr/tmp", os.curdir)  # noqa: S108 - where Python's tempfile looks, in its order
MEMORY = "/dev/shm"  # noqa: S108 - container engines mount it, also in a read-only container; it is small


def settle(environ: MutableMapping[str, str] = os.environ) -> None:
    """Name the shared memory as the last resort; what the user has set and what can be written to comes before it."""
    if environ.keys() & {"TMPDIR", "TEMP", "TMP"} or any(map(_writable, USUAL)):
        return
    if _writable(MEMORY):
        environ["TMPDIR"] = MEMORY


def _writable(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
