"""What turns the package that lies beside this file from 2.x into 1.x, when it is imported.

The package loads as it is; then follows what a program's author would do by hand: `tensorflow.compat.v1` and
`disable_v2_behavior()`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

PACKAGE = "tensorflow"
ORIGIN = f"{__file__.rpartition('/')[0]}/{PACKAGE}/__init__.py"
API = f"{PACKAGE}._api.v2.compat.v1."  # where the modules of the 1.x API are really kept
# No part of the API, but 1.x programs take these names there, tf_slim among them; 2.15 has them elsewhere.
MOVED = {
    "framework.ops": {"IndexedSlices": "IndexedSlices", "Tensor": "Tensor"},
    "ops.array_ops": {"stack": "stack", "unstack": "unstack"},
    "ops.control_flow_ops": {"Assert": "Assert", "case": "case", "cond": "cond", "while_loop": "while_loop"},
    "ops.variable_scope": {"variable": "Variable"},
}
GONE = {
    "contrib": (
        "tf.contrib left TensorFlow with 2.0, and this is TensorFlow {version} with the 1.x API: install tf_slim for "
        "contrib.slim, contrib.layers and contrib.framework, take tf.nn.rnn_cell, tf.data, tf.lookup, tf.distribute or "
        "tf.layers for what is there now, or freeze the model where it was trained and run the frozen graph here"
    ),
    "examples": (
        "tensorflow.examples left TensorFlow with 2.0, and this is TensorFlow {version} with the 1.x API: "
        "take tf.keras.datasets.mnist.load_data() for the digits of tensorflow.examples.tutorials.mnist"
    ),
}


class Loader(SourceFileLoader):
    """Loads the package as it is and then makes it 1.x, under the same import's lock."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the package's own code, then `switch`.

        A reload leaves everything as it is: the package's code would turn 2.x behaviour on again, and it raises once
        there is a graph.
        """
        if "__getattr__" not in vars(module):
            super().exec_module(module)
            switch(module)


def spec(path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    """Return the package's spec with our loader; None where Python finds another package of that name first."""
    found = PathFinder.find_spec(PACKAGE, path, target)
    if found is None or found.origin != ORIGIN:
        return None
    found.loader = Loader(PACKAGE, ORIGIN)
    if target is not None:  # a reload
        found.submodule_search_locations = list(target.__path__)
    return found


def refuse(name: str) -> None:
    """Do nothing about a module that may be there.

    Raises:
        ModuleNotFoundError: it left TensorFlow; the text says what to do. It has no `name`: with one,
            `from tensorflow import contrib` would put a text of its own in the place of this one.
    """
    part = name.split(".")[1]
    if part in GONE and isinstance(getattr(sys.modules[PACKAGE], "__loader__", None), Loader):
        raise ModuleNotFoundError(f"No module named {name!r}: {sentence(part)}")


def switch(package: ModuleType) -> None:
    """Turn 2.x behaviour off and put the 1.x names over those of 2.x.

    `compat` stays: compat.v1 and compat.v2 are as upstream has them. So does what only 2.x has.
    """
    v1 = import_module(f"{PACKAGE}.compat.v1")
    with import_module(f"{PACKAGE}.python.util.deprecation").silence():  # a warning about our own call helps nobody
        v1.disable_v2_behavior()
    names = [name for name in dir(v1) if not name.startswith("_") and name != "compat"]
    vars(package).update({name: getattr(v1, name) for name in names})
    vars(package)["__all__"] = sorted({*package.__all__, *names})
    vars(package)["__getattr__"] = missing
    # `import tensorflow.nn` must be the module that `tf.nn` is: through the path, Python would load another one and put
    # it in that one's place. What is loaded lazily (keras, estimator, layers) is found through the path of the 1.x API.
    for name in [one for one in sys.modules if one.startswith(API)]:
        part = name.removeprefix(API)
        module = resolved(v1, part)
        if module is not None and not part.startswith("compat"):
            sys.modules.setdefault(f"{PACKAGE}.{part}", module)
    package.__path__ = [*v1.__path__, *(one for one in package.__path__ if one not in v1.__path__)]
    mend(v1)


def mend(v1: ModuleType) -> None:
    """Put back what 2.15 moved out of modules below `tensorflow.python`, where it is missing."""
    for place, names in MOVED.items():
        module = import_module(f"{PACKAGE}.python.{place}")
        vars(module).update({name: getattr(v1, new) for name, new in names.items() if not hasattr(module, name)})
    # 2.15.1 looks for these layers in the package tf_keras, which belongs to later versions
    layers = vars(import_module(f"{PACKAGE}.python.layers.normalization"))
    loader = import_module(f"{PACKAGE}.python.util.lazy_loader").LazyLoader
    layers["normalization"] = loader("normalization", layers, "keras.src.legacy_tf_layers.normalization")


def resolved(v1: ModuleType, path: str) -> ModuleType | None:
    """Return the module that a dotted name means in the 1.x API; None for one that is loaded lazily."""
    module = v1
    for name in path.split("."):
        module = getattr(module, name)
        if "LazyLoader" in type(module).__name__:
            return None
    return module


def missing(name: str) -> object:
    """Say that the package has no such name, and where to go for what is gone: the package's `__getattr__`."""
    if name in GONE:
        raise AttributeError(sentence(name))
    raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}", name=name, obj=sys.modules[PACKAGE])


def sentence(part: str) -> str:
    """Say in one sentence what to do about a part that is gone."""
    return GONE[part].format(version=sys.modules[PACKAGE].__version__)
