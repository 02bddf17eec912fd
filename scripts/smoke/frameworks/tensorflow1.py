"""TensorFlow's 1.x API for the smoke run: its versions, and the operators of the graphs that sessions ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from frameworks.tensorflow import PROFILED, count_operators, versions

__all__ = ["PROFILED", "profiled", "versions"]

if tf.executing_eagerly() or tf.compat.v1.resource_variables_enabled() or tf.compat.v1.control_flow_v2_enabled():
    raise RuntimeError("2.x behaviour is on, but this image promises the 1.x API with 2.x behaviour off")


def profiled(call: Callable[[], Any]) -> tuple[Any, dict[str, dict[str, int]]]:
    """Run a call, and count the operators of the graphs that sessions ran, after the framework's optimizer.

    Returns:
        the call's result, and the operators that identify an implementation: operation to operator to count.
    """
    original = tf.Session.run
    graphs: list[Any] = []

    def run(session: tf.Session, fetches: object, feed_dict: object = None) -> object:
        metadata = tf.RunMetadata()
        answer = original(session, fetches, feed_dict, tf.RunOptions(output_partition_graphs=True), metadata)
        graphs.extend(metadata.partition_graphs)
        return answer

    tf.Session.run = run
    try:
        result = call()
    finally:
        tf.Session.run = original
    return result, count_operators(graphs)
