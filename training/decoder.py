"""Trains the decoder-only transformer of the smoke workload to sort and to reverse words, and writes its files.

    pip install --require-hashes -r requirements/train.lock
    python -m training.decoder                  # train, write the three files
    python -m training.decoder --check          # compare with the committed files instead, bit for bit
    python -m training.decoder --expected-only  # only the expected answers, from the committed weights

Files, in `scripts/smoke/decoder/`:

    weights.npz   int8, in steps of 2**-7: token (29, 64), place (23, 64), head.weight (29, 64), and for each of two
                  layers attention.weight (192, 64), whose rows make queries, keys and values, project.weight (64, 64),
                  expand.weight (256, 64), shrink.weight (64, 256); float32, multiples of 2**-14: their .bias, and
                  norm1, norm2 of each layer and the last norm, .weight and .bias (64,)
    inputs.npz    prompts uint8 (8, 8), ASCII: eight English words, each with an equals sign
    expected.npz  tokens int64 (8, 16), the answers; logits float64 (8, 16, 29) of every step, multiples of 2**-20

What follows `machine=` is `acehimn;enihcam.`: the letters in order, and the word backwards. Each letter of it needs
the prompt, so a wrong place in the cache shows. The training draws seven different letters at random, of which there
are 26! / 19!, three thousand million combinations, so it hardly meets the eight words.

The network is that of "Attention Is All You Need" (Vaswani et al., 2017), its decoder alone, with the norms before
attention and ReLU, as GPT-2 has them, and learned places. ReLU and not GELU: in bfloat16 oneDNN computes GELU with a
reference kernel on Arm (seen in PyTorch 2.5.1 and 2.10.0 on an emulated Neoverse V1), which would hide others.

The weights are bytes from the start: the gradient is taken at the rounded weights and moves those behind them. So they
are exact in bfloat16 and in 8 bits, and what differs there comes from the arithmetic.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from training import descent, files, layers

Array = npt.NDArray[Any]
Weights = Mapping[str, npt.NDArray[Any]]

WORKLOAD = files.run_workload("decoder")
WORDS = ("machine", "compute", "predict", "network", "backend", "product", "complex", "trained")
LAYERS, WIDTH, HEADS, INNER = 2, 64, 4, 256
PROMPT, NEW = 8, 16
EPSILON = 1e-5
SEED, STEPS, BATCH, RATE = 2017, 1500, 32, 0.004


# The expected answers: the network as it is defined, without a cache, and nothing else.


def logits(weights: Weights, tokens: Array) -> Array:
    """Return the logits after every token, (N, T, 29), in float64."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    x = w["token"][tokens] + w["place"][: tokens.shape[1]]
    for layer in (f"layer{number}" for number in range(LAYERS)):
        normal = layers.layer_norm(x, w[f"{layer}.norm1.weight"], w[f"{layer}.norm1.bias"], EPSILON)
        mixed = attention(layers.dense(normal, w[f"{layer}.attention.weight"], w[f"{layer}.attention.bias"]))
        x = x + layers.dense(mixed, w[f"{layer}.project.weight"], w[f"{layer}.project.bias"])
        normal = layers.layer_norm(x, w[f"{layer}.norm2.weight"], w[f"{layer}.norm2.bias"], EPSILON)
        inner = layers.relu(layers.dense(normal, w[f"{layer}.expand.weight"], w[f"{layer}.expand.bias"]))
        x = x + layers.dense(inner, w[f"{layer}.shrink.weight"], w[f"{layer}.shrink.bias"])
    x = layers.layer_norm(x, w["norm.weight"], w["norm.bias"], EPSILON)
    return layers.dense(x, w["head.weight"], w["head.bias"])


def attention(read: Array) -> Array:
    """Attend to each token and those before it: queries, keys and values (N, T, 192) to (N, T, 64)."""
    count, length = read.shape[:2]
    queries, keys, values = read.reshape(count, length, 3, HEADS, -1).transpose(2, 0, 3, 1, 4)
    scores = layers.matmul(queries, keys.swapaxes(2, 3)) / np.sqrt(WIDTH // HEADS)
    later = np.arange(length) > np.arange(length)[:, np.newaxis]
    mixed = layers.matmul(layers.softmax(np.where(later, -np.inf, scores)), values)
    return mixed.transpose(0, 2, 1, 3).reshape(count, length, -1)


def expected(weights: Weights, tokens: Array) -> dict[str, Array]:
    """Append the best token sixteen times; each time the network reads the whole text."""
    steps = []
    for _ in range(NEW):
        steps.append(layers.on_grid(logits(weights, tokens)[:, -1], 20))
        tokens = np.hstack([tokens, steps[-1].argmax(axis=1)[:, np.newaxis]])
    return {"tokens": tokens[:, -NEW:], "logits": np.stack(steps, axis=1)}


# The training.


def in_steps(w: descent.Tensors) -> dict[str, Any]:
    """Round the weights that are stored in bytes; the gradient ignores the rounding."""
    stored = {name: jnp.clip(jnp.round(w[name] * 128), -127, 127) / 128 for name in w if is_stored_in_bytes(name)}
    return {name: w[name] + jax.lax.stop_gradient(stored[name] - w[name]) if name in stored else w[name] for name in w}


def is_stored_in_bytes(name: str) -> bool:
    """Return whether a weight is stored in bytes: all but biases and norms."""
    return not name.endswith(".bias") and "norm" not in name


def forward(w: descent.Tensors, tokens: Any) -> Any:  # noqa: ANN401 - JAX's arrays
    """Return the logits after every token, for the gradients."""

    def norm(x: Any, name: str) -> Any:  # noqa: ANN401 - JAX's arrays
        x = x - x.mean(axis=-1, keepdims=True)
        return (
            x * jax.lax.rsqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON) * w[f"{name}.weight"] + w[f"{name}.bias"]
        )

    def dense(x: Any, name: str) -> Any:  # noqa: ANN401 - JAX's arrays
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    count, length = tokens.shape
    earlier = jnp.tril(jnp.ones((length, length), dtype=bool))
    x = w["token"][tokens] + w["place"][:length]
    for layer in (f"layer{number}" for number in range(LAYERS)):
        read = dense(norm(x, f"{layer}.norm1"), f"{layer}.attention").reshape(count, length, 3, HEADS, WIDTH // HEADS)
        scores = jnp.einsum("nqhd,nkhd->nhqk", read[:, :, 0], read[:, :, 1]) / np.sqrt(WIDTH // HEADS)
        shares = jax.nn.softmax(jnp.where(earlier, scores, -jnp.inf), axis=-1)
        mixed = jnp.einsum("nhqk,nkhd->nqhd", shares, read[:, :, 2]).reshape(count, length, WIDTH)
        x = x + dense(mixed, f"{layer}.project")
        x = x + dense(jax.nn.relu(dense(norm(x, f"{layer}.norm2"), f"{layer}.expand")), f"{layer}.shrink")
    return dense(norm(x, "norm"), "head")


def loss(w: descent.Tensors, texts: Any) -> Any:  # noqa: ANN401 - JAX's arrays
    """Return the mean cross-entropy per character of the answer."""
    answers = jax.nn.log_softmax(forward(in_steps(w), texts[:, :-1])[:, PROMPT - 1 :])
    return -jnp.take_along_axis(answers, texts[:, PROMPT:, jnp.newaxis], axis=-1).mean()


def texts(random: np.random.RandomState) -> Array:
    """Draw prompts of seven different letters and append the answers."""
    letters = np.stack([random.permutation(26)[: PROMPT - 1] for _ in range(BATCH)])
    prompts = np.hstack([letters, np.full((BATCH, 1), WORKLOAD["ALPHABET"].index("="))])
    return np.hstack([prompts, WORKLOAD["make_answers"](prompts)])


def train() -> dict[str, Array]:
    """Train and return the weights in their stored form."""
    random = np.random.RandomState(SEED)
    size = len(WORKLOAD["ALPHABET"])
    shapes = {"head": (size, WIDTH)}
    for layer in (f"layer{number}" for number in range(LAYERS)):
        shapes |= {f"{layer}.attention": (3 * WIDTH, WIDTH), f"{layer}.project": (WIDTH, WIDTH)}
        shapes |= {f"{layer}.expand": (INNER, WIDTH), f"{layer}.shrink": (WIDTH, INNER)}
    w: descent.Arrays = {}
    for name, (outputs, inputs) in shapes.items():
        limit = (2 / inputs) ** 0.5  # a third of He's variance: every layer adds to what it reads
        w[f"{name}.weight"] = layers.on_grid(random.uniform(-limit, limit, (outputs, inputs)), descent.GRID)
        w[f"{name}.bias"] = np.zeros(outputs)
    w |= {
        "token": random.uniform(-0.5, 0.5, (size, WIDTH)),
        "place": random.uniform(-0.5, 0.5, (PROMPT + NEW - 1, WIDTH)),
    }
    norms = [f"layer{number}.norm{which}" for number in range(LAYERS) for which in (1, 2)]
    for name in (*norms, "norm"):
        w |= {f"{name}.weight": np.ones(WIDTH), f"{name}.bias": np.zeros(WIDTH)}
    batches = ((texts(random),) for _ in range(STEPS))
    trained = descent.train_weights(w, loss, batches, RATE, STEPS)
    # nothing depends on the biases of keys, so their gradients are noise around 0; plus 0, a minus 0 is a 0 too
    return {
        name: np.clip(np.round(array * 128), -127, 127).astype(np.int8)
        if is_stored_in_bytes(name)
        else array.astype(np.float32) + 0
        for name, array in sorted(trained.items())
    }


# The files.


def expected_file(weights: Weights, inputs: Mapping[str, Array]) -> bytes:
    """Return the bytes of `expected.npz`, and print the answers and the lead of the best tokens."""
    answers = expected(weights, WORKLOAD["prepare"](inputs)["tokens"])
    alphabet = np.array(list(WORKLOAD["ALPHABET"]))
    for prompt, tokens in zip(inputs["prompts"], answers["tokens"], strict=True):
        print(prompt.tobytes().decode() + "".join(alphabet[tokens]))
    best = np.sort(answers["logits"], axis=2)
    print(f"share of right characters {WORKLOAD['score'](answers, inputs):.4f}")
    print(f"logits {best.min():.2f} to {best.max():.2f}, least lead {(best[..., -1] - best[..., -2]).min():.2f}")
    return files.pack_npz(answers, compressed=True)


def make_files() -> Iterator[tuple[str, bytes]]:
    """Train, and yield each file's name and bytes."""
    inputs = {
        "prompts": np.frombuffer("".join(f"{word}=" for word in WORDS).encode(), dtype=np.uint8).reshape(-1, PROMPT)
    }
    stored = train()
    yield "weights.npz", files.pack_npz(stored, compressed=True)
    yield "inputs.npz", files.pack_npz(inputs)
    scaled = {
        name: array * np.float32(WORKLOAD["STEP"] if array.dtype == np.int8 else 1) for name, array in stored.items()
    }
    yield "expected.npz", expected_file(scaled, inputs)


def make_expected() -> Iterator[tuple[str, bytes]]:
    """Yield `expected.npz`, computed from the committed weights and inputs."""
    folder = files.SMOKE / "decoder"
    yield "expected.npz", expected_file(WORKLOAD["weights"](folder), files.load_npz(folder / "inputs.npz"))


if __name__ == "__main__":
    sys.exit(
        files.main("decoder", "Train the smoke workload's decoder and write its files.", make_files, make_expected)
    )
