"""Reads the credentials that `docker login` stored. They are never printed and never an argument of a process.

The file and its keys are those of docker/cli (cli/config/configfile/file.go), the helpers' interface that of
docker/docker-credential-helpers.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armwright.publish.reference import DOCKER_HUB
from armwright.system import process
from armwright.system.errors import FailedError, MachineError

_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105 - the user name with which a helper returns an identity token
_ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True)
class Login:
    """What `docker login` stored for a registry.

    Attributes:
        user: the user's name; may be empty with a token.
        secret: the password.
        token: an identity token, which replaces the password; may be empty.
        source: where it is stored, for messages.
    """

    user: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    source: str = ""

    def for_engine(self) -> dict[str, str]:
        """Return the login as the Docker Engine takes it for a push."""
        if self.token:
            return {"username": self.user, "identitytoken": self.token}
        return {"username": self.user, "password": self.secret}

    def basic(self) -> str:
        """Return the value of a header Authorization: Basic."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()


def config_path() -> Path:
    """Return the path of docker's configuration: in $DOCKER_CONFIG, else in ~/.docker."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def read_login(host: str) -> Login | None:
    """Return the login for a registry; None if `docker login` stored none.

    As in Docker, a helper for this registry (`credHelpers`) goes before the helper for all (`credsStore`), and that
    before the file itself (`auths`).

    Raises:
        MachineError: the configuration cannot be read, or a helper that it names is absent or fails.
    """
    config = _read_config(config_path())
    key = _HUB_KEY if host == DOCKER_HUB else host
    helpers = config.get("credHelpers")
    helper = (helpers.get(key) or helpers.get(host) if isinstance(helpers, dict) else "") or config.get("credsStore")
    if isinstance(helper, str) and helper:
        return _query_helper(helper, key, "credsStore" if helper == config.get("credsStore") else "credHelpers")
    auths = config.get("auths")
    return _find_in_file(auths if isinstance(auths, dict) else {}, key)


def login_command(host: str) -> str:
    """Return the command that logs in to a registry."""
    ecr = _ECR.fullmatch(host)
    if ecr:
        password = f"aws ecr get-login-password --region {ecr['region']}"
        return f"{password} | docker login --username AWS --password-stdin {host}"
    return "docker login" if host == DOCKER_HUB else f"docker login {host}"


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MachineError(f"docker's configuration {path} cannot be read: {error.strerror}", f"ls -l {path}") from None
    except ValueError as error:  # its text must not be quoted: the file has passwords
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise MachineError(f"docker's configuration {path} is not valid JSON{line}", f"ls -l {path}") from None
    if not isinstance(config, dict):
        raise MachineError(f"docker's configuration {path} is not a JSON object", f"ls -l {path}")
    return config


def _query_helper(helper: str, key: str, setting: str) -> Login | None:
    """Run a helper with `get` and the registry on its standard input."""
    program, path = f"docker-credential-{helper}", config_path()
    named = f"{setting} in {path} names the helper '{helper}'"
    if "/" in helper or process.find_program(program) is None:
        raise MachineError(
            f"{named}, but the program {program!r} is not installed",
            f"grep -n {setting} {path}",
            hint=f"install it, or remove {setting} from that file and log in again: {login_command(_as_host(key))}",
        )
    try:
        code, output = process.exchange_text([program, "get"], key)
        answer = json.loads(output) if code == 0 else {}
    except FailedError as error:
        raise MachineError(f"{named}: {error.what}", f"{program} list") from None
    except ValueError:
        raise MachineError(f"{named}, and its answer is not JSON", f"{program} list") from None
    if code:
        if re.search(r"not found", output, re.IGNORECASE):  # the interface's "credentials not found in native keychain"
            return None
        raise MachineError(f"{named}, and it failed with exit code {code}", f"{program} list")
    user, secret = str(answer.get("Username") or ""), str(answer.get("Secret") or "")
    if user == _TOKEN_USER:
        return Login(token=secret, source=program)
    return Login(user, secret, source=program) if user or secret else None


def _find_in_file(auths: Mapping[str, Any], key: str) -> Login | None:
    entry = next((value for name, value in auths.items() if _as_host(name) == _as_host(key)), None)
    if not isinstance(entry, dict):
        return None
    source = str(config_path())
    if entry.get("identitytoken"):
        return Login(str(entry.get("username") or ""), token=str(entry["identitytoken"]), source=source)
    user, secret = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            user, _, secret = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            what = f"the entry of {_as_host(key)} in {source} is damaged"
            raise MachineError(what, login_command(_as_host(key))) from None
    return Login(user, secret.rstrip("\0"), source=source) if user or secret else None


def _as_host(key: str) -> str:
    """Return the host that a key of `auths` names; old versions of Docker stored URLs."""
    host = re.sub(r"^https?://", "", key).partition("/")[0].lower()
    return DOCKER_HUB if host == "index.docker.io" else host
