"""The 1.x API on TensorFlow 2: the overlay's finder, with a package that is laid out like TensorFlow."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Source, make_plan
from tests.support import ROOT, parse_stages

Run = Callable[[str], str]
# The shape of 2.15.1, as far as the overlay has to do with it: which package holds what, and what is loaded lazily.
FILES = {
    "tensorflow/__init__.py": """
        import os, sys
        from tensorflow.python import state
        from tensorflow._api.v2 import compat, nn
        from tensorflow._api.v2.autodiff import autodiff
        __version__ = "2.15.1"
        __path__.append(os.path.dirname(os.path.dirname(nn.__file__)))
        import tensorflow.compat.v1
        state.enable()
        __all__ = ["compat", "nn", "autodiff"]
    """,
    "tensorflow/python/__init__.py": "",
    "tensorflow/python/state.py": """
        v2, graph, said = False, None, []
        def enable():
            global v2
            if graph:
                raise ValueError("must be called at program startup")
            v2 = True
        def disable():
            global v2
            v2 = False
            said.append("deprecated")
    """,
    "tensorflow/python/util/__init__.py": "",
    "tensorflow/python/util/deprecation.py": """
        import contextlib
        from tensorflow.python import state
        @contextlib.contextmanager
        def silence():
            yield
            state.said.clear()
    """,
    "tensorflow/python/util/lazy_loader.py": """
        import importlib, types
        class LazyLoader(types.ModuleType):
            def __init__(self, local_name, parent, name):
                super().__init__(name)
            def __getattr__(self, item):
                return getattr(importlib.import_module(self.__name__), item)
    """,
    "tensorflow/python/framework/__init__.py": "",
    "tensorflow/python/framework/ops.py": "IndexedSlices = 'as it is'",
    "tensorflow/python/ops/__init__.py": "",
    "tensorflow/python/ops/array_ops.py": "",
    "tensorflow/python/ops/control_flow_ops.py": "",
    "tensorflow/python/ops/variable_scope.py": "",
    "tensorflow/python/layers/__init__.py": "",
    "tensorflow/python/layers/normalization.py": """
        from tensorflow.python.util.lazy_loader import LazyLoader
        normalization = LazyLoader("normalization", globals(), "tf_keras.legacy_tf_layers.normalization")
        def __getattr__(name):
            return getattr(normalization, name)
    """,
    "keras/__init__.py": "",
    "keras/src/__init__.py": "",
    "keras/src/legacy_tf_layers/__init__.py": "",
    "keras/src/legacy_tf_layers/normalization.py": "BatchNormalization = 'batch normalization'",
    "keras/api/_v1/layers/__init__.py": "dense = 'dense'",
    "tensorflow/_api/__init__.py": "",
    "tensorflow/_api/v2/__init__.py": "",
    "tensorflow/_api/v2/autodiff/__init__.py": "autodiff = 'only in 2.x'",
    "tensorflow/_api/v2/nn/__init__.py": "max_pool = 'of 2.x'",
    "tensorflow/_api/v2/compat/__init__.py": "from tensorflow._api.v2.compat import v1, v2",
    "tensorflow/_api/v2/compat/v2/__init__.py": "from tensorflow._api.v2 import nn",
    "tensorflow/_api/v2/compat/v1/__init__.py": """
        import os
        from tensorflow._api.v2.compat.v1 import compat, layers, nn
        from tensorflow.python.state import disable as disable_v2_behavior
        from tensorflow.python.util.lazy_loader import LazyLoader
        placeholder, Session, Tensor, IndexedSlices, Variable = "placeholder", "Session", "Tensor", "new", "Variable"
        stack, unstack, Assert, case, cond, while_loop = "stack", "unstack", "Assert", "case", "cond", "while_loop"
        layers = LazyLoader("layers", globals(), "tensorflow.layers")
        _root = os.path.abspath(__file__).split("/tensorflow/_api/")[0]
        __path__ = [_root + "/keras/api/_v1", *__path__]
        _private = 1
    """,
    "tensorflow/_api/v2/compat/v1/compat/__init__.py": "from tensorflow._api.v2.compat.v1.compat import v1",
    "tensorflow/_api/v2/compat/v1/compat/v1/__init__.py": "from tensorflow._api.v2.compat.v1.compat.v1 import compat",
    "tensorflow/_api/v2/compat/v1/compat/v1/compat/__init__.py": "",
    "tensorflow/_api/v2/compat/v1/layers/__init__.py": "",
    "tensorflow/_api/v2/compat/v1/nn/__init__.py": "max_pool = 'of 1.x'",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site directory with the package and the overlay."""
    folder = tmp_path_factory.mktemp("site") / "site"
    shutil.copytree(ROOT / "scripts/overlays/tensorflow-1.x", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


@pytest.fixture
def run(site: Path) -> Run:
    """Run a program in an isolated Python with that site directory, and return what it prints."""

    def run(program: str) -> str:
        head = f"import site\nsite.addsitedir({str(site)!r})\n"
        command = [sys.executable, "-I", "-B", "-W", "error", "-c", head + textwrap.dedent(program)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.strip()

    return run


@pytest.mark.parametrize(
    "code",
    [
        "import tensorflow as tf",
        "import tensorflow.python.framework.ops, tensorflow as tf",
        "from tensorflow.python.framework import ops; import tensorflow as tf",
        "import tensorflow.compat.v1; import tensorflow as tf",
        "import importlib; tf = importlib.import_module('tensorflow')",
        "from tensorflow import *; import tensorflow as tf; assert Session and placeholder and autodiff",
    ],
)
def test_every_import_gives_1x_names_and_2x_behaviour_off(run: Run, code: str) -> None:
    program = f"""
        {code}
        from tensorflow.python import state
        print(tf.placeholder, tf.Session, tf.nn.max_pool, state.v2, state.said, tf.__version__)
    """
    assert run(program) == "placeholder Session of 1.x False [] 2.15.1"


def test_a_module_below_it_is_the_one_that_the_attribute_is(run: Run) -> None:
    program = """
        import tensorflow as tf
        before = tf.nn
        import tensorflow.nn, sys
        from tensorflow.nn import max_pool
        print(tf.nn is before is sys.modules["tensorflow.nn"] is tf.compat.v1.nn, max_pool)
    """
    assert run(program) == "True of 1.x"


def test_what_1x_loads_lazily_is_found_through_the_path_of_1x(run: Run) -> None:
    program = """
        import sys
        import tensorflow as tf
        print("tensorflow.layers" in sys.modules, tf.layers.dense)
        import tensorflow.layers as layers
        print(layers.dense, layers.__file__)
    """
    first, second = run(program).splitlines()
    assert first == "False dense"
    assert second.startswith("dense ")
    assert second.endswith("/keras/api/_v1/layers/__init__.py")


def test_compat_and_what_only_2x_has_stay(run: Run) -> None:
    program = """
        import tensorflow as tf
        import tensorflow.compat.v2 as tf2
        import tensorflow.compat.v1 as tf1
        import sys
        import tensorflow.autodiff
        import tensorflow.compat.v1.compat
        print(tf.compat.v2.nn.max_pool, tf2 is tf.compat.v2, tf1 is tf.compat.v1, tf1.Session is tf.Session)
        print(sys.modules["tensorflow.compat.v1.compat"].__name__, "_private" in vars(tf), tf.autodiff.autodiff)
    """
    assert run(program).splitlines() == ["of 2.x True True True", "tensorflow.compat.v1.compat False only in 2.x"]


GONE = [
    ("tf.contrib.layers", "AttributeError ", "contrib"),
    ("import tensorflow.contrib", "ModuleNotFoundError No module named 'tensorflow.contrib': ", "contrib"),
    ("import tensorflow.contrib.slim as slim", "ModuleNotFoundError No module named 'tensorflow.contrib': ", "contrib"),
    ("from tensorflow import contrib", "ModuleNotFoundError No module named 'tensorflow.contrib': ", "contrib"),
    ("from tensorflow.contrib import rnn", "ModuleNotFoundError No module named 'tensorflow.contrib': ", "contrib"),
    ("import tensorflow.examples.tutorials", "ModuleNotFoundError No module named 'tensorflow.examples': ", "examples"),
]
ADVICE = {
    "contrib": ("TensorFlow 2.0 removed tf.contrib", "TensorFlow 2.15.1 with the 1.x API", "tf_slim", "frozen graph"),
    "examples": ("TensorFlow 2.0 removed tensorflow.examples", "tf.keras.datasets.mnist.load_data()"),
}


@pytest.mark.parametrize(("code", "head", "part"), GONE, ids=[row[0] for row in GONE])
def test_removed_parts_say_what_to_use_instead(run: Run, code: str, head: str, part: str) -> None:
    program = f"""
        import tensorflow as tf
        try:
            {code}
        except (AttributeError, ImportError) as error:
            print(type(error).__name__, error)
    """
    message = run(program)
    assert message.startswith(f"{head}{ADVICE[part][0]}")
    for advice in ADVICE[part]:
        assert advice in message
    assert "\n" not in message


def test_hasattr_reports_that_contrib_is_missing(run: Run) -> None:
    program = """
        import tensorflow as tf
        print(hasattr(tf, "contrib"), getattr(tf, "contrib", None), "contrib" in dir(tf), "contrib" in tf.__all__)
    """
    assert run(program) == "False None False False"


def test_other_missing_names_raise_python_s_own_message(run: Run) -> None:
    program = """
        import tensorflow as tf
        for words in ("tf.nonsense", "import tensorflow.nonsense", "from tensorflow import nonsense"):
            try:
                exec(words)
            except (AttributeError, ImportError) as error:
                print(str(error).partition(" (")[0], getattr(error, "name", ""))
    """
    assert run(program).splitlines() == [
        "module 'tensorflow' has no attribute 'nonsense' nonsense",
        "No module named 'tensorflow.nonsense' tensorflow.nonsense",
        "cannot import name 'nonsense' from 'tensorflow' tensorflow",
    ]


def test_moved_names_are_restored_and_others_are_unchanged(run: Run) -> None:
    program = """
        import tensorflow
        from tensorflow.python.framework import ops
        from tensorflow.python.layers import normalization
        from tensorflow.python.ops import array_ops, control_flow_ops, variable_scope
        print(ops.Tensor, ops.IndexedSlices, array_ops.stack, control_flow_ops.cond, variable_scope.variable)
        print(normalization.BatchNormalization)
    """
    assert run(program).splitlines() == ["Tensor as it is stack cond Variable", "batch normalization"]


def test_reload_changes_nothing_even_with_a_graph(run: Run) -> None:
    program = """
        import importlib
        import tensorflow as tf
        from tensorflow.python import state
        state.graph, path, session = "a graph", list(tf.__path__), tf.Session
        assert importlib.reload(tf) is tf
        import tensorflow.autodiff
        print(state.v2, tf.Session is session, tf.__path__ == path, hasattr(tf, "contrib"))
    """
    assert run(program) == "False True True False"


def test_an_import_that_failed_can_be_tried_again(run: Run) -> None:
    program = """
        import sys
        class Broken:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name == "tensorflow.python.state":
                    raise ImportError("a missing library")
        sys.meta_path.insert(0, Broken)
        try:
            import tensorflow
        except ImportError as error:
            print(error, "tensorflow" in sys.modules)
        sys.meta_path.remove(Broken)
        import tensorflow as tf
        print(tf.Session)
    """
    assert run(program).splitlines() == ["a missing library False", "Session"]


def test_threads_that_import_it_at_once_all_get_the_1x_names(run: Run) -> None:
    program = """
        import threading
        found = []
        def work():
            import tensorflow as tf
            found.append((tf.Session, tf.nn.max_pool))
        threads = [threading.Thread(target=work) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(len(found), set(found))
    """
    assert run(program) == "8 {('Session', 'of 1.x')}"


def test_a_program_without_tensorflow_pays_for_one_small_module(run: Run) -> None:
    program = """
        import sys
        import json
        print(sorted(name for name in sys.modules if "tensorflow" in name), "typing" in sys.modules)
    """
    assert run(program) == "['armwright_tensorflow1'] False"


def test_reading_the_site_directory_twice_puts_one_finder_there(run: Run, site: Path) -> None:
    program = f"""
        import sys
        site.addsitedir({str(site)!r})
        import armwright_tensorflow1
        armwright_tensorflow1.install()
        print(sum(type(finder).__name__ == "Finder" for finder in sys.meta_path))
    """
    assert run(program) == "1"


def test_other_package_of_that_name_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow/__init__.py").write_text("contrib = 'of another'\n")
    program = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import tensorflow as tf
        print(tf.contrib, hasattr(tf, "Session"))
        try:
            import tensorflow.contrib
        except ImportError as error:
            print(error)
    """
    assert run(program).splitlines() == ["of another False", "No module named 'tensorflow.contrib'"]


def test_a_stand_in_that_a_test_installs_is_kept(run: Run) -> None:
    program = """
        import sys, types
        sys.modules["tensorflow"] = types.ModuleType("tensorflow")
        sys.modules["tensorflow"].__path__ = []
        try:
            import tensorflow.contrib
        except ImportError as error:
            print(error)
    """
    assert run(program) == "No module named 'tensorflow.contrib'"


@pytest.mark.parametrize("source", ["archive", "registry"])
def test_1x_image_shares_base_and_wheels_with_2_15_1(matrix: Matrix, source: Source) -> None:
    shared = set()
    for combo in ("tensorflow-1.x-compat-n1-acl", "tensorflow-1.x-compat-v1-eigen", "tensorflow-2.15.1-n1-acl"):
        plan = make_plan(matrix, matrix.by_id[combo], source)
        parts = parse_stages(plan.files["Dockerfile"])
        before = parts[: [stage.name for stage in parts].index("own")]
        shared.add((repr(before), plan.files["requirements.txt"], plan.lock.created))
    assert len(shared) == 1


def test_1x_image_has_the_overlay_and_both_modules(matrix: Matrix) -> None:
    files = make_plan(matrix, matrix.by_id["tensorflow-1.x-compat-n1-acl"]).files
    site = "image/usr/local/lib/python3.11/dist-packages"
    for name in ("armwright_tensorflow1.pth", "armwright_tensorflow1.py", "armwright_tensorflow1_switch.py"):
        assert files[f"{site}/{name}"] == (ROOT / "scripts/overlays/tensorflow-1.x" / name).read_bytes()
    assert {f"image/opt/armwright/smoke/frameworks/{name}.py" for name in ("tensorflow", "tensorflow1")} <= set(files)
    plain = make_plan(matrix, matrix.by_id["tensorflow-2.15.1-n1-acl"]).files
    assert not any("tensorflow1" in name or "1.x" in name for name in plain)
