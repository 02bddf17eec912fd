"""Writes the LeNet-5 in TensorFlow 1.x's two formats: a frozen GraphDef, and a SavedModel with its variables.

    pip install --require-hashes -r requirements/tensorflow1.lock
    python training/tensorflow1.py          # write the files; takes seconds
    python training/tensorflow1.py --check  # compare with the committed files instead, bit for bit

Files, in `scripts/smoke/`:

    frozengraph/frozen.pb  a GraphDef in which every variable is a constant
    savedmodel/model/      a SavedModel: tag `serve`, signature `serving_default`, `images` to `logits`

Both have the weights of `scripts/smoke/lenet/weights.npz`. `images` is (N, 32, 32, 1), NHWC: 1.x has no other order on
a CPU.

TensorFlow 1.x has no wheel for a current Python, so the 1.x API of 2.15.1 writes them, with the calls that 1.x programs
make. 1.x can read them: 1.15.5 defines every operation and every attribute in them (its wheel describes them in
tensorflow_core/python/ops/gen_*_ops.py).
"""

import argparse
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt
import tensorflow.compat.v1 as tf

SMOKE = Path(__file__).resolve().parents[1] / "scripts" / "smoke"
FROZEN, SAVED = "frozengraph/frozen.pb", "savedmodel/model"
Weights = Mapping[str, npt.NDArray[np.float32]]


def network(images: tf.Tensor) -> tf.Tensor:
    """Build LeNet-5 with variables: two convolutions, three dense layers."""
    x = images
    for name, maps in (("conv1", 6), ("conv2", 16)):
        x = tf.layers.conv2d(x, maps, 5, activation=tf.nn.relu, name=name)
        x = tf.layers.max_pooling2d(x, 2, 2, name=f"{name}/pool")
    x = tf.reshape(x, [-1, 5 * 5 * 16], name="flat")
    x = tf.layers.dense(x, 120, activation=tf.nn.relu, name="fc1")
    x = tf.layers.dense(x, 84, activation=tf.nn.relu, name="fc2")
    return tf.identity(tf.layers.dense(x, 10, name="fc3"), name="logits")


def in_1x_order(weights: Weights) -> dict[str, npt.NDArray[np.float32]]:
    """Rename and transpose weights: kernels HWIO, dense weights (inputs, outputs), fc1 by (row, column, channel)."""
    arrays = {}
    for name, array in weights.items():
        layer, _, kind = name.partition(".")
        if kind == "bias":
            arrays[f"{layer}/bias"] = array
        elif layer.startswith("conv"):
            arrays[f"{layer}/kernel"] = array.transpose(2, 3, 1, 0)
        elif layer == "fc1":
            arrays[f"{layer}/kernel"] = array.reshape(120, 16, 5, 5).transpose(2, 3, 1, 0).reshape(400, 120)
        else:
            arrays[f"{layer}/kernel"] = array.T
    return arrays


def models() -> dict[str, bytes]:
    """Build the network, load the weights, and return the name and bytes of each file."""
    tf.disable_v2_behavior()
    with np.load(SMOKE / "lenet" / "weights.npz", allow_pickle=False) as archive:
        weights = in_1x_order(archive)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, 32, 32, 1], name="images")
        logits = network(images)
        for variable in tf.global_variables():
            variable.load(weights[variable.op.name], session)
        frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), [logits.op.name])
        for node in frozen.node:
            if node.op == "MaxPool":
                del node.attr["explicit_paddings"]  # 1.x does not know it and would refuse the file
        return {FROZEN: frozen.SerializeToString(deterministic=True), **save_model(session, images, logits)}


def save_model(session: tf.Session, images: tf.Tensor, logits: tf.Tensor) -> dict[str, bytes]:
    """Save the model of a session as 1.x does, and return the files of the SavedModel."""
    signature = tf.saved_model.predict_signature_def({"images": images}, {"logits": logits})
    # the graph that restores the variables contains a random folder name
    drawn = mock.patch("uuid.uuid4", return_value=uuid.UUID(int=0))
    with tempfile.TemporaryDirectory() as parent, drawn:
        folder = Path(parent, "model")
        builder = tf.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.tag_constants.SERVING],
            {tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature},
            strip_default_attrs=True,
        )
        builder.save()
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {f"{SAVED}/{path.relative_to(folder)}": path.read_bytes() for path in files}


def main() -> int:
    """Write the files, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the LeNet-5 as a frozen graph and a SavedModel of 1.x.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files instead")
    check = parser.parse_args().check
    same = True
    for name, content in models().items():
        path = SMOKE / name
        if check:
            equal = path.is_file() and path.read_bytes() == content
            print(f"{name}: {'reproduced bit for bit' if equal else 'differs from the committed file'}")
            same = same and equal
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            print(f"{name}: {len(content)} bytes")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
