"""Any user id runs what the image's own user runs: a name, a home and folders for caches, read-only or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from subprocess import CompletedProcess
from typing import Any

import pytest

OPENBLAS, EIGEN = "pytorch-2.10.0-n1-openblas", "tensorflow-2.21.0-n1-eigen"
Images = Mapping[str, Any]
Contained = Callable[..., CompletedProcess[str]]
OWN, FOREIGN, OPENSHIFT = "1000:1000", "12345:54321", "1000680000:0"
TMP = ("--tmpfs", "/tmp:mode=1777")
ACCOUNT = """
import getpass, json, os, pathlib, tempfile
cache = pathlib.Path.home() / ".cache" / "matplotlib"
cache.mkdir(parents=True, exist_ok=True)
(cache / "fonts").write_text("any")
print("ANSWER " + json.dumps({"user": getpass.getuser(), "home": os.path.expanduser("~"),
    "temporary": tempfile.gettempdir(), "cache": str(cache), "mode": oct(pathlib.Path.home().stat().st_mode)[-3:]}))
"""
# What ended in "No username set": the compiler's modules, and what loads them.
TORCH = """
import json, torch, torch._dynamo, torch._inductor.runtime.runtime_utils as runtime
model, batch = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()), torch.ones(2, 4)
exported = torch.export.export(model, (batch,)).module()(batch)
compiled = torch.compile(model, backend="eager")(batch)
optimizer = torch.optim.Adam(model.parameters())
model(batch).sum().backward()
optimizer.step()
print("ANSWER " + json.dumps({"same": bool(torch.equal(exported, compiled)), "cache": runtime.default_cache_dir()}))
"""
TENSORFLOW = """
import json, tensorflow as tf
model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3)])
model.compile("adam", "mse")
model.fit(tf.ones((2, 4)), tf.ones((2, 3)), verbose=0)
print("ANSWER " + json.dumps({"home": tf.keras.config.backend(), "cache": tf.io.gfile.isdir("/")}))
"""


def answer(done: CompletedProcess[str]) -> dict[str, Any]:
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert (done.returncode, len(lines)) == (0, 1), done.stderr
    return dict(json.loads(lines[0].removeprefix("ANSWER ")))


@pytest.mark.parametrize("entrypoint", [(), ("--entrypoint", "python3")])
@pytest.mark.parametrize(
    ("user", "options", "name", "home"),
    [
        (FOREIGN, TMP, "12345", "/tmp/armwright-12345"),
        (FOREIGN, (), "12345", "/dev/shm/armwright-12345"),
        (OPENSHIFT, TMP, "1000680000", "/tmp/armwright-1000680000"),
        (OWN, ("--tmpfs", "/home/armwright:uid=1000"), "armwright", "/home/armwright"),
    ],
)
def test_every_user_has_a_name_and_a_home_to_write_to(  # noqa: PLR0913, PLR0917 - what differs between users
    proven: Images,
    contained: Contained,
    user: str,
    options: tuple[str, ...],
    name: str,
    home: str,
    entrypoint: tuple[str, ...],
) -> None:
    words = [*(() if entrypoint else ("python3",)), "-c", ACCOUNT]
    found = answer(contained(proven[OPENBLAS], *words, options=["--user", user, *options, *entrypoint]))
    assert (found["user"], found["home"]) == (name, home)
    if user != OWN:
        assert found["mode"] == "700"


def test_compiler_export_and_optimizers_work_for_any_user(proven: Images, contained: Contained) -> None:
    found = answer(contained(proven[OPENBLAS], "python3", "-c", TORCH, options=["--user", FOREIGN]))
    assert found == {"same": True, "cache": "/dev/shm/torchinductor_12345"}


def test_tensorflow_trains_for_any_user(proven: Images, contained: Contained) -> None:
    found = answer(contained(proven[EIGEN], "python3", "-c", TENSORFLOW, options=["--user", OPENSHIFT]))
    assert found == {"home": "tensorflow", "cache": True}


def test_a_name_and_a_home_that_the_user_sets_are_kept(proven: Images, contained: Contained) -> None:
    options = ["--user", FOREIGN, "--env", "HOME=/tmp", "--env", "USER=me", *TMP]
    found = answer(contained(proven[OPENBLAS], "python3", "-c", ACCOUNT, options=options))
    assert (found["user"], found["home"]) == ("me", "/tmp")
