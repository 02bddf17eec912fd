"""LeNet-5 from a SavedModel of 1.x, loaded by tag and run by signature, as a TensorFlow 1.x program does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.float32]

FOLDER = Path(__file__).with_name("model")


def forward(_: Mapping[str, Array], inputs: Mapping[str, Array], __: str) -> dict[str, Array]:
    """Classify the whole batch at once; the weights are the saved variables.

    Args:
        inputs: `images` (N, 1, 32, 32), from `prepare`.

    Returns:
        `logits` (N, 10).
    """
    with tf.Session(graph=tf.Graph()) as session:
        model = tf.saved_model.loader.load(session, [tf.saved_model.tag_constants.SERVING], str(FOLDER))
        signature = model.signature_def[tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY]
        feed = {signature.inputs["images"].name: inputs["images"].transpose(0, 2, 3, 1)}
        return {"logits": session.run(signature.outputs["logits"].name, feed)}
