"""Provides a temporary folder in a read-only container with nothing mounted on /tmp.

`import tensorflow` imports absl.testing, which looks for the temporary folder at once, and fails if there is none.
`armwright_temporary.pth` runs `settle` whenever Python starts, also without the image's entrypoint.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

STANDARD = ("/tmp", "/var/tmp", "/usr/tmp", os.curdir)  # noqa: S108 - the folders Python's tempfile tries, in its order
MEMORY = "/dev/shm"  # noqa: S108 - container engines mount it even in read-only containers; it is small


def settle(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set TMPDIR to shared memory if the user set no folder and no standard folder is writable."""
    if environ.keys() & {"TMPDIR", "TEMP", "TMP"} or any(map(_writable, STANDARD)):
        return
    if _writable(MEMORY):
        environ["TMPDIR"] = MEMORY


def _writable(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
