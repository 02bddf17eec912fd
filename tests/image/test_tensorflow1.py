"""The image with the 1.x API: programs that do not know Armwright, models of 1.x, and what its proof detects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from subprocess import CompletedProcess
from typing import Any

import pytest

COMPAT = "tensorflow-1.x-compat-n1-acl"
SITE = "/usr/local/lib/python3.11/dist-packages"
Images = Mapping[str, Any]
Contained = Callable[..., CompletedProcess[str]]
Docker = Callable[..., CompletedProcess[str]]
PROGRAM = """
import json, logging, os
import numpy as np
import tensorflow as tf
handlers = list(logging.getLogger().handlers)
from tensorflow.python.framework import ops

flags = tf.app.flags
flags.DEFINE_string("model_dir", "/tmp/model", "where the model goes")
FLAGS = flags.FLAGS

def refused(words):
    try:
        exec(words, {"tf": tf})
    except (AttributeError, ImportError) as error:
        return f"{type(error).__name__}: {error}"

def main(_):
    tf.logging.set_verbosity(tf.logging.ERROR)
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    with tf.variable_scope("net", reuse=tf.AUTO_REUSE):
        y = tf.layers.dense(x, 2, kernel_initializer=tf.ones_initializer(), name="dense")
    loss = tf.losses.mean_squared_error(tf.zeros([3, 2]), y)
    step = tf.train.get_or_create_global_step()
    train = tf.train.GradientDescentOptimizer(0.01).minimize(loss, global_step=step)
    saver = tf.train.Saver()
    feed = {x: np.ones((3, 4))}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        first = session.run(y, feed).tolist()
        before, _ = session.run([loss, train], feed)
        after = session.run(loss, feed)
        path = saver.save(session, os.path.join(FLAGS.model_dir, "model"), global_step=step)
    with tf.Session() as session:
        saver.restore(session, tf.train.latest_checkpoint(FLAGS.model_dir))
        restored = session.run(loss, feed)
    print("ANSWER " + json.dumps({
        "version": tf.__version__, "eager": tf.executing_eagerly(), "graph": isinstance(y, ops.Tensor),
        "first": first, "learned": bool(after < before), "restored": bool(restored == after), "path": path,
        "contrib": refused("tf.contrib.layers"), "slim": refused("import tensorflow.contrib.slim as slim"),
        "has": hasattr(tf, "contrib"), "handlers": len(handlers),
    }))

if __name__ == "__main__":
    tf.app.run()
"""


@pytest.fixture(scope="module")
def answer(proven: Images, contained: Contained) -> Mapping[str, Any]:
    """What a program of 1.x prints; it may write to /tmp and nowhere else."""
    done = contained(proven[COMPAT], "python3", "-c", PROGRAM, options=["--tmpfs", "/tmp"])
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    return {**json.loads(line.removeprefix("ANSWER ")), "stderr": done.stderr}


def test_a_1x_program_builds_a_graph_trains_saves_and_restores(answer: Mapping[str, Any]) -> None:
    assert answer["first"] == [[4.0, 4.0]] * 3
    assert (answer["eager"], answer["graph"], answer["learned"], answer["restored"]) == (False, True, True, True)
    assert answer["path"] == "/tmp/model/model-1"


def test_importing_it_warns_of_nothing_and_sets_no_log_handler(answer: Mapping[str, Any]) -> None:
    assert answer["handlers"] == 0  # a warning through the root logger would have put one there
    assert "WARNING" not in answer["stderr"]


def test_it_says_which_version_it_is(answer: Mapping[str, Any], proven: Images, contained: Contained) -> None:
    assert answer["version"] == "2.15.1"
    assert "TensorFlow 2.15.1 with the 1.x API for Arm Neoverse N1" in contained(proven[COMPAT]).stdout


def test_the_error_about_contrib_says_what_to_do(answer: Mapping[str, Any]) -> None:
    assert answer["contrib"].startswith(
        "AttributeError: TensorFlow 2.0 removed tf.contrib, and this is TensorFlow 2.15.1"
    )
    assert answer["slim"].startswith(
        "ModuleNotFoundError: No module named 'tensorflow.contrib': TensorFlow 2.0 removed tf.contrib"
    )
    for message in (answer["contrib"], answer["slim"]):
        assert "tf_slim" in message
        assert "\n" not in message
    assert answer["has"] is False


def test_an_isolated_python_is_prepared_and_loads_nothing_early(proven: Images, contained: Contained) -> None:
    look = "import sys; print(sorted(name for name in sys.modules if 'tensorflow' in name))"
    assert contained(proven[COMPAT], "python3", "-I", "-c", look).stdout == "['armwright_tensorflow1']\n"


@pytest.mark.parametrize("workload", ["lenet", "frozengraph", "savedmodel"])
def test_1x_programs_and_models_are_right_and_computed_by_acl(proven: Images, workload: str) -> None:
    report = proven[COMPAT].evidence.report
    (run,) = [run for run in report.runs if (run.workload, run.dtype) == (workload, "fp32")]
    assert (run.samples, run.metric.value >= 0.97, 0 < run.largest_error < 1e-4) == (360, True, True)
    ran = [kernel for kernel in run.kernels if kernel.source == "onednn"]
    for operation, calls in (("convolution", 2), ("inner_product", 3)):
        calls_by_kernel = [(kernel.implementation, kernel.calls) for kernel in ran if kernel.operation == operation]
        assert sum(number for _, number in calls_by_kernel) == calls
        assert {name.rpartition(":")[2] for name, _ in calls_by_kernel} == {"acl"}


def test_with_2x_behaviour_on_nothing_is_proven(proven: Images, derive: Callable[..., str], docker: Docker) -> None:
    name = derive(proven[COMPAT], {f"{SITE}/armwright_tensorflow1.pth": b""})
    options = ["run", "--rm", "--platform", "linux/arm64", "--network", "none", "--read-only"]
    done = docker(*options, "--env", "QEMU_CPU=neoverse-n1", name, "smoke", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["passed"] is False
    (failed,) = [check for check in report["checks"] if check["state"] == "fail"]
    assert failed["name"] == "import"
    assert "2.x behaviour is on" in failed["found"]
