"""An engine that stops during a request: a connection to the real one, which is cut."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from armwright.engine.client import Engine
from armwright.system.errors import MachineError

SOCKET = "/var/run/docker.sock"


class Wire:
    """Passes bytes between clients and the engine until it is cut."""

    def __init__(self, path: Path) -> None:
        self._ends: list[socket.socket] = []
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        for end in (self._door, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(SOCKET)
                self._ends += [client, engine]
                for source, sink in ((client, engine), (engine, client)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    wire = Wire(tmp_path / "docker.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    yield wire
    wire.cut()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK leaves failed sockets open
def test_engine_that_stops_during_a_run_is_reported(
    wire: Wire, shell: str, docker: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    timer = threading.Timer(3, wire.cut)
    timer.start()
    started = time.monotonic()
    with pytest.raises(MachineError, match="stopped answering") as error:
        engine.run(shell, ["sleep", "600"], {}, timeout=300)
    assert time.monotonic() - started < 60
    assert error.value.next_step == "./inv setup"
    with pytest.raises(MachineError, match="stopped answering"):
        engine.names()
    with pytest.raises(MachineError, match="no Docker Engine answers"):
        Engine()
    monkeypatch.delenv("DOCKER_HOST")
    left = docker("ps", "--quiet", "--filter", "label=org.armwright.run", "--filter", f"ancestor={shell}").split()
    assert left, "the container did not run yet when the connection was cut"
    docker("rm", "--force", *left)
    gc.collect()  # here, where those sockets are expected
