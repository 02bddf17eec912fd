"""LeNet-5 out of a frozen GraphDef, as a TensorFlow 1.x program runs one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

FILE = Path(__file__).with_name("frozen.pb")


def forward(_: Mapping[str, npt.NDArray[np.float32]], images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Classify the whole batch at once; the weights are those in the file.

    Args:
        images: (N, 1, 32, 32), from `prepare`.

    Returns:
        The logits, (N, 10).
    """
    graph_def = tf.GraphDef()
    with tf.gfile.GFile(str(FILE), "rb") as file:
        graph_def.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf.Session(graph=graph) as session:
            logits: npt.NDArray[np.float32] = session.run("logits:0", {"images:0": images.transpose(0, 2, 3, 1)})
    return logits
