"""LeNet-5 from a frozen GraphDef, run as a TensorFlow 1.x program does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.float32]

FILE = Path(__file__).with_name("frozen.pb")


def forward(_: Mapping[str, Array], inputs: Mapping[str, Array], __: str) -> dict[str, Array]:
    """Classify the whole batch at once; the file contains the weights.

    Args:
        inputs: `images` (N, 1, 32, 32), from `prepare`.

    Returns:
        `logits` (N, 10).
    """
    graph_def = tf.GraphDef()
    with tf.gfile.GFile(str(FILE), "rb") as file:
        graph_def.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf.Session(graph=graph) as session:
            return {"logits": session.run("logits:0", {"images:0": inputs["images"].transpose(0, 2, 3, 1)})}
