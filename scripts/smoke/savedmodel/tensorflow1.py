"""LeNet-5 out of a SavedModel of 1.x, as a TensorFlow 1.x program runs one: by its tag and its signature."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

FOLDER = Path(__file__).with_name("model")


def forward(_: Mapping[str, npt.NDArray[np.float32]], images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Classify the whole batch at once; the weights are those of the saved variables.

    Args:
        images: (N, 1, 32, 32), from `prepare`.

    Returns:
        The logits, (N, 10).
    """
    with tf.Session(graph=tf.Graph()) as session:
        model = tf.saved_model.loader.load(session, [tf.saved_model.tag_constants.SERVING], str(FOLDER))
        signature = model.signature_def[tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY]
        feed = {signature.inputs["images"].name: images.transpose(0, 2, 3, 1)}
        logits: npt.NDArray[np.float32] = session.run(signature.outputs["logits"].name, feed)
    return logits
