"""The 1.x API of TensorFlow, as the smoke run sees it: what `tensorflow` reads, and the graphs that sessions ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from frameworks.tensorflow import PROFILED, operators, versions

__all__ = ["PROFILED", "profiled", "versions"]

if tf.executing_eagerly() or tf.compat.v1.resource_variables_enabled() or tf.compat.v1.control_flow_v2_enabled():
    raise RuntimeError("2.x behaviour is on: this image promises the 1.x API with 2.x behaviour off")


def profiled(call: Callable[[], Any]) -> tuple[Any, dict[str, dict[str, int]]]:
    """Run something, and count the operators of the graphs that sessions ran, as the framework's optimizer left them.

    Returns:
        what it returned, and the operators that name an implementation: operation to operator to number.
    """
    plain = tf.Session.run
    graphs: list[Any] = []

    def run(session: tf.Session, fetches: object, feed_dict: object = None) -> object:
        ran = tf.RunMetadata()
        answer = plain(session, fetches, feed_dict, tf.RunOptions(output_partition_graphs=True), ran)
        graphs.extend(ran.partition_graphs)
        return answer

    tf.Session.run = run
    try:
        result = call()
    finally:
        tf.Session.run = plain
    return result, operators(graphs)
