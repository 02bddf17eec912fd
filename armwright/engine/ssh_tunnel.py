"""Connects to an engine over ssh as docker does: `ssh HOST docker system dial-stdio`, with the user's own ssh.

The SDK can do this only with a library that Armwright does not need. Here it gets a socket in a private folder, and
each connection to that socket becomes one ssh.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

from armwright.system import process

_LONGEST = 80  # characters of a folder, so that a socket in it has less than the kernel's 108


class SshTunnel:
    """A local socket whose connections lead to an engine over ssh.

    Attributes:
        host: the socket's address for the SDK.
    """

    def __init__(self, address: str) -> None:
        """Open the socket; ssh starts with the first connection.

        Args:
            address: `ssh://[USER@]HOST[:PORT][/SOCKET]`.

        Raises:
            MachineError: this machine has no ssh.
        """
        process.require_program("ssh", "sudo apt-get install openssh-client")
        self._arguments = list_ssh_arguments(address)
        temporary = tempfile.gettempdir()
        self._folder = Path(
            tempfile.mkdtemp(prefix="armwright-", dir=temporary if len(temporary) < _LONGEST else "/tmp")  # noqa: S108
        )
        self.host = f"unix://{self._folder}/socket"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "socket"))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def read_error(self) -> str:
        """Return the last line that ssh printed; empty if it printed nothing."""
        with contextlib.suppress(OSError):
            lines = (self._folder / "log").read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def close(self) -> None:
        """Close the socket and remove its folder; connections that are open stay open until the client closes them."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    process.attach(self._arguments, connection, self._folder / "log")


def list_ssh_arguments(address: str) -> list[str]:
    """Return the program and arguments that connect to the engine at `ssh://[USER@]HOST[:PORT][/SOCKET]`."""
    parts = urlsplit(address)
    arguments = ["ssh", "-T", "-o", "ConnectTimeout=30", "-o", "BatchMode=yes"]
    if parts.username:
        arguments += ["-l", parts.username]
    if parts.port:
        arguments += ["-p", str(parts.port)]
    engine = ["--host", shlex.quote(f"unix://{parts.path}")] if parts.path.strip("/") else []  # for the shell there
    return [*arguments, "--", parts.hostname or "", "docker", *engine, "system", "dial-stdio"]
