"""Runs `docker buildx build` for real: what it leaves behind after success, failure, or Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from armwright.assembly import buildx
from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.plan import render
from armwright.plan.plan import COMPRESSION
from armwright.system import process
from armwright.system.errors import FailedError, MachineError

ROOT = Path(__file__).resolve().parents[2]
EPOCH = 1_700_000_000
SLOW = """FROM --platform=$BUILDPLATFORM scratch AS slow
ADD tools.tar /
COPY marker /marker
RUN --network=none sleep 6.25 && cp /marker /done
FROM scratch
COPY --from=slow /done /done
"""
SLEEP = "sleep\x006.25"  # the command line of that step, unlike those of other tests
CHILD = """
import sys
from pathlib import Path
from armwright.assembly import buildx
from armwright.plan.plan import COMPRESSION
try:
    buildx.run_build(Path(sys.argv[1]), Path(sys.argv[2]), name=sys.argv[3], epoch=0, compression=COMPRESSION)
except KeyboardInterrupt:
    sys.exit(130)
"""
# that of the engine's own containerd, and that of a containerd the engine shares
CONTAINERD_SOCKETS = (Path("/var/run/docker/containerd/containerd.sock"), Path("/run/containerd/containerd.sock"))
Context = Callable[..., Path]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "build.log"


def test_build_gets_its_name_and_reports_its_steps(engine: Engine, context: Context, log: Path, name: str) -> None:
    folder = context("FROM scratch\nCOPY file /file\nLABEL a=b\n", file="x")
    steps = buildx.run_build(folder, log, name=name, epoch=EPOCH, compression=COMPRESSION)
    image = engine.find(name)
    assert image is not None
    assert (image.labels, image.platform) == ({"a": "b"}, PLATFORM)
    assert any("COPY file /file" in step.name for step in steps)
    assert "COPY file /file" in log.read_text()


def test_same_context_gives_the_same_digest_elsewhere(engine: Engine, context: Context, log: Path, name: str) -> None:
    digests = set()
    for number in (1, 2):
        folder = context("FROM scratch\nCOPY --link --chmod=644 file /\n", file="x")
        os.utime(folder / "file", (EPOCH, EPOCH))
        buildx.run_build(folder, log, name=f"{name}-{number}", epoch=EPOCH, compression=COMPRESSION)
        digests.add(engine.names()[f"{name}-{number}"])
    assert len(digests) == 1


def test_failed_build_shows_the_tail_and_leaves_no_name(engine: Engine, context: Context, log: Path, name: str) -> None:
    folder = context("FROM scratch\nCOPY file /\nCOPY not-there-at-all /\n", file="x")
    with pytest.raises(FailedError, match="not-there-at-all") as failed:
        buildx.run_build(folder, log, name=name, epoch=EPOCH, compression=COMPRESSION)
    assert failed.value.next_step == f"less {log}"
    assert "not-there-at-all" in log.read_text()
    assert engine.find(name) is None


def test_unreadable_dockerfile_is_reported_with_its_line(
    engine: Engine, context: Context, log: Path, name: str
) -> None:
    with pytest.raises(FailedError, match="unknown instruction: FORM"):
        buildx.run_build(context("FORM scratch\n"), log, name=name, epoch=EPOCH, compression=COMPRESSION)
    assert engine.find(name) is None


def test_ctrl_c_leaves_nothing_and_the_build_can_be_repeated(
    engine: Engine, context: Context, log: Path, name: str, tools: Path
) -> None:
    folder = context(SLOW, marker=name)
    os.link(tools, folder / "tools.tar")
    command = [sys.executable, "-c", CHILD, str(folder), str(log), name]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        _wait(lambda: log.exists() and "RUN --network=none sleep 6.25" in log.read_text(), 60)
        _wait(lambda: _processes(SLEEP), 20)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)
    assert child.returncode == 130
    assert engine.find(name) is None
    _wait(lambda: not _processes(str(folder)) and not _processes(SLEEP), 5)

    buildx.run_build(folder, log, name=name, epoch=0, compression=COMPRESSION)
    assert engine.find(name) is not None


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """All of BuildKit's events, as they are read."""
    seen: list[dict[str, Any]] = []

    def loads(text: str) -> Any:  # noqa: ANN401 - JSON
        event = json.loads(text)
        seen.append(event)
        return event

    reader = SimpleNamespace(loads=loads, JSONDecodeError=json.JSONDecodeError)
    monkeypatch.setattr(buildx, "json", reader)
    return seen


def _count_sent(events: list[dict[str, Any]]) -> int:
    """Return the bytes of context that were sent, as BuildKit counts them."""
    statuses = [status for event in events for status in event.get("statuses") or []]
    return max(int(status["current"]) for status in statuses if status["id"] == "transferring context:")


def test_contexts_of_a_family_send_their_shared_files_once(
    engine: Engine, log: Path, name: str, tmp_path: Path, events: list[dict[str, Any]]
) -> None:
    (tmp_path / "download").write_bytes(os.urandom(3_000_000))
    dockerfile = b"FROM scratch\nCOPY --link download own /\n"
    family = f"family-{name.partition(':')[2]}"
    sent, digests = [], []
    for number, (family_name, own) in enumerate([(family, b"12"), (family, b"21"), (family, b"12"), ("", b"21")]):
        folder = tmp_path / f"context-{number}"
        render.write_context(folder, {"Dockerfile": dockerfile, "own": own})
        os.link(tmp_path / "download", folder / "download")
        events.clear()
        built = f"{name}-{number}"
        buildx.run_build(folder, log, name=built, epoch=EPOCH, compression=COMPRESSION, family=family_name)
        sent.append(_count_sent(events))
        digests.append(engine.names()[built])
    assert [size > 3_000_000 for size in sent] == [True, False, False, True]
    assert digests[0] == digests[2]
    assert digests[1] == digests[3]  # as without a family
    assert digests[0] != digests[1]


def _lose_layer(mark: str) -> None:
    """Delete the files of the cache record of a step, as BuildKit does when a build is cancelled at a bad moment."""
    socket = next(path for path in CONTAINERD_SOCKETS if path.exists())
    snapshots = ["ctr", "--address", str(socket), "--namespace", "moby", "snapshots"]
    records = process.capture(["docker", "buildx", "du", "--builder", "default", "--verbose"]).split("\n\n")
    parent = re.search(r"^Parent:\s*(\S+)", next(record for record in records if mark in record), re.MULTILINE)
    assert parent, records
    rows = [line.split() for line in process.capture([*snapshots, "ls"]).splitlines()]
    (key,) = [row[0] for row in rows if row[1:] == [parent[1], "Active"]]
    process.capture([*snapshots, "rm", key])


def test_lost_layer_of_the_cache_is_built_again(context: Context, log: Path, name: str) -> None:
    mark = name.partition(":")[2]
    lines = ["FROM scratch", f"COPY file /first-{mark}", f"COPY file /second-{mark}", ""]
    folder = context("\n".join(lines), file=mark)
    process.capture(["docker", "buildx", "build", "--platform", PLATFORM, "--output", "type=cacheonly", str(folder)])
    _lose_layer(f"second-{mark}")

    failures = []
    for step in ("third", "fourth"):
        (folder / "Dockerfile").write_text("\n".join([*lines, f"COPY file /{step}-{mark}", ""]))
        buildx.run_build(folder, log, name=f"{name}-{step}", epoch=EPOCH, compression=COMPRESSION)
        failures.append("failed to stat active key" in log.read_text())
        log.unlink()
    assert failures == [True, False]  # the first build has replaced the record


def test_other_builder_gives_the_same_digest_and_no_archive(
    engine: Engine, context: Context, log: Path, name: str
) -> None:
    folder = context("FROM scratch\nCOPY --link file /file\nLABEL a=b\n", file="x")
    buildx.run_build(folder, log, name=f"{name}-direct", epoch=EPOCH, compression=COMPRESSION)
    buildx.run_build(folder, log, name=f"{name}-other", epoch=EPOCH, compression=COMPRESSION, builder="default")
    names = engine.names()
    assert names[f"{name}-direct"] == names[f"{name}-other"]
    assert not list(folder.parent.glob("*.tar"))


def test_absent_builder_names_the_command_that_lists_them(
    engine: Engine, context: Context, log: Path, name: str
) -> None:
    folder = context("FROM scratch\nCOPY file /file\n", file="x")
    with pytest.raises(MachineError, match=r"(?s)the buildx builder does not exist.*no-such-builder") as refused:
        buildx.run_build(folder, log, name=name, epoch=EPOCH, compression=COMPRESSION, builder="no-such-builder")
    assert refused.value.next_step == "docker buildx ls"
    assert engine.find(name) is None


def _wait(condition: Callable[[], object], patience: float) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _processes(text: str) -> list[str]:
    """Return the command lines, with NUL between arguments, that hold a text; without this process and its parents."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if text in command and "pytest" not in command:
            commands.append(command)
    return commands
