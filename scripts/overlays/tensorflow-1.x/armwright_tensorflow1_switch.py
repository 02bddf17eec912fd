"""Switches the TensorFlow package beside this file from 2.x to 1.x when it is imported.

The package loads unchanged; then this module does what a program's author would do by hand: use `tensorflow.compat.v1`
and call `disable_v2_behavior()`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

PACKAGE = "tensorflow"
ORIGIN = f"{__file__.rpartition('/')[0]}/{PACKAGE}/__init__.py"
API = f"{PACKAGE}._api.v2.compat.v1."  # the real location of the modules of the 1.x API
# Not part of the API, but 1.x programs such as tf_slim import these names from there; 2.15 moved them.
MOVED = {
    "framework.ops": {"IndexedSlices": "IndexedSlices", "Tensor": "Tensor"},
    "ops.array_ops": {"stack": "stack", "unstack": "unstack"},
    "ops.control_flow_ops": {"Assert": "Assert", "case": "case", "cond": "cond", "while_loop": "while_loop"},
    "ops.variable_scope": {"variable": "Variable"},
}
REMOVED = {
    "contrib": (
        "TensorFlow 2.0 removed tf.contrib, and this is TensorFlow {version} with the 1.x API: install tf_slim for "
        "contrib.slim, contrib.layers and contrib.framework, use tf.nn.rnn_cell, tf.data, tf.lookup, tf.distribute or "
        "tf.layers for what moved there, or freeze the model where it was trained and run the frozen graph here"
    ),
    "examples": (
        "TensorFlow 2.0 removed tensorflow.examples, and this is TensorFlow {version} with the 1.x API: "
        "use tf.keras.datasets.mnist.load_data() for the digits of tensorflow.examples.tutorials.mnist"
    ),
}


class Loader(SourceFileLoader):
    """Loads the package unchanged and then switches it to 1.x, under the same import lock."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the package's code, then `switch`.

        A reload does nothing: the package's code would turn 2.x behaviour on again, which raises once a graph exists.
        """
        if "__getattr__" not in vars(module):
            super().exec_module(module)
            switch(module)


def find_spec(path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    """Return the package's spec with `Loader`; None if Python finds another package of that name first."""
    spec = PathFinder.find_spec(PACKAGE, path, target)
    if spec is None or spec.origin != ORIGIN:
        return None
    spec.loader = Loader(PACKAGE, ORIGIN)
    if target is not None:  # a reload
        spec.submodule_search_locations = list(target.__path__)
    return spec


def raise_if_removed(name: str) -> None:
    """Raise for a module that TensorFlow removed.

    Raises:
        ModuleNotFoundError: the message says what to do instead. The error has no `name`: with one,
            `from tensorflow import contrib` would replace the message.
    """
    part = name.split(".")[1]
    if part in REMOVED and isinstance(getattr(sys.modules[PACKAGE], "__loader__", None), Loader):
        raise ModuleNotFoundError(f"No module named {name!r}: {explain_removal(part)}")


def switch(package: ModuleType) -> None:
    """Turn 2.x behaviour off and replace the 2.x names with those of 1.x.

    `compat` and the names that only 2.x has stay unchanged.
    """
    v1 = import_module(f"{PACKAGE}.compat.v1")
    with import_module(f"{PACKAGE}.python.util.deprecation").silence():  # no deprecation warning for this call
        v1.disable_v2_behavior()
    names = [name for name in dir(v1) if not name.startswith("_") and name != "compat"]
    vars(package).update({name: getattr(v1, name) for name in names})
    vars(package)["__all__"] = sorted({*package.__all__, *names})
    vars(package)["__getattr__"] = raise_missing
    # `import tensorflow.nn` must return the module that `tf.nn` is: through the path, Python would load another module
    # and replace it. Lazily loaded modules (keras, estimator, layers) are found through the path of the 1.x API.
    for name in [module_name for module_name in sys.modules if module_name.startswith(API)]:
        part = name.removeprefix(API)
        module = resolve(v1, part)
        if module is not None and not part.startswith("compat"):
            sys.modules.setdefault(f"{PACKAGE}.{part}", module)
    package.__path__ = [*v1.__path__, *(folder for folder in package.__path__ if folder not in v1.__path__)]
    restore_moved_names(v1)


def restore_moved_names(v1: ModuleType) -> None:
    """Restore the names that 2.15 moved out of modules below `tensorflow.python`."""
    for path, names in MOVED.items():
        module = import_module(f"{PACKAGE}.python.{path}")
        vars(module).update({name: getattr(v1, new) for name, new in names.items() if not hasattr(module, name)})
    # 2.15.1 looks for these layers in the package tf_keras, which belongs to later versions
    layers = vars(import_module(f"{PACKAGE}.python.layers.normalization"))
    loader = import_module(f"{PACKAGE}.python.util.lazy_loader").LazyLoader
    layers["normalization"] = loader("normalization", layers, "keras.src.legacy_tf_layers.normalization")


def resolve(v1: ModuleType, path: str) -> ModuleType | None:
    """Return the module of a dotted name in the 1.x API; None if it is loaded lazily."""
    module = v1
    for name in path.split("."):
        module = getattr(module, name)
        if "LazyLoader" in type(module).__name__:
            return None
    return module


def raise_missing(name: str) -> object:
    """Raise an AttributeError, for a removed part with advice; this is the package's `__getattr__`."""
    if name in REMOVED:
        raise AttributeError(explain_removal(name))
    raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}", name=name, obj=sys.modules[PACKAGE])


def explain_removal(part: str) -> str:
    """Return one sentence that says what to use instead of a removed part."""
    return REMOVED[part].format(version=sys.modules[PACKAGE].__version__)
