"""A registry in memory, behind the HTTP server of the tests: it does what a test lets it do, and nothing is checked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from armwright.plan.plan import Plan
from armwright.proof import check_image
from armwright.publish.reference import Destination
from armwright.publish.registry_client import MANIFEST_TYPES, RegistryClient, digest_of
from tests.registries import Asked, Reply, run_proxy

REPOSITORY = "staging/pytorch"
MANIFEST, INDEX = MANIFEST_TYPES[:2]
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
_UNUSED = "127.0.0.1:9"  # nothing is passed on


@dataclass
class Shelf:
    """Manifests by name and digest, and blobs by digest.

    Attributes:
        manifests: the bytes that a name or a digest gives.
        blobs: the bytes of each blob.
        stated: digests that the header states in place of the right one, by name.
        fixed: replies by method and path.
        put: the next name that is put becomes this manifest; empty for the one that is sent.
    """

    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    stated: dict[str, str] = field(default_factory=dict)
    fixed: dict[tuple[str, str], Reply] = field(default_factory=dict)
    put: bytes = b""

    def put_image(self, configuration: Mapping[str, Any], *tags: str, text: str = "") -> str:
        """Put an image; return its digest, which follows from its configuration and a text."""
        config = self._put_blob(json.dumps(configuration).encode(), CONFIG)
        layers = [self._put_blob(f"layer {number} {text}".encode(), LAYER) for number in range(3)]
        return self.put_manifest({"mediaType": MANIFEST, "config": config, "layers": layers}, *tags)

    def put_manifest(self, document: Mapping[str, Any], *tags: str) -> str:
        """Put a manifest or an index; return its digest."""
        body = json.dumps({"schemaVersion": 2, **document}).encode()
        self.manifests.update(dict.fromkeys((digest_of(body), *tags), body))
        return digest_of(body)

    def find(self, digest: str) -> Any:  # noqa: ANN401 - a JSON document
        """Return a manifest as a document."""
        return json.loads(self.manifests[digest])

    def answer(self, asked: Asked) -> Reply:
        """Answer a request."""
        if (asked.method, asked.path) in self.fixed:
            return self.fixed[asked.method, asked.path]
        if asked.path == "/v2/":
            return Reply(200, b"{}")
        kind, _, name = asked.path.removeprefix(f"/v2/{REPOSITORY}/").partition("/")
        if kind == "manifests":
            return self._answer_manifest(asked, name)
        if kind == "blobs" and name in self.blobs:
            return Reply(200, self.blobs[name])
        return Reply(200, b'{"tags": []}') if kind == "tags" else Reply(404)

    def _answer_manifest(self, asked: Asked, name: str) -> Reply:
        if asked.method == "PUT":
            body, self.put = self.put or asked.body, b""
            self.manifests.update({name: body, digest_of(body): body})
            return Reply(201)
        if asked.method == "DELETE":
            return Reply(202 if self.manifests.pop(name, None) else 404)
        if name not in self.manifests:
            return Reply(404)
        body = self.manifests[name]
        kind = json.loads(body).get("mediaType", MANIFEST) if body.startswith(b"{") else "text/html"
        headers = {"Content-Type": kind, "Docker-Content-Digest": self.stated.get(name, digest_of(body))}
        return Reply(200, body, headers)

    def _put_blob(self, content: bytes, kind: str) -> dict[str, Any]:
        self.blobs[digest_of(content)] = content
        return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}

    @contextlib.contextmanager
    def serve(self) -> Iterator[str]:
        """Serve it; yield the address."""
        with run_proxy(_UNUSED, self.answer) as address:
            yield address


def connect(address: str) -> RegistryClient:
    """Connect to a registry on this machine."""
    return RegistryClient(address, timeout=(5, 5), retries=0)


def destination(address: str) -> Destination:
    """Return the registry as the destination of images."""
    return Destination(address, REPOSITORY.partition("/")[0])


def plan_image(plan: Plan, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """Return the configuration that a plan's image has in a registry, with some settings changed."""
    planned = check_image.read_planned_image(plan.files["Dockerfile"].decode())
    found = {
        "Labels": dict(planned.labels), "Env": [f"{name}={value}" for name, value in planned.environment.items()],
        "User": planned.user, "Entrypoint": list(planned.entrypoint), "Cmd": list(planned.command), "WorkingDir": "/",
    }  # fmt: skip
    layers = [f"sha256:{number:064x}" for number in range(planned.layers)]
    return {
        "architecture": "arm64", "os": "linux", "config": {**found, **settings},
        "rootfs": {"type": "layers", "diff_ids": layers},
    }  # fmt: skip
