"""Names of registries and images, by the grammar of distribution/reference, which Docker, containerd and podman use.

REGISTRY[/PATH…] is where images go:  ghcr.io/acme, 127.0.0.1:5001, [::1]:5000/team/ml
REGISTRY/PATH/FRAMEWORK:TAG names one: ghcr.io/acme/pytorch:2.10.0-n1-acl
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from armwright.system.errors import InputError

DOCKER_HUB = "docker.io"
NAMESPACE = "staging"  # the path for a registry that is given without one
LONGEST = 255  # characters of a repository's name, the registry's host not included
_ROOM = LONGEST - len("/tensorflow")
_PORT = 5000
# As in distribution/reference/regexp.go: a host's labels, a port, and the parts of a path.
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"(?P<name>{_LABEL}(?:\.{_LABEL})*|\[[a-f0-9:.]+\])(?::(?P<port>[0-9]{{1,5}}))?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_HUB_ALIASES = {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)?://")
_DIGEST = re.compile(r"@[a-z0-9]+:[0-9a-fA-F]{8,}$")


@dataclass(frozen=True)
class Destination:
    """Where images go: a registry, and the path in it.

    Attributes:
        host: the registry's host in lower case, with its port if it has one.
        path: the path in the registry, without a slash at either end; may be empty.
    """

    host: str
    path: str = NAMESPACE

    def __str__(self) -> str:
        return f"{self.host}/{self.path}".rstrip("/")

    def name(self, image: str) -> str:
        """Return the full name of an image: `pytorch:2.10.0-n1-acl` becomes `ghcr.io/acme/pytorch:2.10.0-n1-acl`."""
        return f"{self}/{image}"

    def repository(self, framework: str) -> str:
        """Return a framework's repository in the registry, as its HTTP interface names it: `acme/pytorch`."""
        return f"{self.path}/{framework}".lstrip("/")


def parse_destination(text: str, place: str) -> Destination:
    """Parse REGISTRY[/PATH…].

    A registry without a path gets the path `staging`; `REGISTRY/`, with a slash at its end, has no path.

    Args:
        text: the value.
        place: what the value is of, for messages: `--to`, `ARMWRIGHT_REGISTRY`.

    Raises:
        InputError: it is none; the message says which part is wrong, and names the nearest value that is right.
    """
    problem = _find_problem(text)
    if problem:
        shown = f"***@{text.rpartition('@')[2]}" if _has_secret(text) else text
        right = _suggest(text)
        advice = f"for example {place} {right}" if place.startswith("--") else f"for example {place}={right}"
        raise InputError(f"{place} {shown!r} is not a registry: {problem}", "invoke stage --help", hint=advice)
    host, slash, path = text.partition("/")
    return _normalise(host, path.strip("/") if slash else NAMESPACE)


def _normalise(host: str, path: str) -> Destination:
    lowered = host.lower()
    return Destination(DOCKER_HUB if lowered in _HUB_ALIASES else lowered, path)


def _find_problem(text: str) -> str:
    """Return why a value is no REGISTRY[/PATH…]; empty if it is one."""
    scheme = _SCHEME.match(text)
    if scheme:
        return f"it begins with {scheme[0]}; give the host without a scheme"
    if "@" in text:
        has_digest = _DIGEST.search(text) and not _has_secret(text)
        return "it has a digest; images get their own" if has_digest else "it has a user; docker login stores users"
    host, slash, path = text.partition("/")
    return _find_host_problem(host) or (_find_path_problem(host, path) if slash else _find_hub_problem(host, path))


def _has_secret(text: str) -> bool:
    """Return whether a value may have a password, `user:password@host`, which no message may show."""
    return ":" in _DIGEST.sub("", _SCHEME.sub("", text, count=1)).rpartition("@")[0]


def _find_host_problem(host: str) -> str:
    match = _HOST.fullmatch(host.lower())
    if not match:
        return f"{host!r} is not the host of a registry"
    if match["port"] and not 0 < int(match["port"]) < 2**16:
        return f"{match['port']} is not a port"
    if match["name"].startswith("["):
        try:
            ipaddress.IPv6Address(match["name"].strip("[]"))
        except ValueError:
            return f"{match['name']} is not an IPv6 address"
    elif match["name"] != "localhost" and "." not in match["name"] and not match["port"]:
        # Docker takes such a name for a user of Docker Hub.
        return f"{host!r} has no dot and no port, so Docker takes it for a user of Docker Hub"
    return ""


def _find_path_problem(host: str, path: str) -> str:
    components = path.removesuffix("/").split("/") if path else []
    position = len(host) + 2  # of a component's first character, counted from 1
    for component in components:
        if not _COMPONENT.fullmatch(component):
            return f"in its path, {component!r} at character {position} {_find_component_problem(component)}"
        position += len(component) + 1
    if len(path) > _ROOM:
        return f"its path has {len(path)} characters; a repository's name has at most {LONGEST}"
    return _find_hub_problem(host, path)


def _find_component_problem(component: str) -> str:
    if not component:
        return "is empty"
    if ":" in component:
        return "has a tag; images get their own"
    if _COMPONENT.fullmatch(component.lower()):
        return "has upper-case letters"
    return "must be letters and digits, joined by '.', '_', '__' or '-'"


def _find_hub_problem(host: str, path: str) -> str:
    if _normalise(host, path).host != DOCKER_HUB:
        return ""
    path = path.removesuffix("/")
    if not path:
        return "Docker Hub needs the name of a user or organization"
    return "names on Docker Hub have one part before the image's name" if "/" in path else ""


def _suggest(text: str) -> str:
    """Return the nearest value that is right."""
    bare = _DIGEST.sub("", _SCHEME.sub("", text, count=1)).rpartition("@")[2].lower()
    host, slash, path = bare.partition("/")
    kept = [_repair_component(component) for component in path.split("/")] if slash else []
    kept = [component for component in kept if component]
    name, _, port = host.rpartition(":")
    if port.isdecimal() and name and not _find_host_problem(f"{name}:{_PORT}") and _find_host_problem(host):
        host = f"{name}:{_PORT}"
    if not _find_host_problem(host):
        found = _normalise(host, "")
        if found.host == DOCKER_HUB:
            return f"{DOCKER_HUB}/{kept[0] if kept else 'acme'}"
        while len("/".join(kept)) > _ROOM:
            kept = kept[:-1]
        return "/".join([found.host, *kept])
    return f"{DOCKER_HUB}/{host}" if _COMPONENT.fullmatch(host) else f"127.0.0.1:{_PORT}"


def _repair_component(component: str) -> str:
    repaired = re.sub(r"[^a-z0-9._-]+", "-", component.partition(":")[0])
    return re.sub(r"\.[._-]+|_{3,}|[_-]+[.]", "-", repaired).strip("._-")
