"""The 1.x API on TensorFlow 2: `import tensorflow as tf` gives the 1.x names, with 2.x behaviour off.

No environment variable does this: the package overwrites TF2_BEHAVIOR. So the .pth beside this file, which Python reads
at every start (with -I too), puts a finder in front of the others. It is all that a program pays that does not import
TensorFlow; the rest is in `armwright_tensorflow1_switch`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # the module typing is not loaded for this
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class Finder:
    """Finds the package for a loader of our own; everything else is left to the other finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the package's spec; None for every other module.

        Raises:
            ModuleNotFoundError: a part of the package that is gone; it says what to do.
        """
        if name == "tensorflow":
            import armwright_tensorflow1_switch as switch  # noqa: PLC0415 - only who imports TensorFlow pays for it

            return switch.spec(path, target)
        if name.startswith("tensorflow.") and "armwright_tensorflow1_switch" in sys.modules:
            sys.modules["armwright_tensorflow1_switch"].refuse(name)
        return None


def install() -> None:
    """Put the finder in front of the others, once."""
    if not any(isinstance(one, Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, Finder())
