"""The 1.x API on TensorFlow 2: `import tensorflow as tf` gives the 1.x names, with 2.x behaviour off.

No environment variable does this: the package overwrites TF2_BEHAVIOR. The .pth file beside this file, which Python
reads at every start (with -I too), installs a finder before all others. A program that does not import TensorFlow loads
only this module; the rest is in `armwright_tensorflow1_switch`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # avoids loading the module typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class Finder:
    """Finds the package and sets its loader; leaves every other module to the other finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the package's spec; None for every other module.

        Raises:
            ModuleNotFoundError: TensorFlow removed the module; the message says what to do instead.
        """
        if name == "tensorflow":
            import armwright_tensorflow1_switch as switch  # noqa: PLC0415 - loaded only if TensorFlow is imported

            return switch.find_spec(path, target)
        if name.startswith("tensorflow.") and "armwright_tensorflow1_switch" in sys.modules:
            sys.modules["armwright_tensorflow1_switch"].raise_if_removed(name)
        return None


def install() -> None:
    """Insert the finder before all others, once."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
